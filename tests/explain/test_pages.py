"""An explained episode reaches the page with what was measured of it."""

import types

import numpy as np

from iss_jax.explain.pages import shown_episode


def explained(**changes):
    """What `shown_episode` reads of an explained episode of three frames and two views."""
    shape, cells = (3, 4, 4), np.arange(24.0).reshape(3, 2, 2, 2)
    views = {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}
    given = {
        "index": 7,
        "episode": [None] * 3,
        "cameras": views,
        "cells": cells,
        "computed": np.array([0, 2]),
        "contrast_stderr": np.array([np.full((2, 2, 2), 0.5), np.full((2, 2, 2), np.inf)]),
        "is_computed": np.array([True, False, True]),
        "acted": None,
        "measures": types.SimpleNamespace(
            area=np.array([[0.25, 0.5, 0.25]] * 3), random_nmr=np.arange(12.0).reshape(3, 2, 2)
        ),
        "seen": types.SimpleNamespace(
            images={view: np.zeros((*shape, 3), np.uint8) for view in views},
            valid={view: np.ones(shape, bool) for view in views},
            regions={"base_0_rgb": np.zeros(shape, np.uint8)},
        ),
        "times": np.arange(3) / 5,
        "unit": "squared error",
        "percents": (10.0, 5.0),
        "success": lambda: False,
        "task": lambda: "lift the bowl",
    }
    return types.SimpleNamespace(**given | changes)


def test_what_was_measured_is_shown():
    shown = shown_episode(explained(), "names")
    assert shown.title == "episode 7: lift the bowl" and shown.success is False
    assert list(shown.images) == ["front", "wrist"] and list(shown.regions) == ["front"]
    errors = shown.methods["ISS"].stderr
    # Known where computed and finite; neither in between nor where too few masks dropped a cell.
    assert (errors[0] == 0.5).all() and np.isnan(errors[1:]).all()
    assert shown.chance is not None and shown.chance.tolist() == [0.25] * 3
    assert {k: draws.tolist() for k, draws in shown.random.items()} == {
        10.0: [[0, 2], [4, 6], [8, 10]],
        5.0: [[1, 3], [5, 7], [9, 11]],
    }


def test_without_labels_there_is_neither_chance_nor_a_band():
    shown = shown_episode(explained(measures=None), "names")
    assert shown.chance is None and shown.random == {}
