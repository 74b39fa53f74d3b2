"""What detectors are worth: calibrated on some tasks, judged on others, over many partitions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.monitored.detectors import (
    ALONE,
    ANY,
    TOGETHER,
    Score,
    area,
    chosen_sum,
    fitted,
)
from experiments.monitored.episodes import Watched
from iss_jax.monitoring.alarm import conformal_threshold, episode_maximum
from iss_jax.stats.resampling import FEWEST_CLUSTERS, cluster_weights, expanded_interval

PARTS = ("fit", "calibrate", "judge")


class Kind(NamedTuple):
    """Episodes that are judged together.

    Attributes:
        policy: Whose.
        panels: What their panel may show.
        suites: Of the study.
        home: Whether they are like those that calibrate, so that their tasks must be others.
    """

    policy: str
    panels: tuple[str, ...]
    suites: tuple[str, ...]
    home: bool = False


def kinds(suites: Sequence[str], home: Sequence[str]) -> dict[str, Kind]:
    """The kinds of episodes by name.

    Args:
        suites: All that occur.
        home: Those on which an alarm is calibrated.
    """
    away = tuple(suite for suite in suites if suite not in home)
    return {
        "as calibrated": Kind("embedded", ("",), tuple(home), True),
        "shifted": Kind("embedded", ("",), away),
        "panel decides": Kind("reader", ("other",), tuple(home)),
        "panel agrees": Kind("reader", ("own",), tuple(home)),
        "panel ignored": Kind("embedded", ("other",), tuple(home)),
    }


def of_kind(episodes: Sequence[Watched], kind: Kind) -> list[Watched]:
    """Episodes of a kind, in their order."""
    return [
        one
        for one in episodes
        if one.policy == kind.policy and one.panel in kind.panels and one.suite in kind.suites
    ]


def partition(places: Sequence[str], rng: np.random.Generator) -> dict[str, str]:
    """Task -> the part it has, thirds of each suite's tasks."""
    found = {}
    for suite in sorted({place.split("/")[0] for place in places}):
        own = sorted({place for place in places if place.split("/")[0] == suite})
        start = int(rng.integers(len(PARTS)))
        for number, index in enumerate(rng.permutation(len(own))):
            found[own[index]] = PARTS[(start + number) % len(PARTS)]
    return found


class Outcome(NamedTuple):
    """What one detector did in one episode under one partition.

    Attributes:
        detector: Its name.
        kind: Of the episode.
        level: Of false alarms that was promised; 0 for the threshold that has `equal` of them.
        looks: Inferences that counted.
        episode: Number of it.
        rang: Whether it rang.
        at: Inference at which it did, −1 where it did not.
        most: The episode's largest score.
    """

    detector: str
    kind: str
    level: float
    looks: int
    episode: int
    rang: bool
    at: int
    most: float


class Judged(NamedTuple):
    """All outcomes, and what the partitions were like."""

    outcomes: list[list[Outcome]]
    chosen: list[tuple[str, ...]]
    calibrated: list[int]


