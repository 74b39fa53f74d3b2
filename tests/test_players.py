"""Players from regions, instances, masks, cells and looks: what is whose pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import players
from iss_jax.players import Players, as_players

LABELS = {"front": np.array([[0, 1], [2, 5]]), "wrist": np.array([[2, 2], [-3, 0]])}


def test_regions_that_are_no_integers_are_refused():
    for labels, dtype in (
        (np.full((1, 8, 8), 0.5, np.float32), "float32"),
        (np.ones((1, 8, 8), bool), "bool"),
    ):
        with pytest.raises(ValueError, match=f"regions of 'front': dtype {dtype}, wanted integers"):
            players.from_regions({"front": labels})


def test_regions_are_joined_over_views_and_minus_one_is_nobodys():
    with pytest.raises(ValueError, match=r"regions of 'front': labels \[5\], wanted 0 nuisance"):
        players.from_regions(LABELS)
    regions = {view: np.where(np.isin(own, (5, -3)), -1, own) for view, own in LABELS.items()}
    found = players.from_regions(regions)
    assert found.names == ("nuisance", "support", "action-critical")
    np.testing.assert_array_equal(found.labels["front"], [[0, 1], [2, -1]])
    np.testing.assert_array_equal(found.labels["wrist"], [[2, 2], [-1, 0]])
    # Of eight pixels in two views.
    np.testing.assert_allclose(found.areas(), [2 / 8, 1 / 8, 3 / 8])


def test_instances_of_one_name_are_one_player():
    found = players.from_instances(LABELS, {5: "bowl", 2: "plate", 1: "bowl"}, rest="all else")
    assert found.names == ("bowl", "plate", "all else")
    np.testing.assert_array_equal(found.labels["front"], [[2, 0], [1, 0]])
    np.testing.assert_array_equal(found.labels["wrist"], [[1, 1], [2, 2]])
    listed = players.from_instances(LABELS, ["a", "b", "c"])
    np.testing.assert_array_equal(listed.labels["front"], [[0, 1], [2, -1]])


def test_of_overlapping_masks_the_last_one_holds_the_pixel():
    bowl = {"front": np.array([[True, True, False]])}
    hand = {"front": np.array([[False, True, False]]), "wrist": np.array([[True]])}
    found = players.from_masks({"bowl": bowl, "hand": hand})
    np.testing.assert_array_equal(found.labels["front"], [[0, 1, -1]])
    np.testing.assert_array_equal(found.labels["wrist"], [[1]])


def test_cells_are_those_of_the_paper_and_of_their_view():
    images = {"wrist": np.zeros((2, 14, 21, 3)), "front": np.zeros((2, 7, 7, 3))}
    found = players.grid(images)
    assert len(found) == 98 and found.names[0] == "wrist 0,0" and found.names[49] == "front 0,0"
    assert found.labels["wrist"].shape == (2, 14, 21)
    np.testing.assert_array_equal(found.labels["front"][1], 49 + np.arange(49).reshape(7, 7))
    counts = np.bincount(np.ravel(found.labels["wrist"][0]))
    np.testing.assert_array_equal(counts, np.full(49, 6))
    whole = players.whole_views(images)
    assert whole.names == ("wrist", "front")
    assert (whole.labels["wrist"] == 0).all() and (whole.labels["front"] == 1).all()


def test_bare_labels_are_players_by_number():
    found = as_players({"front": np.array([[0, 3]])})
    assert found.names == ("player 0", "player 1", "player 2", "player 3")
    with pytest.raises(TypeError, match="traced label maps"):
        jax.jit(lambda own: as_players({"front": own}).areas())(jnp.zeros((2, 2), jnp.int32))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one view"),
        ({"front": np.zeros((2, 2))}, "'front' must be integers, got float"),
        ({"front": np.full((2, 2), -1)}, "one at least"),
        (Players({"front": jnp.array([[0, 2]])}, names=("a", "b")), "below 2.*'front': 2"),
    ],
)
def test_players_that_cannot_be_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        as_players(given)


def test_labels_and_masks_that_cannot_be_are_named():
    with pytest.raises(ValueError, match="integers, got float64"):
        players.from_instances({"front": np.zeros((2, 2))}, ["a"])
    with pytest.raises(ValueError, match="names: one at least"):
        players.from_instances(LABELS, {})
    with pytest.raises(ValueError, match="'bowl' in 'front' must be bool, got int"):
        players.from_masks({"bowl": {"front": np.zeros((2, 2), int)}})
    masks = {"bowl": {"front": np.zeros((2, 2), bool)}, "hand": {"front": np.zeros((2, 3), bool)}}
    with pytest.raises(ValueError, match=r"'hand' in 'front' must be \[2, 2\].*\[2, 3\]"):
        players.from_masks(masks)
    with pytest.raises(ValueError, match="masks: one at least"):
        players.from_masks({})
    with pytest.raises(ValueError, match="an integer >= 2, got 1"):
        players.by_appearance({"front": jnp.zeros((8, 8, 3))}, most=1)
    with pytest.raises(ValueError, match="at least one view"):
        players.by_appearance({})


def halves(left, right):
    row = np.where(np.arange(40) < 20, left, right).astype(np.float32)
    return jnp.asarray(np.broadcast_to(row[None, :, None], (40, 40, 3)))


def test_looks_are_joined_over_views_or_named_by_their_view():
    # Not in the order of the alphabet, in which `jit` puts the keys of a dict.
    images = {"wrist": halves(0.0, 1.0), "front": halves(1.0, 0.0)}
    joined = players.by_appearance(images, most=2)
    assert joined.names == ("look A", "look B")
    wrist, front = (np.asarray(joined.labels[view]) for view in images)
    assert wrist[0, 0] == front[0, -1] != wrist[0, -1] == front[0, 0]
    apart = players.by_appearance(images, most=2, join=False)
    assert apart.names == ("wrist look A", "wrist look B", "front look A", "front look B")
    for view in images:
        named = {apart.names[number].split()[0] for number in np.unique(apart.labels[view])}
        assert named == {view}


def test_looks_beyond_the_alphabet_have_two_letters():
    found = players.by_appearance({"front": jnp.zeros((8, 8, 3))}, most=30)
    assert found.names[24:28] == ("look Y", "look Z", "look AA", "look AB")


def test_names_stay_through_an_episode():
    """The second frame's looks come in another order when they are fitted anew."""
    before, after = {"front": halves(0.0, 1.0)}, {"front": halves(1.0, 0.0)}
    first = players.by_appearance(before, most=2)
    then = players.by_appearance(after, most=2, centres=first.centres)
    assert then.labels["front"][0, -1] == first.labels["front"][0, 0]
    np.testing.assert_array_equal(then.centres, first.centres)
    dark = first.labels["front"][0, 0]
    assert float(first.centres[dark, :3].max()) < 0.1
