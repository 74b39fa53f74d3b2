"""Whether encoding a masked view once for several masks pays.

    python -m experiments.masked_view_reuse --config=configs/masked_view_reuse.py

Masks of different views are independent, so that V distinct masked copies of each view can be put
together into more than V masks: each copy is encoded once and used `uses` times, every time beside
other copies of the other views. A run gets cheaper by what the image encoder no longer costs, and
tells less, for the masks of a cell's own view no longer differ from run to run.

A map of N runs then has 1 + (uses - 1) a of the plain variance, where a is the share of a cell's
variance that its own view's mask explains, and 1 - s (1 - 1 / uses) of the cost, where s is the
encoder's share. It pays where the product is below one: for two uses and the released π0.5
(s = 0.16) where a is below 0.08.

The experiment measures the ratio of variances on frames of the embedded episodes: maps of N runs,
repeated, their contrast (a map less its mean), with the bootstrap's interval over maps. The product
is given for the released sizes, for their LIBERO form and for the policy that is measured. The
workdir receives `results.csv`.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

import iss_jax
from experiments import app
from experiments.bench_subject import Subject, SubjectOptions, make_subject
from experiments.run_directory import open_run
from experiments.savings import real_shares
from iss_jax import estimators
from iss_jax.masks import sample_masks
from iss_jax.pi05 import flops
from iss_jax.pi05.observation import VIEWS


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/masked_view_reuse.py`, which says what each means."""

    subject: SubjectOptions
    frames: tuple[tuple[int, int], ...]
    num_masks: int
    keep_prob: float
    uses: tuple[int, ...]
    repeats: int
    quiet: bool


def pairing(num_masks: int, num_views: int, uses: int) -> Int[np.ndarray, "n views"]:
    """Which of its view's num_masks / uses masked copies each mask takes.

    No two masks share more than one copy, so that each use of a copy has new company.

    Args:
        num_masks: N.
        num_views: Views.
        uses: Masks in which each masked copy occurs.

    Raises:
        ValueError: Too few copies for that, or N not a multiple of `uses`.
    """
    copies, rest = divmod(num_masks, uses)
    if rest or copies <= (num_views - 1) * (uses - 1):
        raise ValueError(
            f"{num_masks} masks of {num_views} views with {uses} uses: wanted a multiple of "
            f"{uses} with more than {(num_views - 1) * (uses - 1) * uses} masks"
        )
    block, first = np.divmod(np.arange(num_masks), copies)
    return (first[:, None] + block[:, None] * np.arange(num_views)[None]) % copies


def reused_masks(
    key: Key[Array, ""],
    index: Int[np.ndarray, "n views"],
    *,
    grid: tuple[int, int] = (7, 7),
    keep_prob: float = 0.3,
) -> Bool[Array, "n views gh gw"]:
    """Bernoulli masks put together from masked copies as `index` says."""
    copies, views = int(index.max()) + 1, index.shape[1]
    drawn = sample_masks(key, copies, views, grid=grid, keep_prob=keep_prob)
    return drawn[index, np.arange(views)[None]]


