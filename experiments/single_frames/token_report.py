"""Tables and figure of the token interventions."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from iss_jax.stats.correlation import coefficient
from iss_jax.stats.groups import clustered_mean
from iss_jax.tokens.sampled import combine, draw_tokens

Result = Mapping[str, Any]
OBJECT = "object"


def agreement_rows(
    results: Sequence[Result],
    tasks: Sequence[str],
    budgets: Sequence[Sequence[int]],
    repeats: int,
    price: float,
) -> list[dict[str, Any]]:
    """How near each way comes to the exact scores of the visual tokens, and what it costs.

    Costs are in runs of a token, of which a gradient is worth `price`. `relative_error` is
    the root mean squared error over tokens over the root mean square of the exact scores;
    `total_error` that of the sum over all visual tokens, over the sum. `coverage` is how often 1.96
    standard errors hold the true sum. Means over frames, with a 95 % interval over tasks for r.
    """
    found: dict[tuple[str, float, str], list[dict[str, float]]] = {}
    for number, result in enumerate(results):
        exact = np.asarray(result["exact"], float)
        guesses = np.asarray(result["guesses"], float)
        for calls in sorted({1, len(guesses)}):
            probes = calls * result["probes"]
            key = ("first order", 1 + probes * price, f"{probes} probes")
            found.setdefault(key, []).append(_agreement(guesses[:calls].mean(0), exact))
        for keep_prob, contrasts in result["masked"].items():
            scores = np.asarray(contrasts, float)
            key = ("masks over tokens", float(result["num_masks"]), f"p = {keep_prob}")
            found.setdefault(key, []).append(_agreement(scores, exact))
        for top, drawn, probes in budgets:
            cost = top + drawn + (1 + probes * price if probes else 0.0)
            label = f"{top} top, {drawn} drawn, {probes} probes"
            pair = _sampled(exact, guesses, top, drawn, probes, result, repeats, number)
            for kind, values in pair.items():
                found.setdefault((kind, cost, label), []).append(values)
    rows = []
    for (kind, cost, label), values in found.items():
        row: dict[str, Any] = {"method": kind, "setting": label, "cost": round(cost, 1)}
        for name in values[0]:
            mean = clustered_mean(np.array([one[name] for one in values]), np.asarray(tasks))
            row[name] = mean.value
            if name == "pearson":
                row["pearson_low"], row["pearson_high"] = mean.low, mean.high
        row.setdefault("coverage", float("nan"))
        rows.append(row)
    return sorted(rows, key=lambda row: (row["method"], row["cost"], row["setting"]))


def _agreement(scores: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    size = float(np.sqrt(np.square(exact).mean()))
    return {
        "pearson": np.nan_to_num(coefficient(scores, exact)),
        "spearman": np.nan_to_num(coefficient(scores, exact, kind="spearman")),
        "relative_error": float(np.sqrt(np.square(scores - exact).mean())) / size,
        "total_error": abs(float(scores.sum() - exact.sum())) / float(exact.sum()),
    }


def _sampled(
    exact: np.ndarray,
    guesses: np.ndarray,
    top: int,
    drawn: int,
    probes: int,
    result: Result,
    repeats: int,
    number: int,
) -> dict[str, dict[str, float]]:
    """Both scores of `sampled_token_significance` over repeated draws from the exact scores."""
    calls = max(1, probes // result["probes"])
    guess = guesses[:calls].mean(0) if probes else np.zeros_like(exact)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), number), repeats)
    estimates, predictions, residuals = (
        np.asarray(part, float)
        for part in _draws(
            keys, jnp.asarray(guess, jnp.float32), jnp.asarray(exact, jnp.float32), top, drawn
        )
    )
    population = len(exact) - top
    spread = np.square(residuals).sum(1) - np.square(residuals.sum(1)) / drawn
    variance = spread / (drawn - 1) * population**2 * (1 / drawn - 1 / population)
    error = np.abs(estimates.sum(1) - exact.sum())
    out = {}
    for kind, values in (("unbiased", estimates), ("predicted", predictions)):
        each = [_agreement(one, exact) for one in values]
        out[kind] = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    out["unbiased"]["coverage"] = float((error <= 1.96 * np.sqrt(np.maximum(variance, 0))).mean())
    return out


@partial(jax.jit, static_argnames=("top", "drawn"))
def _draws(
    keys: jax.Array, guess: jax.Array, exact: jax.Array, top: int, drawn: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Estimates, predictions and residuals of one draw a key, [keys, tokens] each."""
    tokens = jnp.arange(exact.shape[0])[None]

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        first, others = draw_tokens(key, guess, top, drawn)
        is_top, is_drawn = ((part[:, None] == tokens).any(0) for part in (first, others))
        found = combine(guess, exact, is_top, is_drawn)
        return found.estimate, found.predicted, found.residuals

    return jax.vmap(one)(keys)


