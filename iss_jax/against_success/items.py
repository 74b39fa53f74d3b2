"""Work items of the NMR experiment: which frames of which episodes under which seeds."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from iss_jax import ISSConfig
from iss_jax.against_success.options import Options
from iss_jax.against_success.rows import Key
from iss_jax.data.dataset import Dataset, Episodes
from iss_jax.data.strided import strided_frames
from iss_jax.data.success import ALL_SPLITS, Success
from iss_jax.few import few
from iss_jax.policies.frames import source_of
from iss_jax.policies.prompt_length import longest_prompt
from iss_jax.policies.restored import Policy

Task = tuple[str, str, str]  # suite, task, split


def work_items(
    options: Options,
    iss: ISSConfig,
    dataset: Dataset,
    policy: Policy,
    success: Mapping[Key, Success],
    chosen: "Sequence[Chosen] | None" = None,
) -> list[dict[str, Any]]:
    """An item per task, seed and episode; it holds everything that its result depends on.

    Args:
        options: of the job.
        iss: options of ISS.
        dataset: the episodes.
        policy: the policy.
        success: its success.
        chosen: which frames; those of `chosen_frames` when None.

    Raises:
        ValueError: an episode lacks the metadata that name its task, nothing is left to do, or the
            success table lacks a task or seed; the message names it.
    """
    if chosen is None:
        chosen = chosen_frames(options, dataset, success)
    common = {
        "experiment": "nmr_correlation",
        "checkpoint": policy.fingerprint,
        "dtype": options.dtype,
        "cameras": options.cameras,
        "discrete_state_input": options.discrete_state_input,
        "max_token_len": token_length(options, dataset, policy),
        "action_horizon": options.action_horizon,
        "num_steps": options.num_steps,
        "iss": dataclasses.asdict(iss),
        "percents": list(options.percents),
        "control_draws": options.control_draws,
        "batch": options.batch,
        **options.mirror_key,
        **options.effect_options.key(dataset),
    }
    return [
        {
            **common,
            "suite": one.suite,
            "task": one.task,
            "split": one.split,
            "seed": one.seed,
            "episode": one.episode,
            **source_of(dataset, one.episode),
            "frames": one.frames,
        }
        for one in chosen
    ]


class Chosen(NamedTuple):
    """Frames of one episode that are explained under one seed."""

    suite: str
    task: str
    split: str
    seed: int
    episode: int
    frames: list[int]


def chosen_frames(
    options: Options, dataset: Episodes, success: Mapping[Key, Success]
) -> list[Chosen]:
    """The frames of every task, seed and episode that the options ask for.

    Raises:
        ValueError: as `work_items`.
    """
    chosen = choose_episodes(options, dataset)
    seeds = options.seeds or tuple(dict.fromkeys(key[3] for key in success))
    unknown = [(*task, seed) for task in chosen for seed in seeds if (*task, seed) not in success]
    if unknown or not chosen or not seeds:
        raise ValueError(
            f"success table: {len(unknown)} of {len(chosen) * len(seeds)} wanted rows (suite, "
            f"task, split, seed) of policy_seed {options.policy_seed} are missing, such as "
            f"{few(unknown, 3)}; it has {few(success, 3)}"
        )
    return frames_of(options, dataset, chosen, [(*task, seed) for task in chosen for seed in seeds])


def frames_of(
    options: Options,
    dataset: Episodes,
    episodes: Mapping[Task, list[int]],
    keys: Iterable[Key],
) -> list[Chosen]:
    """The frames of some rows of a success table.

    Args:
        options: how many of a row's episodes and of their frames.
        dataset: the episodes.
        episodes: those of every task.
        keys: the rows.
    """
    return [
        Chosen(
            suite,
            task,
            split,
            seed,
            episode,
            strided_frames(
                dataset.metadata(episode)["length"], options.stride, options.frames_per_episode
            ),
        )
        for suite, task, split, seed in keys
        for episode in _of_seed(options, dataset, episodes[suite, task, split], seed)
    ]


def _of_seed(options: Options, dataset: Episodes, episodes: list[int], seed: int) -> list[int]:
    """As many episodes as the options say; where episodes have seeds, those of that seed.

    One that says no seed is of the only one that there is, see `iss_jax.against_success.join`.
    """
    if options.seed_key:
        episodes = [e for e in episodes if dataset.metadata(e).get(options.seed_key, seed) == seed]
    return episodes[: options.episodes_per_task or None]


def choose_episodes(options: Options, dataset: Episodes) -> dict[Task, list[int]]:
    """The episodes of the first tasks, as many tasks as the options say.

    Raises:
        ValueError: an episode lacks the metadata that name its task.
    """
    chosen: dict[Task, list[int]] = {}
    for episode in range(len(dataset)):
        line = dataset.metadata(episode)
        wanted = ["suite", "task", *filter(None, [options.split_key, options.seed_key])]
        missing = [name for name in wanted if name not in line]
        if missing:
            raise ValueError(f"{dataset.root}: episode {episode} lacks the metadata {missing}")
        split = line[options.split_key] if options.split_key else ALL_SPLITS
        if not options.splits or split in options.splits:
            chosen.setdefault((line["suite"], line["task"], split), []).append(episode)
    return dict(list(chosen.items())[: options.num_tasks or None])


def token_length(options: Options, dataset: Dataset, policy: Policy) -> int:
    """One prompt length for the whole run, hence one compilation."""
    prompts = {dataset.metadata(episode)["tasks"][0] for episode in range(len(dataset))}
    state_size = dataset.state_size if options.discrete_state_input else None
    return longest_prompt(policy.tokenizer, prompts, state_size, most=options.max_token_len)
