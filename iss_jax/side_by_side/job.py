"""Two policies compared into a run directory: tables, a figure, a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from iss_jax.data.dataset import Dataset
from iss_jax.effect_reasons import NOT_TESTED
from iss_jax.explain.donors import Donors
from iss_jax.explain.subject import Subject
from iss_jax.jobs.directory import RunDirectory
from iss_jax.side_by_side.differences import of_frame, of_part, over_frames, row_of, sentence
from iss_jax.side_by_side.frames import Chosen, acts_on, choose
from iss_jax.side_by_side.options import CompareOptions
from iss_jax.viz.compared_figure import compared_figure

NUISANCE = "nuisance (labels)"


def compare(
    run: RunDirectory,
    options: CompareOptions,
    subjects: Sequence[Callable[[], Subject]],
    names: tuple[str, str],
    dataset: Dataset,
) -> dict[str, Any]:
    """Writes `frames.csv`, `results.csv`, `results.json` and `figures/compared.png`.

    Args:
        run: Where to.
        options: Which frames, players and donors.
        subjects: What opens the two policies, one after the other: both need not fit into memory.
        names: Of the policies.
        dataset: The episodes.

    Returns:
        What `results.json` holds.

    Raises:
        ValueError: The policies see the frames at different sizes, so that they have other
            players; or the dataset lacks images or labels.
    """
    chosen = choose(dataset, options)
    donors: Donors | None = None
    found: list[list[list[dict[str, Any]]]] = []
    for opened, name in zip(subjects, names, strict=True):
        subject = opened()
        with contextlib.ExitStack() as stack:
            stack.callback(getattr(subject, "close", lambda: None))
            if donors is None:
                donors = subject.donors(dataset, options)
            like = found[0] if found else None
            found.append(acts_on(run, options, dataset, chosen, subject, donors, name, like))
        # The next one may need its place.
        del subject
    assert donors is not None
    frames = frame_rows(chosen, found)
    compared = over_all(frames, options)
    rows = [row_of(name, one) for name, one in compared]
    run.write_csv("frames.csv", frames)
    run.write_csv("results.csv", rows)
    said = sentence(compared, names)
    shown = sum(len(one.frames) for one in chosen)
    content = {
        "a": names[0],
        "b": names[1],
        "frames": shown,
        "episodes": len(chosen),
        "players": options.players,
        "draws": options.draws,
        "fill": donors.fill,
        **({"fill_reason": donors.reason} if donors.reason else {}),
        "says": said,
        "compared": rows,
    }
    run.write_json("results.json", content)
    note = f"{shown} frames of {len(chosen)} episodes, {options.draws} draws, fill {donors.fill}."
    run.write_figure("compared.png", compared_figure(rows, names, note=note))
    return content


def frame_rows(
    chosen: Sequence[Chosen], found: Sequence[list[list[dict[str, Any]]]]
) -> list[dict[str, Any]]:
    """A row a frame and player that it shows, and one of the nuisance where there are labels."""
    rows = []
    for one, *episode in zip(chosen, *found, strict=True):
        for frame, a, b in zip(one.frames, *episode, strict=True):
            rows += _rows_of(one.episode, frame, a, b)
    return rows


def _rows_of(
    episode: int, frame: int, a: dict[str, Any], b: dict[str, Any]
) -> list[dict[str, Any]]:
    first, second = (np.array(one["by_draw"], float) for one in (a, b))
    known = a["reason"] == 0 and b["reason"] == 0
    area = np.array(a["areas"], float)
    tested = np.minimum(a["moved"], b["moved"]) > NOT_TESTED
    compared = of_frame(first, second)
    rows = [
        {
            "episode": episode,
            "frame": frame,
            "player": name,
            "named": a["named"],
            "share_a": compared.a[i],
            "share_b": compared.b[i],
            "difference": compared.difference[i],
            "stderr": compared.stderr[i],
            "area": area[i],
            "known": bool(known and tested[i]),
        }
        for i, name in enumerate(a["names"])
        if area[i] > 0
    ]
    if a["part"] is None:
        return rows
    part = np.array(a["part"], float)
    holds = (part > 0) & (area > 0)
    whole = of_part(first, second, part)
    return [
        *rows,
        {
            "episode": episode,
            "frame": frame,
            "player": NUISANCE,
            "named": True,
            "share_a": whole.a[0],
            "share_b": whole.b[0],
            "difference": whole.difference[0],
            "stderr": whole.stderr[0],
            "area": float(part @ area),
            # Where nuisance is spread over players, one that is changed tests it.
            "known": bool(known and ((holds & tested).any() or not holds.any())),
        },
    ]


def over_all(frames: Sequence[dict[str, Any]], options: CompareOptions) -> list[tuple[str, Any]]:
    """Every player over the frames that show it; looks, which are of one episode, within theirs."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in frames:
        name = row["player"] if row["named"] else f"episode {row['episode']}: {row['player']}"
        groups.setdefault(name, []).append(row)
    return [
        (
            name,
            over_frames(
                _column(own, "share_a"),
                _column(own, "share_b"),
                _column(own, "stderr"),
                _column(own, "episode"),
                _column(own, "known"),
                confidence=options.confidence,
                resamples=options.resamples,
            ),
        )
        for name, own in groups.items()
    ]


def _column(rows: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])