def judge(
    episodes: Sequence[Watched],
    *,
    home: Sequence[str],
    levels: Sequence[float],
    horizon: int,
    equal_steps: int,
    window: int,
    partitions: int,
    seed: int,
) -> Judged:
    """Every detector's alarms over random partitions of the home suites' tasks.

    A third of the tasks fits what has to be fitted, a third calibrates, a third is judged. What is
    summed is fitted to one half of the first third and chosen on the other. Episodes
    of other suites are judged under every partition, and a panel's under those that judge its task.
    The alarm of the policy that reads a panel is that of the embedded one: without a panel it is
    the same policy.

    Args:
        episodes: All.
        home: Suites on which alarms are calibrated.
        levels: Of false alarms that are promised.
        horizon: Inferences that count.
        equal_steps: Likewise, so few that nearly all episodes have them.
        window: See `experiments.monitored.detectors.fitted`.
        partitions: How many.
        seed: Of them.
    """
    named = kinds(sorted({one.suite for one in episodes}), home)
    numbers = {id(one): number for number, one in enumerate(episodes)}
    own = of_kind(episodes, named["as calibrated"])
    found, chosen, calibrated = [], [], []
    rng = np.random.default_rng(seed)
    for number in range(partitions):
        part = partition([one.place for one in own], rng)
        fit = [one for one in own if part[one.place] == "fit"]
        if len({one.success for one in fit}) < 2:
            continue
        scores = fitted(fit, window, seed + number)
        halves = _halves(fit, rng)
        if halves is None:
            continue
        half = fitted(halves[0], window, seed + number)
        outcomes: list[Outcome] = []
        for looks in dict.fromkeys((horizon, equal_steps)):
            total, names = chosen_sum(half, halves[1], looks)
            every = scores | {"sum": total}
            if looks == horizon:
                chosen.append(names)
            base = [one for one in own if one.success and part[one.place] == "calibrate"]
            if looks == horizon:
                calibrated.append(len(base))
            for name, kind in named.items():
                judged = of_kind(episodes, kind)
                if kind.suites == tuple(home):
                    judged = [one for one in judged if part.get(one.place) == "judge"]
                for level in levels:
                    outcomes += _ring(name, judged, base, every, level, looks, numbers)
        found.append(outcomes)
    return Judged(found, chosen, calibrated)


