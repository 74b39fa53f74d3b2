"""Does the map of the previous frame make the present one more accurate, at the same cost?

    python -m experiments.temporal_sharing --config=configs/temporal_sharing.py

On consecutive frames of whole episodes, all of one flow noise: a reference of thousands of plain
i.i.d. masks, and maps of N of those masks (`centred`; the reference then is the other masks), and
of gradient runs (`clipped`). The previous frame's map is used

- as control variate (`estimate_with_surrogate`), which keeps the present map unbiased: the previous
  `centred` map, itself shrunk by how much of it is noise, or the previous `clipped` one;
- as a prior: contrasts averaged along the frames with a memory w, m_t = (1 - w) y_t + w m_(t-1).

Given are the squared error of the contrast, the reference's own noise taken off, in units of the
reference's variance over cells; the correlation with the reference, divided by the square root of
its reliability; and both less those of the same runs alone, with 95 % t-intervals over frames.

The workdir receives `results.csv` and `results.json`; a run that was stopped goes on.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Float

from experiments import accuracy_frames as frames, app
from experiments.nmr_correlation import located
from experiments.policy import load_policy
from experiments.run_directory import open_run, run_items
from iss_jax import estimators, gradient_estimators
from iss_jax.data.lerobot import open_dataset
from iss_jax.pi05.params import sizes_of
from iss_jax.stats import coefficient, mean_interval


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/temporal_sharing.py`, which says what each means."""

    checkpoint: str
    dataset: str
    tokenizer: str
    max_token_len: int
    action_horizon: int
    windows: tuple[tuple[int, int], ...]
    length: int
    stride: int
    keep_prob: float
    num_masks: int
    repeats: int
    gradient_runs: int
    gradient_repeats: int
    memories: tuple[float, ...]
    chunk: int
    gradient_chunk: int
    quiet: bool


@dataclasses.dataclass(frozen=True)
class Maps:
    """Contrasts of one frame, flat over cells.

    Attributes:
        plain: [repeats, cells], of N masks each.
        clipped: [gradient repeats, cells].
        runs: the plain runs, one repeat after the other.
    """

    plain: Float[np.ndarray, "r c"]
    clipped: Float[np.ndarray, "g c"]
    runs: frames.Runs

    @property
    def noise(self) -> float:
        """Variance of one plain map's error, mean over cells."""
        return float(self.plain.var(0, ddof=1).mean())

    def reference(self, without: int | None = None) -> tuple[np.ndarray, float]:
        """The mean of all plain maps, or all but one, and the variance of its error."""
        kept = [i for i in range(len(self.plain)) if i != without]
        return self.plain[kept].mean(0), self.noise / len(kept)


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = Options(**{key: value for key, value in config.to_dict().items() if key != "name"})
    run = open_run(workdir, config)
    policy = load_policy(located(options.checkpoint, "checkpoint"), tokenizer=options.tokenizer)
    dataset = open_dataset(located(options.dataset, "dataset"))
    kinds = (
        ("centred", "bernoulli", options.num_masks, options.repeats),
        ("gradient", "balanced", options.gradient_runs, options.gradient_repeats),
    )
    items = []
    for episode, first in options.windows:
        for step in range(options.length):
            base = frames.frame_item(
                dataset, policy, episode, first + step * options.stride, options
            )
            base |= {"experiment": "temporal_sharing", "use": "temporal"}
            names = ("estimator", "design", "runs", "repeats")
            items += [base | dict(zip(names, kind, strict=True)) for kind in kinds]
    shape = (1, options.action_horizon, sizes_of(policy.params).action_dim)

    def compute(item: Mapping[str, Any]) -> Any:
        noise = jax.random.normal(jax.random.key(item["episode"]), shape)
        frame = dataclasses.replace(frames.read_frame(item, dataset, policy), noise=noise)
        plain = item["estimator"] == "centred"
        chunk = options.chunk if plain else options.gradient_chunk
        return frames.measure(item, frame, policy, chunk)

    found = run_items(run, items, compute, description="frames", quiet=options.quiet)
    runs = [frames.stored_runs(*pair) for pair in zip(items, found, strict=True)]
    each = [maps(*pair, options) for pair in zip(runs[::2], runs[1::2], strict=True)]
    windows = [each[i : i + options.length] for i in range(0, len(each), options.length)]
    rows = compare(windows, options)
    run.write_csv("results.csv", rows)
    run.write_json("results.json", rows)
    if not options.quiet:
        print_table(rows)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def maps(plain: frames.Runs, gradient: frames.Runs, options: Options) -> Maps:
    """Contrasts of every repeat."""
    parts = (plain.part(i, i + options.num_masks) for i in _starts(plain, options.num_masks))
    centred = [
        estimators.estimate(part.masks, part.effects, keep_prob=options.keep_prob).scores
        for part in parts
    ]
    clipped = []
    for start in _starts(gradient, options.gradient_runs):
        part = gradient.part(start, start + options.gradient_runs)
        assert part.gradients is not None
        clipped.append(
            gradient_estimators.estimate_from_gradients(
                part.masks,
                part.effects,
                part.gradients,
                estimator="clipped",
                design="balanced",
                keep_prob=options.keep_prob,
            ).scores
        )
    return Maps(_contrast(centred), _contrast(clipped), plain)


