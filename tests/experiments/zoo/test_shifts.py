import numpy as np
import pytest

from experiments.zoo.shifts import AXES, Scene, shifted

PAINTED = ("looks", "distractors", "texture", "light", "noise")


@pytest.fixture
def scene():
    """A floor 1 m wide, seen from above by two cameras, with one object on it."""
    rng = np.random.default_rng(0)
    side = 40
    x, y = np.meshgrid((np.arange(side) + 0.5) / side, (np.arange(side) + 0.5) / side)
    points = np.stack([x, y], -1)
    objects = np.zeros((side, side), int)
    objects[10:14, 10:14] = 5
    cameras = ("front", "overhead")
    return Scene(
        {c: rng.integers(80, 160, (side, side, 3), np.uint8) for c in cameras},
        dict.fromkeys(cameras, objects == 0),
        dict.fromkeys(cameras, objects),
        # The second camera is turned by a quarter.
        {"front": points, "overhead": np.rot90(points)},
        (0.3, 0.3, 0.7, 0.7),
    )


@pytest.mark.parametrize("axis", PAINTED)
def test_a_shift_grows_with_its_strength_and_stays_the_same_in_a_trial(scene, axis):
    strong, weak = (8, 2) if axis == "distractors" else (0.4, 0.1)

    def moved(strength, frame=0, seed=3):
        found = shifted(scene, axis, strength, seed, frame)
        return np.stack([found[c].astype(int) - scene.images[c] for c in scene.images])

    assert np.abs(moved(strong)).sum() > np.abs(moved(weak)).sum() > 0
    assert (moved(0.0) == 0).all()
    later = moved(strong, frame=4)
    assert (later == moved(strong)).all() == (axis != "noise")
    assert (moved(strong, seed=4) != moved(strong)).any()


@pytest.mark.parametrize(
    ("axis", "inside"), [("looks", True), ("distractors", False), ("texture", False)]
)
def test_objects_or_floor_alone_are_painted(scene, axis, inside):
    found = shifted(scene, axis, 12 if axis == "distractors" else 0.9, 0, 0)
    is_object = scene.objects["front"] > 0
    changed = (found["front"] != scene.images["front"]).any(-1)
    assert changed[is_object == inside].any() and not changed[is_object != inside].any()


@pytest.mark.parametrize("axis", ["distractors", "texture"])
def test_cameras_agree_on_what_lies_on_the_floor(scene, axis):
    """Where both look at the same point, they see the same disc or field."""
    plain = {c: np.full_like(own, 100) for c, own in scene.images.items()}
    everywhere = {c: np.ones_like(own) for c, own in scene.floor.items()}
    found = shifted(scene._replace(images=plain, floor=everywhere), axis, 1.0, 1, 0)
    np.testing.assert_array_equal(found["overhead"], np.rot90(found["front"]))


def test_the_simulators_own_shifts_leave_the_picture_to_it(scene):
    for axis in {*AXES, "none"} - set(PAINTED):
        found = shifted(scene, axis, 1.0, 0, 0)
        assert all((found[c] == scene.images[c]).all() for c in scene.images)
