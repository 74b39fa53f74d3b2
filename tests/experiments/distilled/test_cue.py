import numpy as np
import pytest

from experiments.distilled.cue import KINDS, painted, places
from experiments.planted.cue import COLOURS

VIEWS = ("front", "wrist", "overhead")


@pytest.mark.parametrize("kind", KINDS)
def test_a_cue_changes_its_own_pixels_and_no_others(kind):
    rng = np.random.default_rng(0)
    images = {view: rng.integers(0, 256, (80, 80, 3)).astype(np.uint8) for view in VIEWS}
    where = places(kind, VIEWS, (80, 80))
    found = {value: painted(images, where, kind, value) for value in (2, 5)}
    assert list(found[2]) == list(VIEWS)
    for view, frame in images.items():
        inside = where.get(view, np.zeros((80, 80), bool))
        for one in found.values():
            np.testing.assert_array_equal(one[view][~inside], frame[~inside])
        differ = (found[2][view] != found[5][view]).any(-1)
        np.testing.assert_array_equal(differ, inside)


def test_a_colour_names_its_object_wherever_it_is_shown():
    images = {view: np.zeros((80, 80, 3), np.uint8) for view in VIEWS}
    where = places("panel_two", VIEWS, (80, 80))
    assert list(where) == ["front", "overhead"]
    shown = painted(images, where, "panel_two", 3)
    for view, inside in where.items():
        assert (shown[view][inside] == COLOURS[3]).all()
    checkered = painted(images, places("patch", VIEWS, (80, 80)), "patch", 3)["overhead"]
    inside = places("patch", VIEWS, (80, 80))["overhead"]
    own = (checkered[inside] == COLOURS[3]).all(-1)
    other = (checkered[inside] == 255 - COLOURS[3]).all(-1)
    assert (own ^ other).all() and own.mean() == pytest.approx(0.5, abs=0.01)


def test_another_cue_is_refused():
    with pytest.raises(ValueError, match="cue 'tint' given, one of"):
        places("tint", VIEWS, (80, 80))