def word_rows(
    results: Sequence[Result],
    tasks: Sequence[str],
    classes: Mapping[str, Sequence[str]],
    random_draws: int,
) -> list[dict[str, Any]]:
    """Where the words of each class stand among the words of their instruction.

    A word's rank is 0 for the least significant word of the instruction and 1 for the most; words
    that are dealt at random have a mean of one half. `p_value` compares the class's mean rank with
    that of scores dealt within every instruction, two-sided.
    """
    names = (*classes, OBJECT)
    rng = np.random.default_rng(0)
    own, dealt, scores = [], [], []
    for result in results:
        words = [word for word in result["words"] if word["part"] == "instruction"]
        kinds = np.array([_class(word["text"], classes) for word in words])
        values = np.array([word["score"] for word in words])
        ranks = (scipy.stats.rankdata(values) - 1) / max(len(words) - 1, 1)
        own.append(_by_class(ranks, kinds, names))
        scores.append(_by_class(values / max(values.mean(), 1e-300), kinds, names))
        dealt.append([_by_class(rng.permutation(ranks), kinds, names) for _ in range(random_draws)])
    rows = []
    for index, name in enumerate(names):
        there = np.array([not np.isnan(one[index]) for one in own])
        if not there.any():
            continue
        clusters = np.asarray(tasks)[there]
        ranks = np.array([one[index] for one in own])[there]
        mean = clustered_mean(ranks, clusters)
        relative = clustered_mean(np.array([one[index] for one in scores])[there], clusters)
        chance = np.array([[draw[index] for draw in one] for one in dealt])[there].mean(0)
        extreme = np.abs(chance - 0.5) >= abs(mean.value - 0.5) - 1e-12
        rows.append(
            {
                "words": name,
                "instructions": int(there.sum()),
                "rank": mean.value,
                "rank_low": mean.low,
                "rank_high": mean.high,
                "random_rank": float(chance.mean()),
                "p_value": (int(extreme.sum()) + 1) / (random_draws + 1),
                "relative_score": relative.value,
                "relative_score_low": relative.low,
                "relative_score_high": relative.high,
            }
        )
    return rows


def _class(text: str, classes: Mapping[str, Sequence[str]]) -> str:
    return next((name for name, words in classes.items() if text in words), OBJECT)


def _by_class(values: np.ndarray, kinds: np.ndarray, names: Sequence[str]) -> list[float]:
    return [
        float(values[kinds == name].mean()) if (kinds == name).any() else float("nan")
        for name in names
    ]