def _halves(
    fit: Sequence[Watched], rng: np.random.Generator
) -> tuple[list[Watched], list[Watched]] | None:
    """Two halves of the tasks, both with successes and failures; None where there are none such."""
    places = sorted({one.place for one in fit})
    for _ in range(20):
        first = set(rng.permutation(places)[: (len(places) + 1) // 2].tolist())
        parts = [one for one in fit if one.place in first], [o for o in fit if o.place not in first]
        if all(len({one.success for one in part}) == 2 for part in parts):
            return parts
    return None


def _ring(
    kind: str,
    judged: Sequence[Watched],
    base: Sequence[Watched],
    scores: Mapping[str, Score],
    level: float,
    looks: int,
    numbers: Mapping[int, int],
) -> list[Outcome]:
    def threshold(name: str, share: float) -> float:
        maxima = [episode_maximum(scores[name](one), looks) for one in base]
        return conformal_threshold(maxima, share).value

    limits = {name: threshold(name, level) for name in scores}
    shared = {
        (name, len(some)): threshold(name, level / len(some))
        for some in ANY.values()
        for name in some
    }
    found = []
    for one in judged:
        values = {name: np.asarray(score(one))[:looks] for name, score in scores.items()}
        over = {name: own > limits[name] for name, own in values.items()}
        for name, some in ANY.items():
            over[name] = np.any([values[n] > shared[n, len(some)] for n in some], axis=0)
        for name, rings in over.items():
            at = int(np.argmax(rings)) if rings.any() else -1
            most = episode_maximum(values[name], looks) if name in values else np.nan
            number = numbers[id(one)]
            found.append(Outcome(name, kind, level, looks, number, at >= 0, at, most))
    return found


def rates(
    judged: Judged, episodes: Sequence[Watched], *, execute: int, resamples: int, confidence: float
) -> list[dict[str, Any]]:
    """A row a detector, kind, outcome, level and number of looks: how often it rang, and how early.

    Of each episode the mean over the partitions that judged it is taken; intervals resample tasks.

    Args:
        judged: As `judge` gives.
        episodes: All.
        execute: Control steps from one measured inference to the next.
        resamples: Of tasks.
        confidence: Of the intervals.
    """
    cells: dict[tuple, dict[int, list[tuple[bool, int]]]] = {}
    for outcomes in judged.outcomes:
        for one in outcomes:
            success = episodes[one.episode].success
            key = (one.detector, one.kind, success, one.level, one.looks)
            cells.setdefault(key, {}).setdefault(one.episode, []).append((one.rang, one.at))
    rows = []
    for (detector, kind, success, level, looks), own in cells.items():
        value = np.array([np.mean([rang for rang, _ in seen]) for seen in own.values()])
        places = [episodes[number].place for number in own]
        low, high = by_task(value, places, resamples, confidence)
        leads = [
            (episodes[number].steps - execute * at) / 20
            for number, seen in own.items()
            for rang, at in seen
            if rang
        ]
        rows.append(
            {
                "detector": detector,
                "kind": kind,
                "outcome": "success" if success else "failure",
                "level": level,
                "looks": looks,
                "episodes": len(own),
                "tasks": len(set(places)),
                "rate": round(float(value.mean()), 4),
                "low": low,
                "high": high,
                "lead_s": round(float(np.median(leads)), 2) if leads else None,
            }
        )
    return rows


def areas(
    judged: Judged, episodes: Sequence[Watched], *, resamples: int, confidence: float
) -> list[dict[str, Any]]:
    """A row a detector, kind of failure and number of looks: its AUC against held-out successes.

    The failures of a kind are compared with the successes of the same policy that were held out:
    every number of false alarms is then equal for all detectors. Detection at a tenth of false
    alarms stands beside it.
    """
    values: dict[tuple, dict[int, list[float]]] = {}
    for outcomes in judged.outcomes:
        for one in outcomes:
            if not np.isnan(one.most) and one.level == outcomes[0].level:
                key = (one.detector, one.kind, one.looks)
                values.setdefault(key, {}).setdefault(one.episode, []).append(one.most)
    rows = []
    for detector, kind, looks in values:
        failed = {
            n: float(np.mean(v))
            for n, v in values[detector, kind, looks].items()
            if not episodes[n].success
        }
        rival = "panel agrees" if kind == "panel decides" else "as calibrated"
        for against in dict.fromkeys((rival, kind)):
            good = {
                n: float(np.mean(v))
                for n, v in values.get((detector, against, looks), {}).items()
                if episodes[n].success
            }
            if not failed or not good:
                continue
            found = _area_row(failed, good, episodes, resamples, confidence)
            rows.append(
                {"detector": detector, "kind": kind, "against": against, "looks": looks, **found}
            )
    return rows


def _area_row(
    failed: Mapping[int, float],
    good: Mapping[int, float],
    episodes: Sequence[Watched],
    resamples: int,
    confidence: float,
) -> dict[str, Any]:
    places = sorted({episodes[n].place for n in (*failed, *good)})
    index = {place: i for i, place in enumerate(places)}
    bad, fine = (np.array(list(own.values())) for own in (failed, good))
    of_bad, of_fine = ([index[episodes[n].place] for n in own] for own in (failed, good))
    wins = (bad[:, None] > fine[None]) + 0.5 * (bad[:, None] == fine[None])
    low = high = None
    if min(len(set(of_bad)), len(set(of_fine))) >= FEWEST_CLUSTERS:
        weights = cluster_weights(len(places), resamples, 0)
        wb, wf = weights[:, of_bad].astype(float), weights[:, of_fine].astype(float)
        total = wb.sum(1) * wf.sum(1)
        draws = np.einsum("rb,bf,rf->r", wb, wins, wf) / np.where(total > 0, total, np.nan)
        low, high = (round(e, 4) for e in expanded_interval(draws, len(places), confidence))
    limit = np.quantile(fine, 0.9, method="higher")
    return {
        "failures": len(bad),
        "successes": len(fine),
        "area": round(area(bad, fine), 4),
        "low": low,
        "high": high,
        "detected_at_a_tenth": round(float((bad > limit).mean()), 4),
    }


def by_task(
    value: Float[np.ndarray, " n"], places: Sequence[str], resamples: int, confidence: float
) -> tuple[float | None, float | None]:
    """Interval of a mean, tasks resampled; None where there are too few of them."""
    names, labels = np.unique(places, return_inverse=True)
    if len(names) < FEWEST_CLUSTERS:
        return None, None
    counts = np.bincount(labels).astype(float)
    sums = np.bincount(labels, weights=value)
    weights = cluster_weights(len(names), resamples, 0)
    draws = (weights @ sums) / (weights @ counts)
    low, high = expanded_interval(draws, len(names), confidence)
    return round(low, 4), round(high, 4)


def names_of(judged: Judged) -> list[str]:
    """The detectors, those alone first."""
    there = {one.detector for outcomes in judged.outcomes for one in outcomes}
    first = [name for name in (*ALONE, *TOGETHER) if name in there]
    return first + sorted(there - set(first))
