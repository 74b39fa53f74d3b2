"""Effects of players on a policy that can only be asked: one call a run.

A server that draws its own flow noise moves its actions even where nothing is replaced. Twice the
sample variance of R unmasked calls is subtracted from every effect (`iss_jax.policies.own_noise`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from iss_jax.background import Background
from iss_jax.checks import check_count, check_options
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.pi05.observation import VIEWS
from iss_jax.player_attribution import attribute_players as attribute_any
from iss_jax.players import Players
from iss_jax.policies.answers import actions_of
from iss_jax.policies.configs import PolicyConfig, named
from iss_jax.policies.own_noise import less_noise, spread
from iss_jax.policies.served import Infer
from iss_jax.policies.units import check_scale
from iss_jax.results import Cameras, effect_unit

__all__ = ["attribute_players"]


def attribute_players(
    infer: Infer,
    raw: Mapping[str, Any],
    robot: str | PolicyConfig,
    players: Players | Mapping[str, Int[Array, "h w"]],
    background: Background | Mapping[str, Float[Array, "r h w 3"]] | None = None,
    *,
    key: Key[Array, ""] | None = None,
    config: EffectsConfig = EffectsConfig(),
    scale: Any = None,
    baseline_calls: int = 4,
    progress: Callable[[int, int], object] | None = None,
) -> Effects:
    """Effects of players on a served policy, for one observation.

    >>> import numpy as np
    >>> from iss_jax import EffectsConfig
    >>> from iss_jax.policies.configs import PolicyConfig
    >>> arm = PolicyConfig("arm", {"base_0_rgb": "front"}, {"state": 1}, 1, 3)
    >>> def infer(raw):  # looks at the upper half
    ...     return {"actions": raw["front"][:4].mean((0, 1))[None] / 255}
    >>> raw = {"front": np.zeros((8, 8, 3), np.uint8), "state": [0.0], "prompt": "reach"}
    >>> halves = {"base_0_rgb": np.repeat([0, 1], 4)[:, None] * np.ones((1, 8), np.int32)}
    >>> donors = {"base_0_rgb": np.full((2, 8, 8, 3), 255, np.uint8)}
    >>> found = attribute_players(infer, raw, arm, halves, donors, config=EffectsConfig(draws=2))
    >>> found.share.tolist(), float(found.floor)
    ([1.0, 0.0], 0.0)

    Args:
        infer: Observation -> a dict with `actions` [H, a]; `PolicyClient.infer`, or any other.
        raw: The robot's dict; all that is not a camera is sent along unchanged.
        robot: Which entries are cameras (`PolicyConfig`, or its name).
        players: View -> labels at its camera's size.
        background: Donor frames of each view at its camera's size, uint8.
        key: Of donors and sets, `jax.random.key(0)` when None.
        config: Static options; frames are sent one at a time, whatever `micro_batch` says.
        scale: [a], the actions' unit in each dimension; in the server's own units when None.
        baseline_calls: R, unmasked calls, of which the noise floor is estimated; at least 2.
        progress: Called with (answers so far, answers wanted).

    Returns:
        `Effects` without a batch axis, less the floor; `floor` is what was subtracted.

    Raises:
        ValueError: Frames, players, donors or answers of the wrong form.
        Exception: What `infer` raises.
    """
    robot = named(robot)
    config = check_options("config", config, EffectsConfig)
    check_count("baseline_calls", baseline_calls, 2)
    if scale is not None:
        check_scale(scale)
    frames, _, _ = robot.split(raw)
    cameras = {
        view: robot.cameras[view]
        for view in VIEWS
        if view in robot.cameras and robot.cameras[view] in frames
    }
    wrong = {c: str(frames[c].dtype) for c in cameras.values() if frames[c].dtype != np.uint8}
    if wrong:
        raise ValueError(f"cameras must send uint8 frames, got {wrong}")
    unit = 1.0 if scale is None else np.asarray(scale, np.float32)
    count = len(players) if isinstance(players, Players) else _number(players)
    beside = int(config.tint) + len(cameras) * int(config.views)
    wanted = baseline_calls + config.runs(count, beside) + 1
    asked: list[tuple[int, ...]] = []

    def ask(copies: Mapping[str, np.ndarray]) -> np.ndarray:
        answer = infer(robot.with_frames(raw, copies))
        chunk = actions_of(answer, f"answer {len(asked)}", asked[0] if asked else None)
        asked.append(chunk.shape)
        if progress is not None:
            progress(len(asked), wanted)
        return chunk / unit

    plain = {camera: np.asarray(frames[camera]) for camera in cameras.values()}
    baselines = np.stack([ask(plain) for _ in range(baseline_calls)])
    shape = jax.ShapeDtypeStruct(baselines.shape[1:], jnp.float32)

    def ask_rows(rows: Mapping[str, np.ndarray]) -> np.ndarray:
        sent = {c: np.round(np.asarray(rows[view])).astype(np.uint8) for view, c in cameras.items()}
        n = len(next(iter(sent.values())))
        return np.stack([ask({c: image[i] for c, image in sent.items()}) for i in range(n)])

    def policy(images: dict[str, Array]) -> Array:
        n = next(iter(images.values())).shape[0]
        answer = jax.ShapeDtypeStruct((n, *shape.shape), shape.dtype)
        return jax.pure_callback(ask_rows, answer, images)

    found = attribute_any(
        policy,
        {view: jnp.asarray(frames[camera], jnp.float32) for view, camera in cameras.items()},
        players,
        background,
        key=key,
        config=dataclasses.replace(config, micro_batch=1),
    )
    found = less_noise(found, 2.0 * spread(baselines, **config.divergence))
    given = "" if scale is None else ", in units of the scale given"
    return dataclasses.replace(
        found,
        cameras=Cameras(cameras),
        unit=effect_unit(config, f"the server's actions{given}"),
    )


def _number(labels: Mapping[str, Any]) -> int:
    return max(int(np.max(own)) for own in labels.values()) + 1