def share_rows(
    results: Sequence[Result], items: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What share of the summed significance of all tokens each part of the prefix has, by group."""
    groups = np.array([item["group"] for item in items])
    tasks = np.array([item["task"] for item in items])
    each = []
    for result in results:
        parts = dict(result["views"])
        for word in result["words"]:
            parts[word["part"]] = parts.get(word["part"], 0.0) + word["score"]
        total = sum(parts.values())
        each.append({name: value / total for name, value in parts.items()})
    names = list(dict.fromkeys(name for one in each for name in one))
    rows = []
    for group in dict.fromkeys(groups):
        for name in names:
            values = np.array([one.get(name, 0.0) for one in each])[groups == group]
            mean = clustered_mean(values, tasks[groups == group])
            rows.append(
                {
                    "group": group,
                    "part": name,
                    "share": mean.value,
                    "share_low": mean.low,
                    "share_high": mean.high,
                }
            )
    return rows


def print_report(content: Mapping[str, Any]) -> None:
    """Prints the three tables."""
    print(f"\n{content['frames']} frames; visual tokens, against their exact scores")
    print(f"{'method':18} {'setting':32}{'cost':>7}  r [95 %]              rank r", end="")
    print("  rel. error  error of total  coverage")
    for row in content["agreement"]:
        interval = f"[{row['pearson_low']:.2f}, {row['pearson_high']:.2f}]"
        print(
            f"{row['method']:18} {row['setting']:32}{row['cost']:7.1f}"
            f"  {row['pearson']:5.2f} {interval:14}{row['spearman']:8.2f}"
            f"{row['relative_error']:12.2f}{row['total_error']:16.2f}{row['coverage']:10.2f}"
        )
    print(f"\n{'words':10}{'n':>4}  rank [95 %]           random      p  score / mean [95 %]")
    for row in content["words"]:
        ranks = f"[{row['rank_low']:.2f}, {row['rank_high']:.2f}]"
        relative = f"[{row['relative_score_low']:.2f}, {row['relative_score_high']:.2f}]"
        print(
            f"{row['words']:10}{row['instructions']:4d}  {row['rank']:5.2f} {ranks:14}"
            f"{row['random_rank']:8.2f}{row['p_value']:7.3f}"
            f"  {row['relative_score']:.2f} {relative}"
        )
    print("\nshare of all significance")
    for row in content["shares"]:
        interval = f"[{row['share_low']:.3f}, {row['share_high']:.3f}]"
        print(f"{row['group']:8} {row['part']:18}{row['share']:7.3f} {interval}")


def figure(content: Mapping[str, Any]) -> Any:
    """Agreement against cost, and where classes of words stand."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(10.5, 3.8), dpi=120, layout="constrained")
    cost, words = drawn.subplots(1, 2)
    for method in dict.fromkeys(row["method"] for row in content["agreement"]):
        for with_probes in (True, False):
            rows = [
                row
                for row in content["agreement"]
                if row["method"] == method
                and (method in ("unbiased", "predicted") and " 0 probes" in row["setting"])
                != with_probes
            ]
            if not rows:
                continue
            blind = "" if with_probes else ", no gradients"
            cost.errorbar(
                [row["cost"] for row in rows],
                [row["pearson"] for row in rows],
                yerr=[
                    [max(row["pearson"] - row["pearson_low"], 0) for row in rows],
                    [max(row["pearson_high"] - row["pearson"], 0) for row in rows],
                ],
                label=f"{method}{blind}",
                marker="o",
                markersize=3,
                linewidth=0 if method == "masks over tokens" else 1,
                elinewidth=1,
            )
    cost.set(xlabel="cost, runs of a token", ylabel="r with the exact scores", xscale="log")
    cost.set_title("visual tokens", loc="left", fontsize=9)
    cost.legend(fontsize=7, frameon=False)
    rows = content["words"]
    places = np.arange(len(rows))
    ranks = np.array([row["rank"] for row in rows])
    reach = np.array([[row["rank_low"], row["rank_high"]] for row in rows]).T
    words.errorbar(places, ranks, np.abs(reach - ranks), fmt="o", label="replaced by the mean")
    words.plot(
        places, [row["random_rank"] for row in rows], "x", color="0.4", label="dealt at random"
    )
    words.axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
    words.set_xticks(places, [row["words"] for row in rows])
    words.set(ylim=(0, 1), ylabel="rank within the instruction")
    words.set_title("words of the instruction", loc="left", fontsize=9)
    words.legend(fontsize=7, frameon=False)
    for axes in (cost, words):
        axes.spines[["top", "right"]].set_visible(False)
    return drawn
