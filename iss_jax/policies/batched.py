"""Attribution of a policy that answers batches of frames on the host: PyTorch, or any function.

    def answers(frames, draw):      # {camera: uint8 [n, h, w, 3]}, number of the noise draw
        return actions              # [n, H, A]

    found = saliency(answers, {"front": frame, "wrist": other})
    found = player_effects(answers, {"front": frame}, players, background)

Copies are sent as bytes, as cameras send them, `config.micro_batch` at a time. A policy that shares
its noise gives every row of one draw the same noise. Of one whose unmasked rows differ, every call
has a number of its own, R unmasked calls of one row tell what its noise does, and it is subtracted
(`iss_jax.policies.own_noise`).
"""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from iss_jax import divergence, estimators
from iss_jax.background import Background, Groups
from iss_jax.checks import check_actions, check_count, check_finite, check_options
from iss_jax.config import ISSConfig
from iss_jax.effects import ROUNDING, Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.few import few
from iss_jax.interventions import blend, blur
from iss_jax.keys import one_key
from iss_jax.masked_runs import active_cells, cell_scores, distances, draw_masks, pixel_maps
from iss_jax.masks import upsample
from iss_jax.player_attribution import attribute_players
from iss_jax.players import Players, as_players
from iss_jax.policies.own_noise import less_noise, spread
from iss_jax.results import Cameras, MaskRuns, Saliency, effect_unit

__all__ = ["Answers", "player_effects", "saliency"]

Answers = Callable[[dict[str, np.ndarray], int], np.ndarray]

ROWS = 16  # at once, where `micro_batch` is None
_NUMBERS = itertools.count()


