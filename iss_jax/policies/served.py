"""Attribution of a policy that can only be asked: behind a server, in PyTorch, a black box.

    with PolicyClient("ws://localhost:8000") as client:
        found = attribute(client.infer, raw, "pi05_libero", resume="frame.npz")
    found.saliency.maps["base_0_rgb"]; found.floor

A server that draws its own flow noise moves its actions even where nothing is masked. With A_k the
actions under mask k and ā the mean of R unmasked calls,

    E |A_k − ā|² = |μ_k − μ|² + σ_k² + σ²/R,

μ and σ² the mean and variance of the actions over the noise. The sample variance s² of the R calls
estimates σ² without bias, and the floor (1 + 1/R) s² is subtracted from every effect. What is left
is exact in expectation where masking does not change the variance (σ_k = σ), and off by σ_k² − σ²
where it does. The floor shifts all cells of a map alike; the noise around it is what more masks or
a server with fixed noise are for. A policy that takes its noise from the observation has no floor.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from iss_jax import divergence, estimators
from iss_jax.checks import check_count, check_options
from iss_jax.config import ISSConfig
from iss_jax.interventions import blend, blur
from iss_jax.keys import one_key
from iss_jax.masked_runs import draw_masks
from iss_jax.masks import upsample
from iss_jax.pi05.observation import VIEWS
from iss_jax.policies.configs import PolicyConfig, named
from iss_jax.policies.resumed import Answers
from iss_jax.policies.units import check_scale, in_units
from iss_jax.records import Record, is_concrete, record
from iss_jax.results import Cameras, Saliency, effect_unit

__all__ = [
    "ServedSaliency",
    "attribute",
]

Infer = Callable[[dict[str, Any]], Mapping[str, Any]]
InferBatch = Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]


@record
class ServedSaliency(Record):
    """What came of a policy that was asked.

    >>> import numpy as np
    >>> from iss_jax import ISSConfig
    >>> from iss_jax.policies.configs import PolicyConfig
    >>> arm = PolicyConfig("arm", {"base_0_rgb": "front"}, {"state": 1}, 1, 3)
    >>> def infer(raw):
    ...     return {"actions": raw["front"][:7].mean((0, 1))[None]}
    >>> raw = {"front": np.zeros((14, 14, 3), np.uint8), "state": [0.0], "prompt": "reach"}
    >>> found = attribute(infer, raw, arm, config=ISSConfig(num_masks=10))
    >>> found.saliency.maps["base_0_rgb"].shape, found.floor
    ((14, 14), 0.0)

    Attributes:
        saliency: As of `iss_jax.attribute`: no batch axis; views in the order of π0.5's, their maps
            at the cameras' sizes; effects less the floor, in the actions' units; `actions` the mean
            of the unmasked calls.
        floor: What an unmasked frame's effect is on average, in the effects' unit; zero for a
            policy whose answers repeat.
        floor_stderr: Its standard error.
        baselines: Actions of each unmasked call, [R, H, a].
    """

    saliency: Saliency
    floor: float
    floor_stderr: float
    baselines: Float[np.ndarray, "calls horizon dims"]

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: the map's own rows, and the floor."""
        title, rows = self.saliency.summary()
        if is_concrete(self):
            floor = f"{float(self.floor):.3g} ± {float(self.floor_stderr):.2g} subtracted"
            rows = [*rows, ("floor", floor)]
        return f"Served: {title}", rows

    def plot(self, index: int | tuple[int, ...] = 0) -> Any:
        """As `Saliency.plot`."""
        return self.saliency.plot(index)


