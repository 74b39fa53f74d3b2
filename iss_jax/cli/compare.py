"""What do two checkpoints act on? Side by side, on the same frames.

    iss-jax compare A B --dataset <folder> --workdir <folder>
    iss-jax compare --checkpoints A,B --dataset <folder>
    iss-jax compare ws://HOST:PORT ws://HOST:OTHER_PORT --dataset <folder>

A and B are checkpoints, as iss-jax explain takes them, or addresses of servers. A checkpoint
against a server is refused unless the frames have exactly the policy's input size: a server is sent
frames as they were recorded. iss-jax serve serves a checkpoint; then compare two servers.

Both get the same frames, players, donors and flow noise, so that what differs is the policies'. Of
each player: the share of what replacing it does to the actions, for A and for B, and the difference
with its interval, paired over frames, by episode; six episodes at least give one. Where the dataset
has region labels, the nuisance share's difference stands beside them.

No labels are needed: --players looks takes segments of one look, which are of their own episode.

The workdir receives results.csv (a row a player), frames.csv (a row a frame and player),
results.json, figures/compared.png and report.html. Run again, it goes on where it was.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_collections

from iss_jax.cli.options import set_keys
from iss_jax.cli.plainly import plainly
from iss_jax.cli.words import words_of

if TYPE_CHECKING:
    from iss_jax.explain.subject import Subject

SUMMARY = "what two checkpoints act on, side by side, and the difference"

WORDS = ("a", "b")
"""Keys that words without a flag give, in their order."""

WORKDIR = "runs/compare"
# Players of the printed table.
_SHOWN = 16


def get_config() -> ml_collections.ConfigDict:
    """Keys and defaults."""
    config = ml_collections.ConfigDict()
    # The two checkpoints, as two words or here.
    config.a = config.b = ""
    # Both at once, with a comma between.
    config.checkpoints = ""
    set_keys(config)
    del config["checkpoint"]
    # As of iss-jax explain, for the policies that need them.
    config.baseline_calls = 8
    config.reply_timeout = 120.0
    config.answer_tokens = 0
    config.device = ""
    # Indices; spread over the dataset when empty.
    config.episodes = ()
    config.num_episodes = 12
    config.frames_per_episode = 2
    # names (of things, where the dataset has instance labels, else looks), regions, looks, or
    # looks_joined.
    config.players = "names"
    config.draws = 8
    # background (donor frames of other tasks), blur, mean, inpaint, or auto.
    config.fill = "auto"
    config.donors = 64
    # Dataset of the donors; the compared one when empty.
    config.donors_from = ""
    config.seed = 0
    config.confidence = 0.95
    config.resamples = 4999
    config.quiet = False
    return config


def run(config: ml_collections.ConfigDict, workdir: str | None) -> None:
    """Compares; says what differs.

    Args:
        config: With the keys of `get_config`.
        workdir: Folder of the results, `runs/compare` when None.

    Raises:
        SystemExit: What was given cannot be; the message was printed.
    """
    with plainly("compare"):
        side_by_side(config, Path(workdir or WORKDIR))


def side_by_side(config: ml_collections.ConfigDict, folder: Path) -> dict[str, Any]:
    """As `run`; returns what `results.json` holds.

    Raises:
        FileNotFoundError: A checkpoint or the dataset is not there.
        ValueError: Not two checkpoints, or they do not fit the dataset or each other.
    """
    from iss_jax.data.dataset import open_dataset
    from iss_jax.jobs import versions
    from iss_jax.jobs.answer import write_answer
    from iss_jax.jobs.directory import open_run
    from iss_jax.jobs.packaged import located
    from iss_jax.jobs.report import write_report
    from iss_jax.side_by_side.answer import compare_answer
    from iss_jax.side_by_side.job import compare
    from iss_jax.side_by_side.options import CompareOptions

    pair = checkpoints_of(config)
    given = [own_config(config, checkpoint) for checkpoint in pair]
    for own in given:
        # Both are looked at before the first is loaded.
        check_fit(own)
    opened: list[Callable[[], Subject]] = [partial(subject_of, own) for own in given]
    dataset = open_dataset(located(config.dataset, "dataset"))
    values = config.to_dict()
    own = {field.name for field in dataclasses.fields(CompareOptions)}
    options = CompareOptions(
        **{key: value for key, value in values.items() if key in own - {"episodes", "donors_from"}},
        episodes=tuple(config.episodes),
        donors_from=config.donors_from or config.dataset,
    )
    directory = open_run(folder, config, version=versions.MAPS)
    content = compare(directory, options, opened, short_names(pair), dataset)
    write_answer(directory.path, compare_answer(content))
    page = write_report(directory.path)
    if not options.quiet:
        if Path(pair[0]) == Path(pair[1]):
            print(f"\nA and B are the same: {pair[0]}")
        print(f"\n{table_text(content)}\n\n{content['says']}\n")
        why = f" ({content['fill_reason']})" if "fill_reason" in content else ""
        print(f"fill:    {content['fill']}{why}")
        print(f"table:   {directory.path / 'results.csv'}")
        print(f"figure:  {directory.path / 'figures' / 'compared.png'}\npage:    {page}")
    return content


def checkpoints_of(config: ml_collections.ConfigDict) -> tuple[str, str]:
    """The two checkpoints.

    Raises:
        ValueError: Fewer or more of them.
    """
    listed = words_of(config.checkpoints)
    single = tuple(one for one in (config.a, config.b) if one)
    if (listed and single) or len(listed or single) != 2:
        raise ValueError(
            f"{len(listed) + len(single)} checkpoints given {[*single, *listed]}, two wanted: "
            "iss-jax compare A B, or --checkpoints A,B"
        )
    first, second = listed or single
    return first, second


def own_config(config: ml_collections.ConfigDict, policy: str) -> ml_collections.ConfigDict:
    """The config of one of the two, a checkpoint or a server."""
    own = ml_collections.ConfigDict(config.to_dict())
    served = policy.startswith(("ws://", "wss://"))
    own.checkpoint, own.server = ("", policy) if served else (policy, "")
    return own


def check_fit(config: ml_collections.ConfigDict) -> None:
    """Says what of a policy, its robot and the dataset does not fit.

    Raises:
        FileNotFoundError: Checkpoint, dataset or robot file is not there.
        ValueError: They do not fit; the message holds the table of what does.
    """
    from iss_jax.cli.fit import require_fit
    from iss_jax.cli.options import describe

    if not config.dataset:
        raise ValueError("--dataset: none given; wanted a folder, or embedded")
    found = describe(config)
    name = found.checkpoint.model if found.robot is None and found.checkpoint else ""
    require_fit(found.rows, found.robot.name if found.robot else name)


def subject_of(config: ml_collections.ConfigDict) -> "Subject":
    """Loads a policy; prompts of all episodes have one length, that of the dataset's longest."""
    from iss_jax.cli.subjects import opened_subject
    from iss_jax.explain.openpi_subject import OpenpiSubject
    from iss_jax.policies.prompt_length import measured_length

    found = opened_subject(config)
    subject = found.subject
    if not isinstance(subject, OpenpiSubject):
        return subject
    options, policy = subject.options, subject.policy
    length = measured_length(
        policy.tokenizer,
        found.dataset,
        discrete_state_input=options.discrete_state_input and not policy.reads_state,
        most=options.max_token_len,
    )
    options = dataclasses.replace(options, max_token_len=length)
    return dataclasses.replace(subject, options=options, trim_prompt=False)


