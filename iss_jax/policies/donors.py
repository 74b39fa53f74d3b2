"""A bank of donor frames from a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from iss_jax.background import Background, Groups
from iss_jax.data.dataset import Dataset
from iss_jax.data.regions import fit_regions
from iss_jax.modalities import Texts
from iss_jax.pi05.normalize import normalize
from iss_jax.pi05.observation import resize_with_pad
from iss_jax.pi05.tokenizer import tokenize_prompts
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.policies.openpi import OpenpiPolicy
from iss_jax.policies.restored import Policy


def donor_frames(dataset: Dataset, most: int, seed: int = 0) -> list[tuple[int, int]]:
    """Episode and frame of each donor: as many of every task as there is room for.

    Args:
        dataset: The episodes.
        most: Donors wanted.
        seed: Of the choice within a task.

    Raises:
        ValueError: Fewer than one donor is wanted.
    """
    if most < 1:
        raise ValueError(f"donors: at least 1 wanted, got {most}")
    rng = np.random.default_rng(seed)
    by_task: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for episode in range(len(dataset)):
        line = dataset.metadata(episode)
        by_task.setdefault(task_of(line), []).append((episode, int(rng.integers(line["length"]))))
    for frames in by_task.values():
        rng.shuffle(frames)
    rounds = max(map(len, by_task.values()), default=0)
    dealt = [own[i] for i in range(rounds) for own in by_task.values() if i < len(own)]
    return sorted((int(episode), int(frame)) for episode, frame in dealt[:most])


def task_of(line: Mapping[str, object]) -> tuple[str, str]:
    """Suite and task of an episode; the instruction where the metadata name no task."""
    tasks = line.get("tasks")
    prompt = str(tasks[0]) if isinstance(tasks, Sequence) and tasks else ""
    return str(line.get("suite", "")), str(line.get("task", prompt))


def background(
    dataset: Dataset, image_size: int, options: FrameOptions, *, most: int = 128, seed: int = 0
) -> Background:
    """Donors from a dataset, as a policy sees them, with labels where all that are drawn have them.

    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> dataset = open_dataset(embedded.episodes_path())
    >>> bank = background(dataset, 80, FrameOptions(), most=4)
    >>> len(bank), bank.images["base_0_rgb"].shape, len(bank.tasks)
    (4, (4, 80, 80, 3), 41)

    Args:
        dataset: Episodes of several tasks: a frame draws no donor of its own task.
        image_size: Side of the policy's images, pixels.
        options: Cameras and mirroring.
        most: Donors, spread over the tasks.
        seed: Of the choice.

    Raises:
        ValueError: As `read_frames`, or fewer than one donor.
    """
    chosen = donor_frames(dataset, most, seed)
    tasks = list(dict.fromkeys(task_of(dataset.metadata(i)) for i in range(len(dataset))))
    read = [read_frames(dataset, e, [f], options, labels="optional") for e, f in chosen]
    used = options.used
    labelled = all(set(used.values()) <= set(episode.regions) for episode in read)
    images: dict[str, list[np.ndarray]] = {view: [] for view in used}
    regions: dict[str, list[np.ndarray]] = {view: [] for view in used}
    for episode in read:
        for view, camera in used.items():
            frame = jnp.asarray(episode.images[camera])
            images[view].append(np.asarray(resize_with_pad(frame, image_size, image_size)))
            if labelled:
                fitted, _ = fit_regions(episode.regions[camera], image_size, image_size)
                regions[view].append(fitted)
    return Background(
        images={view: jnp.asarray(np.concatenate(own)) for view, own in images.items()},
        regions={view: jnp.asarray(np.concatenate(own)) for view, own in regions.items()}
        if labelled
        else None,
        episode=jnp.array([episode for episode, _ in chosen], jnp.int32),
        task=jnp.array([tasks.index(task_of(dataset.metadata(e))) for e, _ in chosen], jnp.int32),
        state=jnp.asarray(np.concatenate([episode.state for episode in read])),
        tasks=tuple("/".join(filter(None, task)) for task in tasks),
        prompts=tuple(episode.prompt for episode in read),
    )


def groups(dataset: Dataset, bank: Background, episodes: Sequence[int]) -> Groups:
    """Episode and task of explained frames of the bank's own dataset.

    Args:
        dataset: That the bank was made from.
        bank: As `background` gives it.
        episodes: Of each frame.
    """
    names = ["/".join(filter(None, task_of(dataset.metadata(e)))) for e in episodes]
    numbers = {name: number for number, name in enumerate(bank.tasks)}
    return Groups(
        jnp.array(list(episodes), jnp.int32),
        jnp.array([numbers.get(name, -1) for name in names], jnp.int32),
    )


def donor_texts(
    policy: Policy,
    bank: Background,
    prompts: Sequence[str],
    states: Float[np.ndarray, "b s"],
    options: FrameOptions,
) -> Texts:
    """Tokens of donors' instructions and states, as a restored policy reads them.

    For `iss_jax.modalities.modality_effects`, which has an example. A π0 reads its state beside the
    prompt; a π0.5 without `discrete_state_input` reads none.

    Args:
        policy: Whose tokenizer and statistics count.
        bank: As `background` gives it.
        prompts: Instruction of each explained frame.
        states: Their states, in robot units.
        options: Length of prompts, and whether they hold the state.

    Raises:
        ValueError: A bank without instructions and states, or of others' number of dimensions.
    """
    donors, given = _texts(bank), np.asarray(states)
    if given.shape[1:] != donors.states.shape[1:]:
        raise ValueError(
            f"states must be [b, {donors.states.shape[1]}] like the donors', got "
            f"{list(given.shape)}"
        )
    rows = [
        row
        for prompt, state in zip(prompts, given, strict=True)
        for row in donors.beside(prompt, state)
    ]
    normal = normalize(
        np.stack([state for _, state in rows]), policy.norm_stats["state"], policy.normalisation
    )
    read = options.discrete_state_input and not policy.reads_state
    tokens, mask = tokenize_prompts(
        policy.tokenizer,
        [prompt for prompt, _ in rows],
        normal if read else None,
        options.max_token_len,
    )
    shape = (len(given), len(bank), 3)
    return Texts(
        *(jnp.asarray(own).reshape(*shape, -1) for own in (tokens, mask, np.asarray(normal)))
    )


def live_texts(policy: OpenpiPolicy, bank: Background, raw: Mapping[str, object]) -> Texts:
    """Tokens of donors' instructions and states, as a policy's own input transform makes them.

    For policies of `from_checkpoint`, `from_params` and `from_policy`; the observation is
    `policy.observe(raw)`, a batch of one. The transform runs three times a donor.

    >>> import numpy as np
    >>> import iss_jax
    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    >>> bank = background(open_dataset(embedded.episodes_path()), 80, FrameOptions(), most=2)
    >>> cameras = policy.config.cameras.values()
    >>> frames = {camera: np.zeros((80, 80, 3), np.uint8) for camera in cameras}
    >>> raw = policy.config.join(frames, np.zeros(8), "pick up the milk")
    >>> texts = live_texts(policy, bank, raw)
    >>> texts.tokens.shape[-1] == policy.observe(raw).tokenized_prompt.shape[-1]
    True

    Args:
        policy: With a `PolicyConfig`, which says where state and instruction stand.
        bank: As `background` gives it.
        raw: The robot's dict of the explained frame.

    Raises:
        ValueError: A policy without a configuration, or a bank without instructions and states.
    """
    if policy.config is None:
        raise ValueError(
            "policy: no PolicyConfig, which says where state and instruction stand in the robot's "
            "dict; wanted one, from_policy(policy, config=...)"
        )
    frames, state, prompt = policy.config.split(raw)
    seen = [
        policy.observe(policy.config.join(frames, state, text))
        for text, state in _texts(bank).beside(prompt, state)
    ]
    names = ("tokenized_prompt", "tokenized_prompt_mask", "state")
    return Texts(
        *(
            jnp.concatenate([jnp.asarray(getattr(one, name)) for one in seen]).reshape(
                1, len(bank), 3, -1
            )
            for name in names
        )
    )


class _DonorTexts(NamedTuple):
    prompts: tuple[str, ...]
    states: Float[np.ndarray, "r s"]

    def beside(
        self, prompt: str, state: Float[np.ndarray, " s"]
    ) -> Iterator[tuple[str, Float[np.ndarray, " s"]]]:
        """In the order of `Texts`, of every donor: its instruction, its state, both."""
        for other, moved in zip(self.prompts, self.states, strict=True):
            yield other, state
            yield prompt, moved
            yield other, moved


def _texts(bank: Background) -> _DonorTexts:
    if bank.state is None or len(bank.prompts) != len(bank):
        raise ValueError(
            "background: instruction and state of every donor wanted, as "
            "iss_jax.policies.donors.background gives them, got "
            f"{len(bank.prompts)} instructions and {'no' if bank.state is None else 'their'} states"
        )
    return _DonorTexts(bank.prompts, np.asarray(bank.state))