def saliency(
    answers: Answers,
    frames: Mapping[str, Any],
    *,
    key: Key[Array, ""] | None = None,
    config: ISSConfig | None = None,
    masks: Bool[Array, "n views gh gw"] | None = None,
    valid: Mapping[str, Bool[Array, "h w"]] | None = None,
    baseline_calls: int = 4,
    unit: str = "the policy's own actions",
    progress: Callable[[int, int], object] | None = None,
) -> Saliency:
    """Interventional saliency (Algorithm 1) of one frame of every camera.

    >>> import numpy as np
    >>> from iss_jax import ISSConfig
    >>> from iss_jax.policies import batched
    >>> def answers(frames, draw):
    ...     return frames["front"][:, :7].mean((1, 2))[:, None]
    >>> frame = np.linspace(0, 255, 14 * 14 * 3).astype(np.uint8).reshape(14, 14, 3)
    >>> found = batched.saliency(answers, {"front": frame}, config=ISSConfig(num_masks=10))
    >>> found.maps["front"].shape, float(found.floor)
    ((14, 14), 0.0)

    Args:
        answers: Frames {camera: uint8 [n, h, w, 3]} and the number of a noise draw -> actions
            [n, H, A].
        frames: Camera -> [h, w, 3], uint8 or floats in [0, 1].
        key: Of the masks, `jax.random.key(0)` when None.
        config: Options; `auto`, the default's estimator, takes no gradients here: there are none.
            `micro_batch` rows are asked at once, 16 when None.
        masks: Keep bits to use instead; cameras in sorted name order.
        valid: Pixels that belong to the picture rather than to bars.
        baseline_calls: R, unmasked rows a draw, of which R - 1 are compared in one batch, to see
            whether the policy shares its noise. More are wanted for one that chooses between few
            answers. If it does not share it, R more calls estimate its noise.
        unit: Whose error an effect is, in words.
        progress: Called with (rows answered so far, rows wanted).

    Returns:
        `Saliency` without a batch axis, its effects less the `floor`; zero where answers repeat.

    Raises:
        ValueError: Frames, masks or options of the wrong form, answers that are no finite actions
            [n, H, A], or several noise draws of a policy that does not share its noise.
    """
    config = ISSConfig(estimator="auto") if config is None else config
    config = check_options("config", config, ISSConfig).resolved(differentiable=False)
    if config.estimator not in estimators.ESTIMATORS:
        raise ValueError(
            f"ISSConfig.estimator {config.estimator!r} needs gradients, which a policy on the host "
            f"has not; one of {estimators.ESTIMATORS} wanted"
        )
    check_count("baseline_calls", baseline_calls, 2)
    plain = checked_frames(frames)
    views = list(plain)
    inside = _fitting_valid(valid, plain)
    if masks is None:
        masks = draw_masks(one_key(key), len(views), config)
    masks = jnp.asarray(masks)
    wanted = (len(views), *config.grid)
    if masks.dtype != jnp.bool_ or masks.ndim != 4 or masks.shape[1:] != wanted:
        raise ValueError(
            f"masks must be bool [n, {wanted[0]} cameras {views}, {wanted[1]}, {wanted[2]}], got "
            f"{masks.dtype} {list(masks.shape)}"
        )
    draws = config.noise_draws
    wanted_rows = draws * (max(baseline_calls, 3) + len(masks))
    asked = _Asked(answers, wanted_rows, progress, draws)
    chosen: dict[str, Any] = {
        "reduction": config.reduction,
        "action_dims": config.action_dims,
        "horizon": config.horizon,
        "weights": config.action_weights,
    }
    baselines = np.stack(
        [_baselines(asked, plain, baseline_calls, draw, chosen) for draw in range(draws)]
    )
    if asked.apart and draws > 1:
        raise ValueError(
            f"ISSConfig.noise_draws is {draws}, but the policy draws noise of its own, another one "
            "for each row: 1 wanted"
        )
    noise = float(np.mean([_noise(own, chosen) for own in baselines]))
    floor = noise * (1 + 1 / baseline_calls)
    baseline = baselines.mean(1) if noise else baselines[:, 0]
    own = {view: jnp.asarray(frame, jnp.float32) for view, frame in plain.items()}
    blurred = {
        view: blur(frame, sigma=config.blur_sigma, valid=inside.get(view))
        for view, frame in own.items()
    }
    batch = {view: frame[None] for view, frame in own.items()}
    masked_area = {view: pixels[None] for view, pixels in inside.items()}
    active = active_cells(batch, None, masked_area, config.grid)
    keep = np.asarray((masks | ~active).astype(jnp.float32))
    rows = config.micro_batch or ROWS
    actions = []
    for start in range(0, len(masks), rows):
        bits = keep[start : start + rows]
        copies = {
            view: _bytes(_blended(own[view], blurred[view], bits[:, index]))
            for index, view in enumerate(views)
        }
        actions.append(np.stack([asked(copies, draw) for draw in range(draws)], 1))
    effects = distances(jnp.asarray(np.concatenate(actions)), jnp.asarray(baseline), config)
    runs = MaskRuns(effects[None] - np.float32(floor), None)
    scores = cell_scores(masks, runs, active, config)
    took_part = {view: jnp.ones(frame.shape[:3], bool) for view, frame in batch.items()}
    took_part |= masked_area
    maps = pixel_maps(scores.scores, took_part)
    return Saliency(
        maps={view: pixels[0] for view, pixels in maps.items()},
        valid={view: pixels[0] for view, pixels in took_part.items()},
        cells=scores.scores[0],
        stderr=scores.stderr[0],
        contrast_stderr=scores.contrast_stderr[0],
        effects=runs.effects[0],
        actions=jnp.asarray(baseline.mean(0)),
        masks=masks,
        floor=jnp.asarray(floor, jnp.float32),
        frames={view: jnp.asarray(frame) for view, frame in plain.items()},
        cameras=Cameras({view: view for view in views}),
        config=config,
        unit=effect_unit(config, unit),
    )