def short_names(checkpoints: tuple[str, str]) -> tuple[str, str]:
    """What tells two folders apart: the ends of their paths, as short as that is possible.

    >>> short_names(("runs/one/5000", "runs/two/5000"))
    ('one/5000', 'two/5000')
    >>> short_names(("embedded", "embedded"))
    ('embedded (A)', 'embedded (B)')
    """
    parts = [Path(one).parts for one in checkpoints]
    for count in range(1, max(map(len, parts)) + 1):
        first, second = ("/".join(own[-count:]) for own in parts)
        if first != second:
            return first, second
    last = parts[0][-1]
    return f"{last} (A)", f"{last} (B)"


def table_text(content: dict[str, Any]) -> str:
    """A line a player, the largest difference first."""
    a, b = (
        name if name.endswith(f"({side})") else f"{name} ({side})"
        for name, side in ((content["a"], "A"), (content["b"], "B"))
    )
    width = max([len(row["player"]) for row in content["compared"]] + [6])
    lines = [
        f"What {a} and {b} act on, in {content['frames']} frames of "
        f"{content['episodes']} episodes:\n",
        f"{'player':<{width}}  frames    A, %    B, %   B - A  interval",
    ]
    rows = [row for row in content["compared"] if row["frames"]]
    ranked = sorted(rows, key=lambda row: -abs(row["difference"]))
    for row in ranked[:_SHOWN]:
        ends = (
            row["reason"] if row["reason"] else f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        )
        lines.append(
            f"{row['player']:<{width}}  {row['frames']:>6}  {100 * row['share_a']:>6.1f}  "
            f"{100 * row['share_b']:>6.1f}  {100 * row['difference']:>6.1f}  {ends}"
        )
    if ranked[_SHOWN:]:
        lines.append(f"... {len(ranked)} players in all, in results.csv")
    return "\n".join(lines)
