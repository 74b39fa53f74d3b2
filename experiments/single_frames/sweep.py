"""What N masks at one keep probability give on one frame: Table 1's quantity, and the map's error.

The map's target, E[δ | cell i dropped], is itself a function of the keep probability, so every
keep probability has a reference of its own: the `centred` map of many plain masks. It is drawn
apart from all that is compared with it, and its own noise, which its halves tell, is taken out of
the comparison.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

import iss_jax
from experiments.single_frames.frames import Frame, frame_key
from iss_jax import estimators
from iss_jax.masks import sample_masks, touched_cells
from iss_jax.pi05.observation import VIEWS
from iss_jax.stats.correlation import coefficient

# One a preset, number of masks and seed.
METRICS = (
    "action_mse",
    "kept_mse",
    "contrast_error",
    "pearson",
    "spearman",
    "stderr",
    "error",
    "random_contrast_error",
    "random_pearson",
    "random_spearman",
)


def measure(item: Mapping[str, Any], frame: Frame, params: Any) -> dict[str, Any]:
    """The result of a work item, see `experiments.hyperparameters.work_items`.

    Returns:
        `reference`: the map, and its noise, signal and total variances over cells; `presets`: name
        -> metric -> [numbers of masks, seeds]; `random_kept_mse`: of random cells kept sharp.
    """
    run = _Runner(item, frame, params)
    reference = _reference(item, run)
    presets, kept = {}, []
    for name, preset in item["presets"].items():
        found: dict[str, list[list[float]]] = {metric: [] for metric in METRICS}
        drawn = {seed: draw_masks(item, name, seed) for seed in item["seeds"]}
        effects = {seed: run(masks) for seed, masks in drawn.items()}
        for count in item["num_masks"]:
            rows: dict[str, list[float]] = {metric: [] for metric in METRICS}
            for seed, masks in drawn.items():
                estimate = estimators.estimate(
                    masks[:count],
                    effects[seed][:count],
                    estimator=preset["estimator"],
                    design=preset["design"],
                    keep_prob=item["keep_prob"],
                    active=jnp.asarray(run.active),
                )
                scores = np.asarray(estimate.scores, np.float64)[run.active]
                stderr = np.asarray(estimate.stderr, np.float64)[run.active]
                dealt = _random(item, f"dealt/{name}/{count}", seed).permutation(scores)
                rows["action_mse"].append(float(effects[seed][:count].mean()))
                rows["stderr"].append(float(np.square(stderr[np.isfinite(stderr)]).mean()))
                for metric, value in compared(scores, reference).items():
                    rows[metric].append(value)
                for metric, value in compared(dealt, reference).items():
                    if metric != "error":
                        rows[f"random_{metric}"].append(value)
                kept.append(keep_best(scores, run.active, item["kept_share"]))
            for metric, values in rows.items():
                found[metric].append(values)
        presets[name] = found
    # The same random cells whatever the keep probability.
    rng = _random({**item, "keep_prob": ""}, "kept", 0)
    order = np.arange(int(run.active.sum()), dtype=np.float64)
    chance = [
        keep_best(rng.permutation(order), run.active, item["kept_share"])
        for _ in range(item["random_draws"])
    ]
    kept_mse = np.asarray(run(jnp.asarray(np.stack(kept + chance))))
    shape = (len(presets), len(item["num_masks"]), len(item["seeds"]))
    own = kept_mse[: len(kept)].reshape(shape)
    for found, values in zip(presets.values(), own, strict=True):
        found["kept_mse"] = values.tolist()
    return {
        "reference": reference,
        "presets": presets,
        "random_kept_mse": float(kept_mse[len(kept) :].mean()),
    }


class _Runner:
    """Effects of masks on the frame, some at a time; and the cells that mask anything."""

    def __init__(self, item: Mapping[str, Any], frame: Frame, params: Any) -> None:
        # Only effects are used, which depend on neither keep probability nor estimator: one
        # program serves all.
        self._config = iss_jax.ISSConfig(
            num_masks=item["chunk"],
            grid=tuple(item["grid"]),
            design="bernoulli",
            estimator="fixed",
            action_dims=item["action_dims"],
        )
        self._frame, self._params = frame, params
        self._sampling = iss_jax.Sampling(num_steps=item["num_steps"])
        grid = tuple(item["grid"])
        clean = jnp.ones((item["chunk"], len(VIEWS), *grid), bool)
        valid = self._saliency(clean).valid
        cells = [touched_cells(valid[view][0], grid) for view in VIEWS]
        self.active: Bool[np.ndarray, "views gh gw"] = np.asarray(jnp.stack(cells))

    def _saliency(self, masks: jax.Array) -> iss_jax.Saliency:
        return iss_jax.saliency(
            self._params,
            self._frame.obs,
            noise=self._frame.noise,
            masks=masks,
            config=self._config,
            sampling=self._sampling,
        )

    def __call__(self, masks: jax.Array) -> jax.Array:
        chunk = self._config.num_masks
        assert chunk is not None
        fill = jnp.ones((-len(masks) % chunk, *masks.shape[1:]), bool)
        parts = jnp.split(jnp.concatenate([masks, fill]), (len(masks) + len(fill)) // chunk)
        return jnp.concatenate([self._saliency(part).effects[0] for part in parts])[: len(masks)]


def draw_masks(item: Mapping[str, Any], preset: str, seed: int) -> Bool[jax.Array, "n v gh gw"]:
    """As many masks as the largest map takes; a smaller map takes the first of them.

    Balanced masks come in blocks, each the library's balanced design of `block` masks: the first
    blocks are then balanced, too, and independent of those that follow.
    """
    largest, design = max(item["num_masks"]), item["presets"][preset]["design"]
    block = item["block"] if design == "balanced" else largest
    key = frame_key(item, f"{preset}/{item['keep_prob']}", seed)
    blocks = [
        sample_masks(
            part,
            block,
            len(VIEWS),
            grid=tuple(item["grid"]),
            keep_prob=item["keep_prob"],
            design=design,
        )
        for part in jax.random.split(key, largest // block)
    ]
    return jnp.concatenate(blocks)


def _reference(item: Mapping[str, Any], run: _Runner) -> dict[str, Any]:
    masks = sample_masks(
        frame_key(item, f"reference/{item['keep_prob']}"),
        item["reference_masks"],
        len(VIEWS),
        grid=tuple(item["grid"]),
        keep_prob=item["keep_prob"],
    )
    effects = run(masks)
    half = len(masks) // 2
    whole, first, second = (
        np.asarray(
            estimators.estimate(
                masks[part],
                effects[part],
                keep_prob=item["keep_prob"],
                active=jnp.asarray(run.active),
            ).scores,
            np.float64,
        )[run.active]
        for part in (slice(None), slice(half), slice(half, 2 * half))
    )
    # Half the difference of two halves varies as their mean does.
    difference = (first - second) / 2
    noise = float(difference.var())
    return {
        "scores": whole,
        "action_mse": float(effects.mean()),
        "noise": noise,
        "noise_with_mean": float(np.square(difference).mean()),
        "signal": max(float(whole.var()) - noise, 1e-3 * float(whole.var())),
    }


def compared(scores: Float[np.ndarray, " cells"], reference: Mapping[str, Any]) -> dict[str, float]:
    """How far a map is from the reference, the reference's own noise taken out.

    Returns:
        `contrast_error`: mean squared error of the contrasts (cells less their mean) over the
        variance of the true ones; `error`: that of the scores themselves, in squared units;
        `pearson` and `spearman`, divided by the root of the reference's reliability.
    """
    truth = np.asarray(reference["scores"], np.float64)
    difference = scores - truth
    signal = reference["signal"]
    scale = np.sqrt(signal / (signal + reference["noise"]))
    return {
        "contrast_error": float(difference.var() - reference["noise"]) / signal,
        "error": float(np.square(difference).mean()) - reference["noise_with_mean"],
        "pearson": coefficient(scores, truth) / scale,
        "spearman": coefficient(scores, truth, kind="spearman") / scale,
    }


def keep_best(
    scores: Float[np.ndarray, " cells"], active: Bool[np.ndarray, "views gh gw"], share: float
) -> Bool[np.ndarray, "views gh gw"]:
    """The mask that keeps the most salient share of the cells of all views, blurring the rest."""
    count = max(1, round(share * len(scores)))
    kept = np.zeros(len(scores), bool)
    kept[np.argsort(-scores, kind="stable")[:count]] = True
    mask = np.zeros(active.shape, bool)
    mask[active] = kept
    return mask


def _random(item: Mapping[str, Any], use: str, seed: int) -> np.random.Generator:
    key = frame_key(item, f"{use}/{item['keep_prob']}", seed)
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))
