"""What the embedded policy does under each of ten instructions: what students are taught."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from experiments.causes.scenes import Source
from experiments.planted.cue import INSTRUCTIONS
from iss_jax.pi05 import model
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import Observation, preprocess
from iss_jax.policies.frames import read_frames
from iss_jax.policies.restored import Policy
from iss_jax.sampling import Sampling


class Frame(NamedTuple):
    """One frame without a cue.

    Attributes:
        task: Suite and task.
        episode: Its number in the dataset.
        number: Of the frame in its episode.
        images: View -> frame.
        state: Of the robot.
        own: Place of its own instruction in `INSTRUCTIONS`, -1 where it has another.
    """

    task: str
    episode: int
    number: int
    images: dict[str, UInt8[np.ndarray, "h w 3"]]
    state: Float[np.ndarray, " s"]
    own: int

    @property
    def name(self) -> tuple[str, int, int]:
        """What tells it from others."""
        return self.task, self.episode, self.number


def frames_of(source: Source, tasks: Sequence[str]) -> list[Frame]:
    """All frames of some tasks."""
    found = []
    for index, task in enumerate(source.tasks):
        if task not in tasks:
            continue
        episode = read_frames(source.dataset, index, slice(None), source.options, labels="none")
        own = INSTRUCTIONS.index(episode.prompt) if episode.prompt in INSTRUCTIONS else -1
        for number in range(len(episode)):
            images = {
                view: np.asarray(episode.images[camera][number])
                for view, camera in source.options.used.items()
            }
            found.append(Frame(task, index, number, images, episode.state[number], own))
    return found


def observe(
    policy: Policy,
    images: Sequence[dict[str, UInt8[np.ndarray, "h w 3"]]],
    states: Sequence[Float[np.ndarray, " s"]],
    named: Sequence[int],
    longest: int,
) -> Observation:
    """Frames under instructions, as the policy sees them."""
    views = list(images[0])
    obs = make_observation(
        {view: np.stack([one[view] for one in images]) for view in views},
        np.stack(states),
        [INSTRUCTIONS[i] for i in named],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=longest,
        cameras={view: view for view in views},
    )
    return preprocess(obs, policy.image_size)


def answers(
    policy: Policy,
    frames: Sequence[Frame],
    *,
    key: Array,
    draws: int,
    num_steps: int,
    longest: int,
    horizon: int,
) -> Float[np.ndarray, "n objects draws horizon dims"]:
    """The policy's actions on every frame under every instruction, normalised.

    Args:
        policy: The teacher.
        frames: Without cues.
        key: Of the flow noise.
        draws: Of it.
        num_steps: Euler steps.
        longest: Prompts are padded or cut to this.
        horizon: Of the actions.
    """
    count = len(INSTRUCTIONS)
    sampling = Sampling(num_steps=num_steps)
    found = []
    for i, frame in enumerate(frames):
        obs = observe(policy, [frame.images] * count, [frame.state] * count, range(count), longest)
        shape = (draws, horizon, len(policy.norm_stats["actions"].mean))
        noise = jax.random.normal(jax.random.fold_in(key, i), shape)
        found.append(np.asarray(_act(policy.params, obs, noise, sampling=sampling)))
    return np.stack(found)


@partial(jax.jit, static_argnames=("sampling",))
def _act(params: Any, obs: Observation, noise: Array, *, sampling: Sampling) -> Array:
    assert obs.tokenized_prompt is not None
    rows = obs.tokenized_prompt.shape[0]
    one = lambda draw: model.sample_actions(  # noqa: E731
        params, obs, jnp.broadcast_to(draw[None], (rows, *draw.shape)), sampling
    )
    return jnp.moveaxis(jax.lax.map(one, noise), 0, 1)
