r"""What does a policy look at, and act on, in episodes of yours?

    iss-jax explain --checkpoint CHECKPOINT --dataset DATASET --robot my_robot.py
    iss-jax explain --checkpoint embedded --dataset embedded --frames 4 --iss.num_masks 20
    iss-jax explain --server ws://HOST:PORT --dataset DATASET --robot my_robot.py

A checkpoint is a step's folder of a π0.5, π0 or π0-FAST in openpi's layout, or the folder of a
LeRobot policy in PyTorch; or a policy is asked behind a server of openpi's protocol. A dataset is
LeRobot's (v2.1, v3.0) or episode folders. A robot is a Python file with a PolicyConfig, a name of
ours, or the name of openpi's own configuration where openpi is installed; LeRobot's policies need
none.

Written are maps, overlays, a video, the players' shares and a page, report.html. No labels are
needed, but NMR wants region labels. An interrupted run goes on when it is started again.

Cameras are matched by name. --cameras.base_0_rgb CAMERA names another, `none` leaves a view out.
Donors, which players are replaced from, are of other tasks of the dataset, or of --donors_from.
--frames takes the first so many of each episode, --stride computes each s-th of them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_collections

from iss_jax.cli.abilities import abilities_table
from iss_jax.cli.iss_keys import iss_keys
from iss_jax.cli.options import set_keys
from iss_jax.cli.plainly import plainly
from iss_jax.cli.served_robot import told_plainly

if TYPE_CHECKING:
    from iss_jax.explain.options import EpisodeOptions

SUMMARY = "maps, players, overlays and a video of episodes of yours"

WAYS_OUT = (
    "Three ways to have region labels: instance labels (a simulator's or a segmentation model's), "
    "boxes, or label images, each made into regions by iss-jax regions (--help says how). Players "
    "need none."
)

_OF_EPISODES = (
    *("iss", "players", "draws", "fill", "donors", "donors_from", "quiet", "episodes", "frames"),
    *("stride", "seed", "percents", "control_draws", "shown_frames", "video", "video_speed"),
    *("gif", "rerun"),
)


def get_config() -> ml_collections.ConfigDict:
    """Keys and defaults."""
    config = ml_collections.ConfigDict()
    set_keys(config)
    # Instead of a checkpoint.
    config.server = ""
    # Unmasked calls of a policy that draws its own noise: what its noise does is subtracted.
    config.baseline_calls = 8
    config.reply_timeout = 120.0
    # Most tokens of a π0-FAST's answer; the library's default when 0.
    config.answer_tokens = 0
    # Of a LeRobot policy, such as cuda; its own when empty.
    config.device = ""

    config.episodes = (0,)
    # The first so many of each episode; all when 0.
    config.frames = 0
    # Computed are frames 0, s, 2s, ... and the last, the others lie between.
    config.stride = 10
    config.seed = 0
    config.iss = iss_keys()
    # names (things by name where the dataset has instance labels, else looks), regions, looks,
    # looks_joined; nothing when empty.
    config.players = "names"
    config.draws = 8
    # background (donor frames of other tasks), blur, mean, inpaint, or auto.
    config.fill = "auto"
    config.donors = 64
    # Dataset of the donors; the explained one when empty.
    config.donors_from = ""
    # k of NMR@k; the first one is drawn.
    config.percents = (10, 1, 5, 15, 20)
    config.control_draws = 20
    config.shown_frames = 6
    config.video = True
    config.video_speed = 1.0
    config.gif = False
    config.rerun = False
    config.quiet = False
    return config


def run(config: ml_collections.ConfigDict, workdir: str | None) -> int:
    """Explains the episodes; says what was found and where it lies.

    Args:
        config: With the keys of `get_config`.
        workdir: Folder of the results, `runs/explain-<name>` when None.

    Raises:
        SystemExit: What was given cannot be; the message was printed.
    """
    with plainly("explain"):
        from iss_jax.cli.subjects import opened_subject

        options = episode_options(config)
        found = opened_subject(config)
    say = (lambda text: None) if config.quiet else print
    if found.note:
        say(found.note)
    say(f"\n{found.table}\n\n{abilities_table(found.model)}")
    for sentence in found.subject.cannot:
        say(f"note: {sentence}")
    say("\nThe first frame compiles; nothing is said meanwhile.")

    from iss_jax.explain.answer import explain_answer
    from iss_jax.explain.episodes import explain_episodes, nmr_table
    from iss_jax.jobs import versions
    from iss_jax.jobs.answer import write_answer
    from iss_jax.jobs.directory import open_run
    from iss_jax.jobs.report import folders_of_others, write_report

    folder = Path(workdir or f"runs/explain-{found.name}")
    with plainly("explain"):
        opened = open_run(folder, config, layout=versions.EXPLAINED, version=versions.MAPS)
    with found.subject_open(), told_plainly(config.server):
        content = explain_episodes(opened, options, found.subject, found.dataset)
    write_answer(folder, explain_answer(content))
    page = write_report(folder)
    for name in folders_of_others(folder):
        say(f"note: {name} is of an earlier run and not shown in the report")
    for line in _sentences(content):
        say(line)
    if "without_nmr" in content:
        say(f"\nNo NMR of {content['without_nmr']}. {WAYS_OUT}")
    else:
        say(f"\n{nmr_table(content['episodes'])}")
    say(f"\nreport: {page}")
    return 0


def episode_options(config: ml_collections.ConfigDict) -> "EpisodeOptions":
    """What is explained of which episodes.

    Args:
        config: With the keys of `get_config`.

    Raises:
        ValueError: A number or a name that cannot be.
    """
    import importlib.util

    from iss_jax.explain.options import EpisodeOptions

    given = config.to_dict()
    values: dict[str, Any] = {key: given[key] for key in _OF_EPISODES}
    values = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in values.items()}
    # Donors are of the user's own scenes, whatever the policy.
    values["donors_from"] = config.donors_from or config.dataset
    if importlib.util.find_spec("av") is None and (values["video"] or values["gif"]):
        print('no video: PyAV is not installed (pip install "iss-jax[viz]")')
        values["video"] = values["gif"] = False
    return EpisodeOptions(**values, paths=())


def _sentences(content: dict[str, Any], most: int = 5) -> list[str]:
    """What the policy acts on in the first frames."""
    rows = content.get("acts_on", [])
    if not rows:
        return []
    why = f": {content['fill_reason']}" if "fill_reason" in content else ""
    lines = ["", f"What the policy acts on (fill {content['fill']}{why}):"]
    lines += [
        f"  episode {row['episode']}, frame {row['frame']}: {row['acts_on']}" for row in rows[:most]
    ]
    if rows[most:]:
        lines.append(f"  ... {len(rows)} frames in all, in players.csv of each episode")
    return lines