def _starts(runs: frames.Runs, size: int) -> range:
    return range(0, len(runs.effects), size)


def _contrast(scores: Sequence[Any]) -> np.ndarray:
    flat = np.asarray(scores, np.float64).reshape(len(scores), -1)
    return flat - flat.mean(1, keepdims=True)


def candidates(window: Sequence[Maps], step: int, repeat: int, options: Options) -> dict[str, Any]:
    """Name -> contrast of the window's frame `step` by one way, of one repeat's runs."""
    now, before, size = window[step], window[step - 1], options.num_masks
    part = now.runs.part(repeat * size, (repeat + 1) * size)
    grid = part.masks.shape[1:]
    draw = repeat % len(now.clipped)

    def controlled(contrast: np.ndarray) -> np.ndarray:
        # The previous map is Psi less its mean, p times the difference of dropped and kept.
        guess = jnp.asarray(contrast.reshape(grid) / options.keep_prob, jnp.float32)
        found = estimators.estimate_with_surrogate(
            part.masks, part.effects, guess, keep_prob=options.keep_prob
        )
        return _contrast([found.scores])[0]

    last = before.plain[repeat]
    known = max(0.0, 1.0 - before.noise / float(np.square(last).mean()))
    found = {
        "centred": now.plain[repeat],
        "centred, variate: previous centred": controlled(last),
        "centred, variate: previous centred, shrunk": controlled(known * last),
        "centred, variate: previous clipped": controlled(before.clipped[draw]),
        "clipped": now.clipped[draw],
    }
    for memory in options.memories:
        for name, ys in (
            ("centred", [one.plain[repeat] for one in window]),
            ("clipped", [one.clipped[draw] for one in window]),
        ):
            mean = ys[0]
            for y in ys[1 : step + 1]:
                mean = (1.0 - memory) * y + memory * mean
            found[f"{name}, memory {memory}"] = mean
    return found


def compare(windows: Sequence[Sequence[Maps]], options: Options) -> list[dict[str, Any]]:
    """A row a way: error and correlation, and their gain on the same runs alone."""
    measured: dict[str, list[tuple[float, float]]] = {}
    likeness = []
    for window in windows:
        for step in range(1, len(window)):
            (a, noise_a), (b, noise_b) = window[step - 1].reference(), window[step].reference()
            real = [_signal(x, n) for x, n in ((a, noise_a), (b, noise_b))]
            likeness.append(float((a * b).mean() / np.sqrt(real[0] * real[1])))
            for_frame: dict[str, list[tuple[float, float]]] = {}
            for repeat in range(options.repeats):
                wanted, noise = window[step].reference(repeat)
                square = float(np.square(wanted).mean())
                unit = _signal(wanted, noise)
                for name, got in candidates(window, step, repeat, options).items():
                    error = (float(np.square(got - wanted).mean()) - noise) / unit
                    corrected = coefficient(got, wanted) / np.sqrt(unit / square)
                    for_frame.setdefault(name, []).append((error, float(corrected)))
            for name, values in for_frame.items():
                mean = np.mean(values, axis=0)
                measured.setdefault(name, []).append((float(mean[0]), float(mean[1])))
    rows = []
    for name, values in measured.items():
        alone = np.array(measured[name.split(",")[0]])
        row: dict[str, Any] = {"way": name, "frames": len(values)}
        row |= {"previous_reference_r": float(np.mean(likeness))}
        row |= {"previous_reference_r_least": float(np.min(likeness))}
        row |= {"previous_reference_r_most": float(np.max(likeness))}
        for column, label in enumerate(("error", "pearson")):
            ours = np.array(values)[:, column]
            gain = ours - alone[:, column]
            low, high = mean_interval(gain)
            row[label], row[f"{label}_median"] = float(ours.mean()), float(np.median(ours))
            row |= {f"{label}_change": float(gain.mean())}
            row |= {f"{label}_change_low": low, f"{label}_change_high": high}
        rows.append(row)
    return rows


def _signal(contrast: np.ndarray, noise: float) -> float:
    """Variance of a map without its noise; nan where that leaves none."""
    left = float(np.square(contrast).mean()) - noise
    return left if left > 0.0 else np.nan


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the rows."""
    mean, *ends = (rows[0][f"previous_reference_r{end}"] for end in ("", "_least", "_most"))
    print(f"\nconsecutive references correlate at {mean:.2f}, {ends[0]:.2f} to {ends[1]:.2f}")
    print(f"{'way':46}  error (median)  change [95 %]            r   change [95 %]")
    for row in rows:
        print(
            f"{row['way']:46}{row['error']:7.2f} ({row['error_median']:.2f})"
            f"{row['error_change']:8.2f} [{row['error_change_low']:.2f}, "
            f"{row['error_change_high']:.2f}]{row['pearson']:10.3f}"
            f"{row['pearson_change']:8.3f} [{row['pearson_change_low']:.3f}, "
            f"{row['pearson_change_high']:.3f}]"
        )


if __name__ == "__main__":
    app.run(main, "temporal_sharing")
