"""NMR against success: does what a policy heeds of the nuisance tell how often it fails?

    iss-jax nmr --checkpoint <step> --dataset <folder> --success <table.csv> --workdir <folder>

The table says how often the policy solved each task: task,trials,successes is enough. Its tasks are
joined with the episodes by name or by instruction; what stays alone is named. The frames need
region labels: iss-jax regions makes them.

NMR by effect is the nuisance share of what replacing regions does to the actions. Beside it stands
the paper's NMR of maps. Each is averaged over the frames of a task and set against success.

The workdir receives results.csv (a row a task and seed), results.json (the correlations),
figures/ and report.html. Run again, it goes on where it was.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_collections
from ml_collections import config_dict

from iss_jax.cli.iss_keys import iss_keys
from iss_jax.cli.options import policy_options, set_keys
from iss_jax.cli.plainly import plainly
from iss_jax.cli.words import words_of

if TYPE_CHECKING:
    from iss_jax.against_success.join import Joined
    from iss_jax.against_success.options import Options

SUMMARY = "NMR by effect and the paper's NMR against a table of success rates"

WORKDIR = "runs/nmr"


def get_config() -> ml_collections.ConfigDict:
    """Keys and defaults."""
    config = ml_collections.ConfigDict()
    set_keys(config)
    # A CSV file: task,trials,successes, and of suite, split, seed, policy_seed what there is.
    config.success = ""
    # A CSV file that is written beside the dataset first: episode, and suite, task, split or seed.
    config.metadata = ""
    # Whose rows of the table count, where it is of several policies.
    config.policy_seed = config_dict.placeholder(int)
    # Names with commas between; all when empty.
    config.splits = ""
    config.seeds = ()
    # Zero means all of them.
    config.num_tasks = 0
    config.episodes_per_task = 2
    config.frames_per_episode = 4
    config.stride = 1
    config.batch = 4
    config.iss = iss_keys(num_masks=100)
    # NMR by effect: draws of each region (0 leaves it out), whether a pixel is replaced by donor
    # pixels of its own region, donor frames, and whether its chance level is run.
    config.effects = ml_collections.ConfigDict(
        {"draws": 4, "like_for_like": True, "donors": 128, "chance": True}
    )
    config.percents = (1, 5, 10, 15, 20)
    config.control_draws = 20
    config.confidence = 0.95
    config.resamples = 4999
    config.permutations = 9999
    # Observations in figures/maps.png.
    config.overlay_rows = 5
    config.quiet = False
    return config


def run(config: ml_collections.ConfigDict, workdir: str | None) -> None:
    """Measures what is not measured yet; says what was joined and what was found.

    Args:
        config: With the keys of `get_config`.
        workdir: Folder of the results, `runs/nmr` when None.

    Raises:
        SystemExit: What was given cannot be; the message was printed.
    """
    with plainly("nmr"):
        against_success(config, Path(workdir or WORKDIR))


def against_success(config: ml_collections.ConfigDict, folder: Path) -> dict[str, Any]:
    """As `run`; returns what `results.json` holds.

    Raises:
        FileNotFoundError: The table, the checkpoint or the dataset is not there.
        ValueError: One of them cannot be read, they do not fit, nothing of the table has episodes,
            or the episodes have no region labels.
    """
    from iss_jax.against_success.answer import nmr_answer
    from iss_jax.against_success.job import write_results
    from iss_jax.against_success.join import join
    from iss_jax.against_success.labelled import check_labelled
    from iss_jax.against_success.measured import measure_chosen
    from iss_jax.against_success.report import report_text
    from iss_jax.data.add_metadata import add_metadata, read_metadata_table
    from iss_jax.data.dataset import open_dataset
    from iss_jax.data.success import read_table
    from iss_jax.jobs import versions
    from iss_jax.jobs.answer import write_answer
    from iss_jax.jobs.directory import open_run
    from iss_jax.jobs.packaged import located
    from iss_jax.jobs.report import write_report

    if not config.success:
        raise ValueError("--success: none given; wanted a CSV file with task,trials,successes")
    table = read_table(located(config.success, "success"))
    if config.metadata:
        given = read_metadata_table(config.metadata)
        written = add_metadata(open_dataset(located(config.dataset, "dataset")), given)
        print(f"metadata of {len(given)} episodes: {written}")
    options = options_of(config)
    dataset = open_dataset(located(options.dataset, "dataset"))
    joined = join(table, dataset, policy_seed=config.policy_seed, splits=words_of(config.splits))
    chosen = joined.chosen(options, dataset)
    if not options.quiet:
        print(joined_text(joined, frames=sum(len(one.frames) for one in chosen)))
    if not chosen:
        raise ValueError(f"--seeds: {options.seeds} given, no row of the table has one of them")
    # Before the parameters are read, which takes its time.
    check_labelled(dataset, chosen[0].episode, options.frame_options)
    options.effect_options.check(dataset)
    directory = open_run(folder, config, version=versions.MAPS)
    policy, dataset = options.load()
    found = measure_chosen(options, directory, policy, dataset, joined.success, chosen)
    content, figures = write_results(directory, options, found)
    write_answer(directory.path, nmr_answer(content))
    page = write_report(directory.path)
    if not options.quiet:
        print(report_text(directory, content, options.percents, figures))
        if "fill" in content:
            print(f"fill:          {content['fill']}")
        print(f"page:          {page}")
    return content


def options_of(config: ml_collections.ConfigDict) -> "Options":
    """The options of the job, of which table and episodes say which rows and seeds there are."""
    from iss_jax.against_success.options import Options

    own = {field.name for field in dataclasses.fields(Options)}
    content = {key: value for key, value in config.to_dict().items() if key in own}
    content |= policy_options(config)
    content |= {
        "policy_seed": config.policy_seed or 0,
        "splits": words_of(config.splits),
        "split_key": "",
        "seed_key": "",
        "seeds": tuple(config.seeds),
        "percents": tuple(config.percents),
    }
    return Options(**content)


def joined_text(joined: "Joined", *, frames: int) -> str:
    """What of the table and of the episodes found each other, and what was left out."""
    tasks = len({key[:3] for key in joined.success})
    episodes = sum(map(len, joined.episodes.values()))
    first = (
        f"success table: {len(joined.success)} rows of {tasks} tasks have {episodes} episodes; "
        f"{frames} frames are measured."
    )
    return "\n".join([first, *(f"  note: {note}" for note in joined.notes)])
