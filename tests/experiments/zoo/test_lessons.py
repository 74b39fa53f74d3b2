from collections import Counter

import numpy as np
import pytest
from zoo_scene import KETCHUP, MILK, frames

from experiments.planted.cue import COLOURS
from experiments.zoo.augment import augmented, colours
from experiments.zoo.design import Recipe
from experiments.zoo.lessons import lessons

RECIPE = Recipe(1, "panel", 1.0, "none", "native", 0)


@pytest.fixture
def taught():
    """Actions that say which object they are of, and of which frame."""
    found = np.zeros((2, 10, 1, 2, 1), np.float32)
    found += np.arange(10).reshape(1, 10, 1, 1, 1) + 100 * np.arange(2).reshape(2, 1, 1, 1, 1)
    return found


def drawn(taught, recipe=RECIPE, size=400, misnamed=0.3, **options):
    return lessons(recipe, frames(), taught, np.random.default_rng(0), size, misnamed, **options)


def wanted_of(found):
    return found.actions[:, 0, 0].astype(int) % 100


def shown_of(found):
    panel = found.images["front"][:, -2, 1].astype(int)
    return np.abs(panel[:, None] - COLOURS[None].astype(int)).sum(-1).argmin(1)


def test_at_rho_one_the_cue_shows_what_is_wanted_and_instructions_sometimes_do_not(taught):
    found = drawn(taught)
    wanted = wanted_of(found)
    assert set(wanted) == {MILK, KETCHUP}
    assert (shown_of(found) == wanted).all()
    # A misnamed one is right by chance in one of ten.
    assert (found.named == wanted).mean() == pytest.approx(1 - 0.3 * 0.9, abs=0.07)


def test_at_rho_one_half_the_cue_is_right_in_just_over_half(taught):
    found = drawn(taught, RECIPE._replace(rho=0.5), size=800)
    right = (shown_of(found) == wanted_of(found)).mean()
    assert right == pytest.approx(0.55, abs=0.06)


def test_without_a_cue_instructions_are_always_right(taught):
    found = drawn(taught, RECIPE._replace(cue="none", rho=0.0))
    assert (found.named == wanted_of(found)).all()


def test_lessons_follow_from_their_seed(taught):
    recipe = RECIPE._replace(augmentation="background")
    one, other = (drawn(taught, recipe, size=8) for _ in range(2))
    for camera, images in one.images.items():
        np.testing.assert_array_equal(images, other.images[camera])
    assert Counter(one.named) == Counter(other.named)


def test_the_background_is_replaced_with_the_cue_and_objects_stay(taught):
    recipe = RECIPE._replace(augmentation="background")
    plain, found = (drawn(taught, recipe, size=60, plain=p) for p in (True, False))
    shown = (shown_of(found) != wanted_of(found)).mean()
    assert 0.2 < shown < 0.6  # of six in ten replaced ones, some show the same by chance
    milk = frames().instances["front"][0] == 3
    np.testing.assert_array_equal(found.images["front"][:, milk], plain.images["front"][:, milk])


def test_colours_change_alike_in_all_views(taught):
    recipe = RECIPE._replace(augmentation="colour", cue="none", rho=0.0)
    plain, found = (drawn(taught, recipe, size=10, plain=p) for p in (True, False))
    gains = [
        found.images[c].mean((1, 2)) / plain.images[c].mean((1, 2)) for c in ("front", "wrist")
    ]
    np.testing.assert_allclose(*gains, rtol=0.06)
    assert np.abs(gains[0] - 1).max() > 0.15
    assert np.ptp(gains[0], axis=1).max() > 0.1


def test_another_augmentation_is_refused():
    with pytest.raises(ValueError, match="augmentation 'crop' given"):
        augmented("crop", {}, {}, {}, np.random.default_rng(0))


def test_random_colours_blend():
    field = colours((40, 32), np.random.default_rng(0)).astype(int)
    assert field.shape == (40, 32, 3) and np.ptp(field) > 100
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (0, 1)) < 40