def player_effects(
    answers: Answers,
    frames: Mapping[str, Any],
    players: Players | Mapping[str, Int[Array, "h w"]],
    background: Background | Mapping[str, Float[Array, "r h w 3"]] | None = None,
    *,
    key: Key[Array, ""] | None = None,
    config: EffectsConfig = EffectsConfig(),
    groups: Groups | None = None,
    regions: Mapping[str, Int[Array, "h w"]] | None = None,
    valid: Mapping[str, Bool[Array, "h w"]] | None = None,
    beside: Mapping[str, Answers] | None = None,
    baseline_calls: int = 4,
    unit: str = "the policy's own actions",
    progress: Callable[[int, int], object] | None = None,
) -> Effects:
    """Effects of players, for one frame of every camera.

    >>> import numpy as np
    >>> from iss_jax import EffectsConfig
    >>> from iss_jax.policies import batched
    >>> def answers(frames, draw):  # looks at the upper half
    ...     return frames["front"][:, :4].mean((1, 2))[:, None] / 255
    >>> halves = {"front": np.repeat([0, 1], 4)[:, None] * np.ones((1, 8), np.int32)}
    >>> donors = {"front": np.full((2, 8, 8, 3), 255, np.uint8)}
    >>> found = batched.player_effects(
    ...     answers, {"front": np.zeros((8, 8, 3), np.uint8)}, halves, donors,
    ...     config=EffectsConfig(draws=2),
    ... )
    >>> found.share.tolist(), float(found.floor)
    ([1.0, 0.0], 0.0)

    Args:
        answers: As for `saliency`; every draw of players has a noise draw of its own.
        frames: Likewise.
        players: Camera -> labels at its size.
        background: Donor frames of each camera at its size, in [0, 255].
        key: Of donors and sets, `jax.random.key(0)` when None.
        config: Static options; `micro_batch` rows are asked at once, 16 when None.
        groups: Episode and task of the frame, one each.
        regions: Region labels, for `like_for_like`.
        valid: Pixels that belong to the picture.
        beside: Name -> the same policy with something else replaced, such as its instruction; it
            is asked for the frame itself once a draw.
        baseline_calls: As for `saliency`.
        unit: Whose error an effect is, in words.
        progress: Called with (rows answered so far, rows wanted).

    Returns:
        `Effects` without a batch axis, less the `floor`; zero where answers repeat.

    Raises:
        ValueError: Frames, players, donors or answers of the wrong form.
    """
    config = check_options("config", config, EffectsConfig)
    check_count("baseline_calls", baseline_calls, 2)
    plain = checked_frames(frames)
    beside = beside or {}
    players = as_players(players)
    things = int(config.tint) + len(plain) * int(config.views)
    wanted = (
        max(baseline_calls, 3)
        + config.runs(len(players), things)
        + 1
        + 2 * config.draws * bool(beside)
    )
    asked = _Asked(answers, wanted, progress, config.draws)
    baselines = _baselines(asked, plain, baseline_calls, 0, config.divergence)
    shape = baselines.shape[1:]

    def rows(images: Mapping[str, np.ndarray], draws: np.ndarray) -> np.ndarray:
        copies = {view: _bytes(own).reshape(-1, *own.shape[-3:]) for view, own in images.items()}
        found = np.zeros((draws.size, *shape), np.float32)
        for draw in np.unique(draws):
            own = draws.reshape(-1) == draw
            found[own] = asked({view: copy[own] for view, copy in copies.items()}, int(draw))
        return found.reshape(*draws.shape, 1, *shape)

    with _called(rows) as number:
        found = attribute_players(
            jax.tree_util.Partial(_host_policy(shape), number),
            {view: jnp.asarray(frame, jnp.float32) for view, frame in plain.items()},
            players,
            background,
            key=key,
            config=dataclasses.replace(config, micro_batch=config.micro_batch or ROWS),
            groups=groups,
            regions=regions,
            valid=valid,
            noise=jnp.arange(config.draws),
        )
        jax.block_until_ready(found.by_draw)
    once = {view: frame[None] for view, frame in plain.items()}
    others = {name: _Asked(other, wanted, None, config.draws) for name, other in beside.items()}
    moved: dict[str, list[Array]] = {name: [] for name in others}
    for draw in range(config.draws if others else 0):
        here = jnp.asarray(asked(once, draw))
        for name, other in others.items():
            there = jnp.asarray(other(once, draw))
            moved[name].append(divergence.effects(there, here, **config.divergence)[0])
    found = dataclasses.replace(
        found, beside=found.beside | {name: jnp.stack(own) for name, own in moved.items()}
    )
    found = less_noise(found, 2.0 * _noise(baselines, config.divergence))
    return dataclasses.replace(
        found, config=config, cameras=Cameras({v: v for v in plain}), unit=effect_unit(config, unit)
    )


class _Asked:
    """Answers that are checked and counted.

    Attributes:
        apart: whether every call has a noise draw of its own, instead of the one that it names.
        wanted: rows in all.
    """

    def __init__(self, answers: Answers, wanted: int, progress: Any, draws: int):
        self.apart, self.wanted = False, wanted
        self._answers, self._progress = answers, progress
        self._done, self._shape, self._unused = 0, None, itertools.count(draws)

    def __call__(self, frames: dict[str, np.ndarray], draw: int) -> np.ndarray:
        count = len(next(iter(frames.values())))
        draw = next(self._unused) if self.apart else draw
        found = np.asarray(check_actions(self._answers(frames, draw), count), np.float32)
        check_finite("the policy's answer", found)
        if self._shape not in (None, found.shape[1:]):
            raise ValueError(
                f"the policy answered {list(found.shape[1:])} actions, before {list(self._shape)}"
            )
        self._shape = found.shape[1:]
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self.wanted)
        return found


