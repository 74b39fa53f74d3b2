"""Blocks of single frames: recorded robot configurations among newly drawn layouts, no physics.

What limits imitation here is the variety of layouts, not of motions, and a layout costs one
rendering. A frame's label is the chunk of the expert, acted out in `hand_response`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from iss_jax.data.dataset import open_dataset
from iss_jax.data.episode import Episode
from iss_jax.envs.demonstrations import ACTION_HORIZON
from iss_jax.envs.experts import scene_of
from iss_jax.envs.hand_response import expert_chunk
from iss_jax.envs.layouts import CLEARANCE, SEPARATION, NoLayoutError
from iss_jax.envs.libero import LiberoEnv
from iss_jax.envs.relations import put_target, told_apart_by_place

_FPS = 10.0  # nominal: frames of a block do not follow each other
_ROBOT_JOINTS = 9
_STILL = 0.003  # metres: an object that moved less has not been touched
_SCATTER = 0.01  # metres, standard deviation of an object around where the recording had it
_ATTEMPTS = 60


class StaticOptions(Protocol):
    """The options of `configs/collect.py` that are used here."""

    @property
    def layouts(self) -> tuple[str, ...]:
        """Names of the layouts that are drawn."""
        ...

    @property
    def layout_shares(self) -> tuple[float, ...]:
        """Share of the blocks of each layout."""
        ...

    @property
    def first_init_state(self) -> int:
        """The first initial state that is used."""
        ...

    @property
    def last_init_state(self) -> int:
        """The last initial state that is used."""
        ...

    @property
    def frames_per_block(self) -> int:
        """Frames of one block."""
        ...

    @property
    def near_share(self) -> float:
        """Share of the frames near the wanted object."""
        ...

    @property
    def decoy_share(self) -> float:
        """Share of the frames near another object."""
        ...

    @property
    def regions(self) -> bool:
        """Whether region labels are rendered."""
        ...


@dataclasses.dataclass(frozen=True)
class Sources:
    """n recorded configurations of the robot, from before the object was touched.

    Attributes:
        qpos: arm and fingers, `[n, 9]`.
        qvel: likewise.
        wanted: where the wanted object stood, x and y, `[n, 2]`.
        prompt: the instruction, one a configuration.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    wanted: np.ndarray
    prompt: np.ndarray


