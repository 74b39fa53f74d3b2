"""Players of made-up labels, and of a frame of the bench."""

import numpy as np
import pytest

from experiments.causes.coherence import (
    KINDS,
    coherence_lines,
    coherence_of,
    coherence_table,
    in_parts,
    labels_of,
)
from experiments.causes.scenes import (
    frames_of_tasks,
    make_cause_scene,
    open_source,
    split_tasks,
)
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset

SOME = ("joined looks", "plain k-means, joined looks", "cells", "token patches")


def test_specks_do_not_count_and_views_are_apart():
    labels = np.zeros((2, 10, 10), int)
    labels[0, :4, :5] = 1  # twenty pixels
    labels[0, 9, 9] = labels[1, 0, 0] = 1  # and two specks
    labels[1, 5, :] = 2  # a line of ten
    labels[:, 0, 9] = -1
    np.testing.assert_allclose(in_parts(labels), [1.0, 20 / 22, 0.0])
    np.testing.assert_allclose(in_parts(labels, least=10), [1.0, 20 / 22, 1.0])


def test_parts_touch_by_sides():
    labels = np.eye(30, dtype=int)[None]
    assert in_parts(labels)[1] == 0.0
    labels[0, np.arange(29), np.arange(1, 30)] = 1
    assert in_parts(labels)[1] == 1.0


@pytest.fixture(scope="module")
def rows():
    source = open_source(open_dataset(embedded.episodes_path()))
    task = next(t for t in split_tasks(source)["chosen"] if "libero_object/" in t)
    items = {"chosen": frames_of_tasks(source, [task], "seen", 1)}
    scene = make_cause_scene(source, items["chosen"][0], 1)
    return coherence_of(source, items, kinds=SOME), scene


def test_cells_are_whole_and_plain_means_are_not(rows):
    table = {r["kind"]: r for r in coherence_table(rows[0], resamples=99, confidence=0.95)}
    assert tuple(table) == SOME and set(SOME) <= set(KINDS)
    assert table["cells"]["coherent"] == table["token patches"]["least"] == 1.0
    assert table["joined looks"]["coherent"] > table["plain k-means, joined looks"]["coherent"]
    assert table["cells"]["players"] == 48 and table["token patches"]["players"] == 75
    (line,) = [x for x in coherence_lines(list(table.values())) if " cells " in x and "48" in x]
    assert "100 %" in line


def test_plain_means_are_the_looks_before_they_are_made_coherent(rows):
    name = "joined looks"
    plain, coherent = (labels_of(kind, rows[1]) for kind in (f"plain k-means, {name}", name))
    # Most pixels keep their cluster.
    assert 0.6 < (plain == coherent).mean() < 1.0


def test_plain_means_of_each_view_have_numbers_of_their_own(rows):
    plain = labels_of("plain k-means, looks of a view", rows[1])
    assert [(own.min() // 8, own.max() // 8) for own in plain] == [(0, 0), (1, 1), (2, 2)]
