import numpy as np
import pytest

from experiments.planted.cue import COLOURS
from experiments.zoo.cues import FLOOR_SHARE, painted, tint_gains, where
from experiments.zoo.design import CUES


@pytest.fixture
def scene():
    images = {c: np.full((80, 80, 3), 100, np.uint8) for c in ("front", "wrist", "overhead")}
    floor = {c: np.zeros((80, 80), bool) for c in images}
    floor["wrist"][40:] = True
    return images, floor


@pytest.mark.parametrize("kind", CUES)
def test_a_cue_changes_its_own_pixels_and_no_others(scene, kind):
    images, floor = scene
    places = where(kind, floor)
    for shown in range(len(COLOURS)):
        found = painted(images, floor, kind, shown)
        for camera, image in images.items():
            same = (found[camera] == image).all(-1)
            assert same[~places[camera]].all()
            assert not same[places[camera]].any()
    assert all((image == 100).all() for image in images.values())


@pytest.mark.parametrize("kind", CUES)
def test_ten_objects_are_shown_in_ten_ways(scene, kind):
    shown = [painted(*scene, kind, value) for value in range(len(COLOURS))]
    pixel = [tuple(np.concatenate([one[c].max((0, 1)) for c in sorted(one)])) for one in shown]
    distance = [np.abs(np.subtract(a, b, dtype=int)).sum() for a in pixel for b in pixel if a != b]
    assert len(set(pixel)) == len(COLOURS) and min(distance) >= 8


def test_the_floor_keeps_the_rest_of_its_own_colour(scene):
    found = painted(*scene, "floor", 0)["wrist"][60, 0]
    wanted = (1 - FLOOR_SHARE) * 100 + FLOOR_SHARE * COLOURS[0].astype(float)
    np.testing.assert_allclose(found, wanted, atol=0.5)


def test_tints_are_of_one_lightness():
    np.testing.assert_allclose([tint_gains(i).mean() for i in range(10)], 1.0)


def test_no_cue_changes_nothing_and_another_is_none(scene):
    images, floor = scene
    assert all((painted(images, floor, "none", 3)[c] == images[c]).all() for c in images)
    with pytest.raises(ValueError, match="cue 'smell' given"):
        where("smell", floor)