def load_sources(roots: Sequence[str], hinges: int) -> Sources:
    """Reads the configurations of recorded demonstrations.

    Args:
        roots: the datasets.
        hinges: joints of fixtures (drawers, knobs) in the recorded scenes.

    Raises:
        ValueError: no demonstrations, or of scenes of different sizes.
    """
    parts: list[tuple[np.ndarray, ...]] = []
    for root in roots:
        dataset = open_dataset(root)
        for index in range(len(dataset)):
            episode = dataset.read(index, regions=False)
            target = episode.features["target_position"]
            still = np.linalg.norm(target - target[0], axis=1) < _STILL
            still &= np.cumsum(~still) == 0
            # The state is (time, positions, velocities); a free body has seven positions and six
            # velocities.
            state = episode.features["simulator_state"][still]
            bodies = (state.shape[1] - 1 - 2 * (_ROBOT_JOINTS + hinges)) // 13
            start = 1 + _ROBOT_JOINTS + hinges + 7 * bodies
            parts.append(
                (
                    state[:, 1 : 1 + _ROBOT_JOINTS],
                    state[:, start : start + _ROBOT_JOINTS],
                    target[still, :2].astype(np.float64),
                    np.full(int(still.sum()), episode.prompt),
                )
            )
    if not parts:
        raise ValueError(f"no demonstrations in {list(roots)}")
    return Sources(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def block(
    env: LiberoEnv, options: StaticOptions, sources: Sources, number: int, rng: np.random.Generator
) -> Episode:
    """Frames of one scene and one instruction, each with a layout and a configuration of its own.

    Args:
        env: the scene.
        options: see `configs/collect.py`.
        sources: configurations of the robot.
        number: of the block among the scene's; it decides which object is wanted.
        rng: the source of randomness.

    Returns:
        An episode whose frames are independent, with the features of demonstrations.
    """
    by_place = told_apart_by_place(env)
    own = env.target
    objects = (own,) if by_place and own is not None else env.shuffled_objects
    target = objects[number % len(objects)]
    init_state = int(rng.integers(options.first_init_state, options.last_init_state + 1))
    env.reset(init_state, target=target)
    settled = env.simulator_state()
    prompts = {}
    for name in objects:
        env.set_target(name)
        prompts[name] = env.prompt
    env.set_target(target)

    images, regions, states, chunks, targets, simulator = [], [], [], [], [], []
    for _ in range(options.frames_per_block):
        _pose(env, options, sources, settled, prompts, target, rng)
        scene = scene_of(env)
        chunk, _ = expert_chunk(scene, env.eef_twist, ACTION_HORIZON)
        frame = env.observation(options.regions)
        images.append(frame.images)
        regions.append(frame.regions)
        states.append(frame.state)
        chunks.append(chunk)
        targets.append(scene.target_position)
        simulator.append(env.simulator_state())
    chunk_array = np.stack(chunks)
    return Episode(
        images={c: np.stack([f[c] for f in images]) for c in images[0]},
        regions={c: np.stack([f[c] for f in regions]) for c in regions[0]},
        state=np.stack(states),
        action=chunk_array[:, 0],
        prompt=env.prompt,
        fps=_FPS,
        features={
            "action_chunk": chunk_array,
            "action_chunk_valid": np.ones(chunk_array.shape[:2], bool),
            "target_position": np.stack(targets).astype(np.float32),
            "simulator_state": np.stack(simulator),
        },
        metadata={
            "kind": "static",
            "suite": env.task.suite,
            "task": env.prompt.replace(" ", "_"),
            "scene": env.task.name,
            "init_state": init_state,
        },
    )


def _pose(
    env: LiberoEnv,
    options: StaticOptions,
    sources: Sources,
    settled: np.ndarray,
    prompts: dict[str, str],
    target: str,
    rng: np.random.Generator,
) -> None:
    """Draws layout and configuration until objects are apart and the robot touches none."""
    others = [name for name in prompts if name != target]
    for _ in range(_ATTEMPTS):
        env.set_simulator_state(settled)
        layout = str(rng.choice(options.layouts, p=options.layout_shares))
        if layout != "native":
            try:
                env.place(layout, rng)
            except NoLayoutError:
                continue
        kind = rng.random()
        # Under the hand: the wanted object, another one as a decoy, or whatever the layout has.
        if kind < options.near_share:
            near = target
        elif others and kind < options.near_share + options.decoy_share:
            near = others[rng.integers(len(others))]
        else:
            near = None
        chosen = np.arange(len(sources.prompt))
        if near is not None:
            same = np.flatnonzero(sources.prompt == prompts[near])
            chosen = same if len(same) else chosen
        source = int(rng.choice(chosen))
        if near is not None:
            spot = sources.wanted[source] + rng.normal(0.0, _SCATTER, 2)
            if told_apart_by_place(env):
                if not put_target(env, spot):
                    continue
            elif not _put(env, near, spot, list(prompts)):
                continue
        env.pose_robot(sources.qpos[source], sources.qvel[source])
        if not env.robot_touches():
            return
    raise RuntimeError(f"no free configuration in {_ATTEMPTS} attempts for {env.task.name}")


def _put(env: LiberoEnv, name: str, spot: np.ndarray, names: list[str]) -> bool:
    """Puts an object at a spot; one that stands there takes its place. False where none fits."""
    places = {other: env.object_position(other)[:2] for other in names}
    for other in names:
        if other != name and np.linalg.norm(places[other] - spot) < SEPARATION:
            places[other] = places[name]
            break
    places[name] = spot
    points = np.stack(list(places.values()))
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    gaps[np.diag_indices(len(points))] = np.inf
    if env.receptacle is not None:
        basket = env.object_position(env.receptacle)[:2]
        if np.linalg.norm(points - basket, axis=1).min() < CLEARANCE:
            return False
    if gaps.min() < SEPARATION:
        return False
    env.move_objects(places)
    return True
