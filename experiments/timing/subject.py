"""What the benchmarks run: a policy, from a checkpoint or of random weights, and an observation."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax.data.dataset import open_dataset
from iss_jax.jobs.packaged import located
from iss_jax.pi05 import params as pi05
from iss_jax.pi05.observation import DEFAULT_CAMERAS, VIEWS, Observation
from iss_jax.policies.chunks import robot_dims, warn_of_chunks
from iss_jax.policies.frames import FrameOptions, read_frames, see
from iss_jax.policies.restored import load_policy

RANDOM = {
    "pi05": pi05.PI05,
    # Wide enough that matrix products are what takes the time on a CPU.
    "middle": dataclasses.replace(
        pi05.PI05,
        image=pi05.ImageTower(width=256, depth=4, mlp=1024, heads=4, patch=14, tokens=64),
        vlm=pi05.Expert(width=512, mlp=2048),
        action=pi05.Expert(width=256, mlp=1024),
        depth=6,
        heads=8,
        head_dim=64,
        vocab=1024,
    ),
    # All of π0.5's parts at sizes that compile and run in seconds.
    "shrunk": dataclasses.replace(
        pi05.PI05,
        image=pi05.ImageTower(width=32, depth=2, mlp=64, heads=2, patch=14, tokens=16),
        vlm=pi05.Expert(width=64, mlp=128),
        action=pi05.Expert(width=32, mlp=64),
        depth=2,
        heads=2,
        head_dim=16,
        vocab=128,
    ),
}
"""Models of random weights, by name."""


@dataclasses.dataclass(frozen=True)
class SubjectOptions:
    """What is benchmarked.

    Attributes:
        policy: "embedded", a checkpoint's folder, or a name in `RANDOM`.
        depth: layers of a random policy's language model and, scaled, of its image encoder; its
            own when 0.
        dtype: of its parameters and of its computing.
        dataset: "embedded" or a folder; unused by random policies.
        tokenizer: sentencepiece file; the checkpoint's own when empty.
        episode: of the dataset.
        frame: of the episode.
        prompt_length: the prompt with its padding.
        valid_tokens: its length without, for random policies.
        present_views: views that are there, for random policies.
        action_horizon: H.
    """

    policy: str
    depth: int
    dtype: str
    dataset: str
    tokenizer: str
    episode: int
    frame: int
    prompt_length: int
    valid_tokens: int
    present_views: int
    action_horizon: int


@dataclasses.dataclass(frozen=True)
class Subject:
    """A policy and one observation, batch 1, with the flow noise that all runs share."""

    params: Any
    obs: Observation
    noise: jax.Array
    sizes: pi05.Sizes

    @property
    def valid_tokens(self) -> int:
        """Length of the prompt without its padding."""
        return int(np.sum(np.asarray(self.obs.tokenized_prompt_mask)))

    @property
    def prompt_length(self) -> int:
        """Length of the prompt with its padding."""
        prompt = self.obs.tokenized_prompt
        assert prompt is not None
        return prompt.shape[1]

    @property
    def present_views(self) -> int:
        """Views that are there."""
        return sum(bool(np.asarray(mask).any()) for mask in self.obs.image_masks.values())


def make_subject(options: SubjectOptions) -> Subject:
    """The policy and the observation that the options name.

    Raises:
        FileNotFoundError: a checkpoint or dataset that is not there.
    """
    if options.policy in RANDOM:
        sizes = with_depth(RANDOM[options.policy], options.depth)
        params = random_params(sizes, options.dtype)
        obs = random_observation(sizes, options)
    else:
        policy = load_policy(
            located(options.policy, "checkpoint"),
            tokenizer=options.tokenizer,
            dtype=options.dtype,
        )
        params, sizes = policy.params, pi05.sizes_of(policy.params)
        dataset = open_dataset(located(options.dataset, "dataset"))
        warn_of_chunks(dataset, options.action_horizon, robot_dims(policy.norm_stats))
        there = {v: c for v, c in DEFAULT_CAMERAS.items() if c in dataset.cameras}
        shown = FrameOptions(there, max_token_len=options.prompt_length)
        frames = read_frames(dataset, options.episode, [options.frame], shown, labels="none")
        obs = see(frames, policy, shown).obs
    return Subject(params, obs, _noise(sizes, options), sizes)


def subject_shapes(options: SubjectOptions) -> Subject:
    """A random policy with shapes in place of its parameters: enough to trace, lower and compile.

    Raises:
        ValueError: a policy that is none of `RANDOM`.
    """
    if options.policy not in RANDOM:
        raise ValueError(f"subject.policy {options.policy!r} given, one of {[*RANDOM]} wanted")
    sizes = with_depth(RANDOM[options.policy], options.depth)
    params = jax.eval_shape(lambda: random_params(sizes, options.dtype))
    return Subject(params, random_observation(sizes, options), _noise(sizes, options), sizes)


def _noise(sizes: pi05.Sizes, options: SubjectOptions) -> jax.Array:
    shape = (1, options.action_horizon, sizes.action_dim)
    return jax.random.normal(jax.random.key(0), shape, jnp.float32)


def with_depth(sizes: pi05.Sizes, depth: int) -> pi05.Sizes:
    """The model with so many language layers and an image encoder cut alike; itself for 0."""
    if not depth:
        return sizes
    image = max(1, round(sizes.image.depth * depth / sizes.depth))
    return dataclasses.replace(
        sizes, depth=depth, image=dataclasses.replace(sizes.image, depth=image)
    )


def random_params(sizes: pi05.Sizes, dtype: str) -> Any:
    """Random weights, made by the device that will use them: nothing of them on the host."""

    def make(key: jax.Array) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(dtype), pi05.init(key, sizes))

    return jax.jit(make)(jax.random.key(0))


def random_observation(sizes: pi05.Sizes, options: SubjectOptions) -> Observation:
    """Random frames and prompt; the last views are absent."""
    side, rng = sizes.image.image_size, np.random.default_rng(0)
    prompt = rng.integers(1, sizes.vocab, (1, options.prompt_length)).astype(np.int32)
    return Observation(
        images={
            view: jnp.asarray(rng.integers(0, 256, (1, side, side, 3)).astype(np.uint8))
            for view in VIEWS
        },
        image_masks={
            view: jnp.full(1, index < options.present_views) for index, view in enumerate(VIEWS)
        },
        state=jnp.zeros((1, sizes.action_dim), jnp.float32),
        tokenized_prompt=jnp.asarray(prompt),
        tokenized_prompt_mask=jnp.arange(options.prompt_length)[None] < options.valid_tokens,
    )
