"""Surrogates of masked runs, and the contrasts that they imply (regression-adjusted Monte Carlo).

A surrogate f is fitted to a frame's runs; the contrasts E[f | dropped] - E[f | kept] of f are known
exactly, and stand for the policy's. Biased, as every regression is.

- `gaussian_process`: f is a sum of a smooth map over cells and of interactions of every order,
  kernel a z' T z + b (prod_i (1 + z_i z_i' / cells) - 1 - z z' / cells) with z the drop bits,
  centred and scaled under their distribution, and T a squared exponential over the cells of a view.
  Interactions are orthogonal to single cells, so that they take up noise and give no contrast.
  Sizes by marginal likelihood, white noise beside them.
- `trees`: least-squares boosting (Friedman 2001) of trees of two splits, with half of the runs for
  each; the mean of a tree under masks is a sum over its leaves.
- `wiener`: of runs with gradients. The trapezoid of shortened gradients (`clipped`'s guess), in the
  basis of T: a band of it is shrunk by the part of its power that runs do not disagree about.
"""

import functools

import numpy as np
from jaxtyping import Bool, Float

SMOOTH = (0.5, 1.0, 2.0)
PARTS = (0.0, 0.1, 0.3, 1.0, 3.0)
INTERACTIONS = (0.0, 0.3, 1.0)
BANDS = 6


@functools.cache
def smoothness(views: int, rows: int, columns: int, length: float) -> Float[np.ndarray, "c c"]:
    """T: cells of a view are alike within so many cells, cells of two views are not.

    Args:
        views: Of a frame.
        rows: Of cells in a view.
        columns: Likewise.
        length: Of the squared exponential, cells.
    """
    y, x = np.divmod(np.arange(rows * columns), columns)
    square = (y[:, None] - y[None]) ** 2 + (x[:, None] - x[None]) ** 2
    one = np.exp(-square / (2 * length**2))
    return np.kron(np.eye(views), one)


def standardised(masks: Bool[np.ndarray, "n cells"], keep_prob: float) -> np.ndarray:
    """Drop bits of mean zero and variance one under Bernoulli masks."""
    return (~masks - (1.0 - keep_prob)) / np.sqrt(keep_prob * (1.0 - keep_prob))


def gaussian_process(
    masks: Bool[np.ndarray, "n cells"],
    effects: Float[np.ndarray, " n"],
    *,
    keep_prob: float,
    shape: tuple[int, int, int],
    guess: Float[np.ndarray, " cells"] | None = None,
    interactions: tuple[float, ...] = INTERACTIONS,
) -> Float[np.ndarray, " cells"]:
    """Contrasts of the posterior mean.

    Args:
        masks: Keep bits.
        effects: Of each.
        keep_prob: p.
        shape: Views, rows and columns of the cells.
        guess: Contrasts that are the prior mean up to a factor, which is fitted; none when None.
        interactions: Sizes that are tried of interactions, in those of single cells.
    """
    runs, cells = masks.shape
    z = standardised(masks, keep_prob)
    unit = np.sqrt(keep_prob * (1.0 - keep_prob))
    # What the data are regressed on: the mean, and the guess.
    given = [np.ones(runs)]
    if guess is not None and guess.std() > 0:
        given.append(z @ guess / np.linalg.norm(guess))
    known = np.stack(given, 1)
    inner = z @ z.T / cells
    higher = np.exp(_log_product(z, cells)) - 1.0 - inner
    best: tuple[float, np.ndarray] | None = None
    for length in SMOOTH:
        alike = smoothness(*shape, length)
        single = z @ alike @ z.T
        single /= np.trace(single) / runs
        for part in PARTS:
            for more in interactions:
                kernel = part * (single + more * higher / max(np.trace(higher) / runs, 1e-12))
                likelihood, weights, factors = _fitted(kernel + np.eye(runs), effects, known)
                if best is None or likelihood > best[0]:
                    size = part / (np.trace(z @ alike @ z.T) / runs)
                    found = size * alike @ (z.T @ weights)
                    if len(factors) > 1 and guess is not None:
                        found = found + factors[1] * guess / np.linalg.norm(guess)
                    best = likelihood, found / unit
    assert best is not None
    return best[1]


def _log_product(z: np.ndarray, cells: int) -> np.ndarray:
    return np.log1p(z[:, None] * z[None] / cells).sum(-1)