# Functions of the host that a running program may call, by number: a compiled program holds a
# number and no function, and so serves every frame of the same shapes.
_CALLED: dict[int, Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]] = {}


@contextlib.contextmanager
def _called(rows: Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]) -> Iterator[Array]:
    number = next(_NUMBERS)
    _CALLED[number] = rows
    try:
        yield jnp.asarray(number, jnp.int32)
    finally:
        del _CALLED[number]


@functools.lru_cache(maxsize=64)
def _host_policy(shape: tuple[int, ...]) -> Callable[..., Array]:
    """A policy that JAX can trace, whose answers [H, A] come of the function of a number."""

    def rows(number: Any, images: Mapping[str, Any], draws: Any) -> np.ndarray:
        draws = np.asarray(draws)
        function = _CALLED[int(np.ravel(number)[0])]
        return function({view: np.asarray(own) for view, own in images.items()}, draws)

    def policy(number: Array, images: dict[str, Array], draw: Array) -> Array:
        answer = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        return jax.pure_callback(rows, answer, number, images, draw, vmap_method="broadcast_all")

    return policy


def _baselines(
    asked: _Asked,
    plain: Mapping[str, np.ndarray],
    calls: int,
    draw: int,
    chosen: Mapping[str, Any],
) -> Float[np.ndarray, "calls horizon dims"]:
    """Unmasked rows: those of one draw where they repeat, and else of as many draws as calls.

    Two batches are compared: noise that only one batch shares is seen, too. Rows of one batch, or
    of two with the same seed, need not be independent, and would give too small a variance.
    """

    def rows(count: int) -> np.ndarray:
        return asked({v: np.repeat(f[None], count, 0) for v, f in plain.items()}, draw)

    if not asked.apart:
        found = np.concatenate([rows(max(calls - 1, 2)), rows(1)])
        if not _noise(found, chosen):
            return found[:calls]
        asked.apart = True
    asked.wanted += calls
    return np.concatenate([rows(1) for _ in range(calls)])


def _noise(baselines: np.ndarray, chosen: Mapping[str, Any]) -> float:
    """The policy's own variance; rows of two batches that differ by rounding have none."""
    found = spread(baselines, **chosen)
    first = jnp.asarray(baselines[:1])
    size = divergence.effects(first, jnp.zeros_like(first), **chosen)[0]
    return found if found > ROUNDING * float(size) else 0.0


def checked_frames(frames: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Frames as bytes, cameras in sorted order, as a pytree has them.

    >>> import numpy as np
    >>> checked_frames({"front": np.ones((2, 2, 3))})["front"].dtype
    dtype('uint8')

    Raises:
        ValueError: None at all, another shape than [h, w, 3], or neither uint8 nor floats in
            [0, 1].
    """
    if not frames:
        raise ValueError("frames: one camera at least wanted, got none")
    found = {}
    for camera, given in sorted(frames.items()):
        frame = np.asarray(given)
        if frame.ndim != 3 or frame.shape[-1] != 3 or 0 in frame.shape:
            raise ValueError(f"frames[{camera!r}]: shape {list(frame.shape)}, wanted [h, w, 3]")
        if frame.dtype != np.uint8:
            check_finite(f"frames[{camera!r}]", frame)
            if frame.dtype.kind != "f" or frame.min() < 0 or frame.max() > 1:
                raise ValueError(
                    f"frames[{camera!r}]: {frame.dtype} in [{frame.min():g}, {frame.max():g}], "
                    "wanted uint8 or floats in [0, 1]"
                )
            frame = _bytes(frame * np.float32(255))
        found[camera] = frame
    return found


def _fitting_valid(
    valid: Mapping[str, Any] | None, plain: Mapping[str, np.ndarray]
) -> dict[str, Array]:
    unknown = sorted(set(valid or {}) - set(plain))
    if unknown:
        raise ValueError(f"valid names cameras {few(unknown)}, frames hold {few(plain)}")
    return {
        view: jnp.broadcast_to(jnp.asarray(own, bool), plain[view].shape[:2])
        for view, own in (valid or {}).items()
    }


@jax.jit
def _blended(frame: Array, blurred: Array, keep: Array) -> Array:
    return blend(frame, blurred, upsample(keep, (frame.shape[0], frame.shape[1])))


def _bytes(frames: Any) -> np.ndarray:
    return np.clip(np.round(np.asarray(frames)), 0, 255).astype(np.uint8)