def estimate_reused(
    masks: Bool[Array, "n views gh gw"],
    index: Int[np.ndarray, "n views"],
    effects: Float[Array, " n"],
    *,
    keep_prob: float = 0.3,
) -> tuple[Array, Array]:
    """Psi of every cell from masks whose copies are used several times, and its standard error.

    The score of a view's cells is the `centred` one of its distinct copies, the effect of each
    being the mean over its uses: a copy's mean does not depend on the other copies' cells, so it
    stays exactly unbiased. Runs that share a copy of any view are dependent, which the standard
    error holds by clustering on every view (Cameron, Gelbach and Miller 2011): as no two runs share
    more than one copy, the clusters' squares are added and the runs' own taken off.

    Args:
        masks: Keep bits.
        index: From `pairing`.
        effects: delta of each mask.
        keep_prob: p.
    """
    n, views = index.shape
    copies = int(index.max()) + 1
    members = jax.nn.one_hot(index.T, copies, dtype=effects.dtype)  # [views, n, copies]
    scores, stderr = [], []
    for view in range(views):
        mean = members[view].T @ effects / (n / copies)
        first = np.argsort(index[:, view], kind="stable")[:: n // copies]
        scores.append(estimators.estimate(masks[first, view], mean, keep_prob=keep_prob).scores)
        drops = (~masks[:, view]).reshape(n, -1).astype(effects.dtype) / (1.0 - keep_prob)
        influence = (effects - effects.mean())[:, None] * drops
        influence = influence - influence.mean(0)[None]
        sums = jnp.einsum("vnc,ni->vci", members, influence)
        square = jnp.square(sums).sum((0, 1)) - (views - 1) * jnp.square(influence).sum(0)
        variance = square * (copies / (copies - 1)) / n**2
        stderr.append(jnp.sqrt(jnp.maximum(variance, 0.0)).reshape(masks.shape[2:]))
    return jnp.stack(scores), jnp.stack(stderr)


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    content: dict[str, Any] = {k: v for k, v in config.to_dict().items() if k != "name"}
    content["subject"] = SubjectOptions(**content["subject"])
    options = Options(**content)
    run = open_run(workdir, config)
    rows = []
    for episode, frame in options.frames:
        subject = make_subject(dataclasses.replace(options.subject, episode=episode, frame=frame))
        rows += measure(subject, options, episode, frame)
    run.write_csv("results.csv", rows)
    run.write_json("results.json", rows)
    if not options.quiet:
        print_table(rows)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def measure(subject: Subject, options: Options, episode: int, frame: int) -> list[dict[str, Any]]:
    """A row for each number of uses: variance and variance times cost, in the plain design's."""
    rows: list[dict[str, Any]] = []
    plain, plain_resampled = None, None
    for uses in options.uses:
        index = pairing(options.num_masks, len(VIEWS), uses)
        keys = jax.random.split(jax.random.key(uses), options.repeats)
        draw = functools.partial(reused_masks, index=index, keep_prob=options.keep_prob)
        masks = jax.vmap(draw)(keys)
        config = iss_jax.ISSConfig(
            num_masks=masks.shape[0] * masks.shape[1],
            keep_prob=options.keep_prob,
            design="bernoulli",
        )
        found = iss_jax.saliency(
            subject.params,
            subject.obs,
            noise=subject.noise,
            masks=masks.reshape(-1, *masks.shape[2:]),
            config=config,
        )
        effects = found.effects[0].reshape(masks.shape[:2])
        estimate = functools.partial(estimate_reused, keep_prob=options.keep_prob)
        scores, stderr = jax.vmap(lambda m, e, i=index, f=estimate: f(m, i, e))(masks, effects)
        contrast = np.asarray(scores - scores.mean((1, 2, 3), keepdims=True), np.float64)
        variance = float(contrast.var(0, ddof=1).mean())
        resampled = resampled_variances(contrast.reshape(len(contrast), -1), seed=uses)
        if plain is None or plain_resampled is None:
            plain, plain_resampled = variance, resampled
        low, high = np.quantile(resampled / plain_resampled, (0.025, 0.975))
        shares = real_shares(iss_jax.Savings(), uses)
        full = real_shares(iss_jax.Savings())
        ratio = variance / plain
        row: dict[str, Any] = {"episode": episode, "frame": frame, "uses": uses, "variance": ratio}
        row |= {"variance_low": float(low), "variance_high": float(high)}
        row["stderr_over_spread"] = float(
            np.sqrt(np.mean(np.square(stderr)) / np.asarray(scores).var(0, ddof=1).mean())
        )
        for form, share in shares.items():
            row[f"variance_by_cost_{form}"] = ratio * share / full[form]
        row["variance_by_cost_here"] = ratio * _cost(subject, uses) / _cost(subject, 1)
        rows.append(row)
    return rows


def resampled_variances(
    maps: Float[np.ndarray, "n cells"], *, seed: int, resamples: int = 999
) -> Float[np.ndarray, " resamples"]:
    """Variance over maps, averaged over cells, of maps drawn with replacement."""
    n = len(maps)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples) / n
    variances = weights @ np.square(maps) - np.square(weights @ maps)
    return variances.mean(1) * n / (n - 1)


def _cost(subject: Subject, uses: int) -> float:
    return flops.masked_copy_flops(
        subject.sizes,
        valid_tokens=subject.valid_tokens,
        prompt_length=subject.prompt_length,
        present_views=subject.present_views,
        action_horizon=subject.noise.shape[-2],
        view_uses=uses,
    ).total


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints the rows in columns."""
    print("\nvariance of the contrast [95 %], and times the cost; the plain design is 1")
    print(
        f"{'frame':>10}{'uses':>6}{'variance':>10}{'':14}{'π0.5':>8}{'LIBERO':>8}{'here':>8}"
        f"{'stderr':>8}"
    )
    for row in rows:
        print(
            f"{row['episode']:6d}/{row['frame']:<3d}{row['uses']:6d}{row['variance']:10.2f}"
            f" [{row['variance_low']:4.2f}, {row['variance_high']:4.2f}]"
            f"{row['variance_by_cost_full']:8.2f}{row['variance_by_cost_libero']:8.2f}"
            f"{row['variance_by_cost_here']:8.2f}{row['stderr_over_spread']:8.2f}"
        )


if __name__ == "__main__":
    app.run(main, "masked_view_reuse", many_processes=False)