def _fitted(
    covariance: np.ndarray, effects: np.ndarray, known: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Restricted likelihood with the scale profiled out, weights, and factors of what is known."""
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, np.concatenate([known, effects[:, None]], 1))
    a, y = white[:, :-1], white[:, -1]
    normal = a.T @ a
    factors = np.linalg.solve(normal, a.T @ y)
    rest = y - a @ factors
    freedom = len(effects) - known.shape[1]
    scale = max(float(rest @ rest) / freedom, 1e-300)
    likelihood = -0.5 * (
        freedom * np.log(scale)
        + 2.0 * np.log(np.diagonal(root)).sum()
        + np.linalg.slogdet(normal)[1]
    )
    return float(likelihood), np.linalg.solve(root.T, rest), factors


def trees(
    masks: Bool[np.ndarray, "n cells"],
    effects: Float[np.ndarray, " n"],
    *,
    keep_prob: float,
    rounds: int = 200,
    rate: float = 0.05,
    seed: int = 0,
) -> Float[np.ndarray, " cells"]:
    """Contrasts of boosted trees of two splits.

    Args:
        masks: Keep bits.
        effects: Of each.
        keep_prob: p.
        rounds: Trees.
        rate: What part of each is added.
        seed: Of the halves of the runs.
    """
    random = np.random.default_rng(seed)
    drops = ~masks
    rest = effects.astype(np.float64) - effects.mean()
    contrast = np.zeros(masks.shape[1])
    drop = 1.0 - keep_prob
    for _ in range(rounds):
        some = random.permutation(len(rest))[: max(len(rest) // 2, 4)]
        first = _best_split(drops[some], rest[some])
        said = np.zeros(len(rest))
        means = []
        for side in (False, True):
            rows, everyone = drops[some, first] == side, drops[:, first] == side
            own = rest[some][rows]
            if len(own) < 2:
                value = own.mean() if len(own) else 0.0
                said[everyone] = value
                means.append(value)
                continue
            second = _best_split(drops[some][rows], own)
            bits = drops[some][rows][:, second]
            level = [
                own[bits == bit].mean() if (bits == bit).any() else own.mean() for bit in (0, 1)
            ]
            said[everyone] = np.where(drops[everyone, second], level[1], level[0])
            means.append(drop * level[1] + keep_prob * level[0])
            if second != first:
                weight = drop if side else keep_prob
                contrast[second] += rate * weight * (level[1] - level[0])
        contrast[first] += rate * (means[1] - means[0])
        rest = rest - rate * said
    return contrast


def _best_split(drops: np.ndarray, values: np.ndarray) -> int:
    """The cell whose bit takes the most off the squares."""
    count = drops.sum(0)
    total = values @ drops
    left = len(values) - count
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = total**2 / count + (values.sum() - total) ** 2 / left
    return int(np.argmax(np.where((count > 0) & (left > 0), gain, -np.inf)))


def wiener(
    masks: Bool[np.ndarray, "n cells"],
    gradients: Float[np.ndarray, "n cells"],
    *,
    shape: tuple[int, int, int],
    guess: Float[np.ndarray, " cells"] | None = None,
) -> Float[np.ndarray, " cells"]:
    """Contrasts of runs with gradients, three at least, each band shrunk as its runs disagree.

    Args:
        masks: Keep bits.
        gradients: With respect to them.
        shape: Views, rows and columns of the cells.
        guess: Contrasts that bands are shrunk to, up to a factor, which is fitted; zero when None.
    """
    lengths = np.linalg.norm(gradients, axis=1)
    short = np.minimum(1.0, np.median(lengths) / np.maximum(lengths, 1e-30))
    slopes = -gradients * short[:, None]
    # Each end of a cell has the same weight, whatever p is: each run's share of the trapezoid.
    ends = []
    for side in (masks, ~masks):
        count = side.sum(0)
        ends.append(np.where(count > 0, side / np.maximum(count, 1), 1.0 / len(masks)))
    each = (ends[0] + ends[1]) / 2 * len(masks) * slopes
    runs = len(each)
    powers, basis = np.linalg.eigh(smoothness(*shape, 1.0))
    mean = each.mean(0)
    centre = np.zeros_like(mean)
    if guess is not None and guess.std() > 0:
        centre = guess * max(float(guess @ mean), 0.0) / float(guess @ guess)
    turned = each @ basis
    noise = turned.var(0, ddof=1) / runs
    signal = (mean - centre) @ basis
    order = np.argsort(-powers)
    weights = np.zeros_like(noise)
    for band in np.array_split(order, BANDS):
        power = np.square(signal[band]).mean()
        weights[band] = max(0.0, 1.0 - noise[band].mean() / max(power, 1e-30))
    return centre + basis @ (weights * signal)