def attribute(
    infer: Infer,
    raw: Mapping[str, Any],
    robot: str | PolicyConfig,
    *,
    key: Key[Array, ""] | None = None,
    config: ISSConfig | None = None,
    masks: Bool[Array, "n views gh gw"] | None = None,
    scale: Any = None,
    baseline_calls: int = 8,
    quantise: bool = True,
    resume: str | os.PathLike | None = None,
    save_every: int = 10,
    infer_batch: InferBatch | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ServedSaliency:
    """Interventional saliency (Algorithm 1) of one observation, one call a mask.

    >>> import numpy as np
    >>> from iss_jax import ISSConfig
    >>> from iss_jax.policies import served
    >>> from iss_jax.policies.configs import PolicyConfig
    >>> arm = PolicyConfig("arm", {"base_0_rgb": "front"}, {"state": 1}, 1, 3)
    >>> def infer(raw):
    ...     return {"actions": raw["front"][:7].mean((0, 1))[None]}
    >>> frame = np.linspace(0, 255, 14 * 14 * 3).astype(np.uint8).reshape(14, 14, 3)
    >>> raw = {"front": frame, "state": [0.0], "prompt": "reach"}
    >>> found = served.attribute(infer, raw, arm, config=ISSConfig(num_masks=10))
    >>> found.saliency.maps["base_0_rgb"].shape, found.floor
    ((14, 14), 0.0)

    Args:
        infer: Observation -> a dict with `actions` [H, a]; `PolicyClient.infer`, or any other.
        raw: The robot's dict; all that is not a camera is sent along unchanged.
        robot: Which entries are cameras (`PolicyConfig`, or its name).
        key: Of the masks, `jax.random.key(0)` when None.
        config: Options; `auto`, the default's estimator, takes no gradients here: there are none.
        masks: Keep bits to use instead, of the robot's views.
        scale: [a], the actions' unit in each dimension: effects are of actions divided by it. With
            an un-normalisation's scale they are normalised; in the server's own units when None.
        baseline_calls: R, unmasked calls, of which the floor is estimated; at least 2.
        quantise: Send uint8 frames, as cameras do; else float32 in [0, 1], which not every server
            takes without rounding.
        resume: An `.npz` file that keeps the answers so far; a call with the same arguments goes on
            from it, also after an exception. The unmasked frame is asked anew first, and the answer
            compared with those in the file (`iss_jax.policies.resumed`): once where the policy
            repeats itself, else as often as it takes to tell.
        save_every: Answers between two writes of that file.
        infer_batch: Observations -> their answers, `save_every` at a time at most;
            `PolicyClient.infer_batch`, which sends as many at once as the server takes.
        progress: Called with (answers so far, answers wanted).

    Raises:
        ValueError: Options, masks or answers of the wrong form, or a file of another frame, of
            other options or of another policy.
        Exception: What `infer` raises, after the answers so far are saved.
    """
    robot = named(robot)
    config = ISSConfig(estimator="auto") if config is None else config
    config = check_options("config", config, ISSConfig).resolved(differentiable=False)
    if config.estimator not in estimators.ESTIMATORS:
        raise ValueError(
            f"ISSConfig.estimator {config.estimator!r} needs gradients, which a served policy has "
            f"not; one of {estimators.ESTIMATORS} wanted"
        )
    if config.noise_draws != 1:
        raise ValueError(
            f"ISSConfig.noise_draws is {config.noise_draws}, but a served policy draws its own "
            "noise: 1 wanted"
        )
    for name, value, least in (
        ("baseline_calls", baseline_calls, 2),
        ("save_every", save_every, 1),
    ):
        check_count(name, value, least)
    if scale is not None:
        check_scale(scale)
    frames, _, _ = robot.split(raw)
    cameras = {
        view: robot.cameras[view]
        for view in VIEWS
        if view in robot.cameras and robot.cameras[view] in frames
    }
    if masks is None:
        masks = draw_masks(one_key(key), len(cameras), config)
    masks = jnp.asarray(masks)
    wanted = (len(cameras), *config.grid)
    if masks.dtype != jnp.bool_ or masks.ndim != 4 or masks.shape[1:] != wanted:
        raise ValueError(
            f"masks must be bool [n, {wanted[0]} views {list(cameras)}, {wanted[1]}, {wanted[2]}], "
            f"got {masks.dtype} {list(masks.shape)}"
        )
    options = {
        "baseline_calls": baseline_calls,
        "quantise": quantise,
        "blur_sigma": config.blur_sigma,
        "cameras": list(cameras.items()),
    }
    run = {"observation": raw, "masks": masks, "options": options}
    answers = Answers(resume, run, baseline_calls, _metadata_of(infer))
    unit = {view: _unit_range(camera, frames[camera]) for view, camera in cameras.items()}
    blurred = {view: blur(frame, sigma=config.blur_sigma) for view, frame in unit.items()}
    total = baseline_calls + len(masks)

    def asked(index: int) -> dict[str, Any]:
        """What is sent as the `index`-th observation."""
        if index < baseline_calls:
            keep = np.ones(wanted, np.float32)
        else:
            keep = np.asarray(masks[index - baseline_calls], np.float32)
        copies = {
            camera: _sent(np.asarray(_blended(unit[view], blurred[view], keep[row])), quantise)
            for row, (view, camera) in enumerate(cameras.items())
        }
        return robot.with_frames(raw, copies)

    answers.check_who(lambda: infer(asked(0)))
    try:
        while len(answers) < total:
            first = len(answers)
            last = min(total, first + (1 if infer_batch is None else save_every))
            if infer_batch is None:
                found = [infer(asked(first))]
            else:
                found = infer_batch([asked(index) for index in range(first, last)])
            answers.add(found, last - first)
            if progress is not None:
                progress(len(answers), total)
            if len(answers) // save_every > first // save_every:
                answers.save()
    finally:
        answers.save()
    actions = answers.actions()
    if scale is not None and len(scale) != actions.shape[-1]:
        raise ValueError(f"scale: {len(scale)} units given, the actions have {actions.shape[-1]}")
    given = "" if scale is None else ", in units of the scale given"
    found = _estimate(
        actions[:baseline_calls],
        actions[baseline_calls:],
        masks,
        {view: (frame.shape[0], frame.shape[1]) for view, frame in unit.items()},
        config if scale is None else in_units(config, 1.0 / np.asarray(scale), actions.shape[1]),
    )
    saliency = dataclasses.replace(
        found.saliency,
        frames={view: jnp.asarray(frames[camera]) for view, camera in cameras.items()},
        cameras=Cameras(cameras),
        unit=effect_unit(config, f"the server's actions{given}"),
    )
    return dataclasses.replace(found, saliency=saliency)


def _estimate(
    baselines: np.ndarray,
    actions: np.ndarray,
    masks: Array,
    sizes: Mapping[str, tuple[int, int]],
    config: ISSConfig,
) -> ServedSaliency:
    def effects(chunks: np.ndarray) -> np.ndarray:
        found = divergence.effects(
            jnp.asarray(chunks),
            jnp.asarray(baseline),
            reduction=config.reduction,
            action_dims=config.action_dims,
            horizon=config.horizon,
            weights=config.action_weights,
        )
        return np.asarray(found)

    calls = len(baselines)
    # A mean of equal numbers is not always that number; equal answers have no noise.
    repeat = bool((baselines == baselines[0]).all())
    baseline = baselines[0] if repeat else baselines.mean(0)
    around = effects(baselines) * calls / (calls - 1)
    floor = float(around.mean()) * (1 + 1 / calls)
    floor_stderr = float(around.std(ddof=1)) / calls**0.5 * (1 + 1 / calls)
    moved = effects(actions) - np.float32(floor)
    estimate = estimators.estimate(
        masks,
        jnp.asarray(moved),
        estimator=config.estimator,
        design=config.design,
        keep_prob=config.keep_prob,
    )
    saliency = Saliency(
        maps={v: upsample(estimate.scores[i], size) for i, (v, size) in enumerate(sizes.items())},
        valid={view: jnp.ones(size, bool) for view, size in sizes.items()},
        cells=estimate.scores,
        stderr=estimate.stderr,
        contrast_stderr=estimate.contrast_stderr,
        effects=jnp.asarray(moved),
        actions=jnp.asarray(baseline),
        masks=masks,
        config=config,
    )
    return ServedSaliency(saliency, floor, floor_stderr, baselines)


@jax.jit
def _blended(frame: Array, blurred: Array, keep: Array) -> Array:
    return blend(frame, blurred, upsample(keep, (frame.shape[0], frame.shape[1])))


def _unit_range(camera: str, frame: np.ndarray) -> Array:
    if frame.dtype == np.uint8:
        return jnp.asarray(frame, jnp.float32) / 255.0
    if not np.issubdtype(frame.dtype, np.floating) or frame.min() < 0 or frame.max() > 1:
        raise ValueError(
            f"camera {camera!r}: {frame.dtype} frame, wanted uint8 or floats in [0, 1]"
        )
    return jnp.asarray(frame, jnp.float32)


def _sent(frame: np.ndarray, quantise: bool) -> np.ndarray:
    frame = np.clip(frame, 0.0, 1.0)
    return np.round(frame * 255.0).astype(np.uint8) if quantise else frame


def _metadata_of(infer: Any) -> Callable[[], Mapping[str, Any]]:
    """What the policy says of itself: `PolicyClient` learns it from the server's greeting."""
    owner = getattr(infer, "__self__", None)
    return lambda: getattr(owner, "metadata", None) or {}
