import dataclasses

import numpy as np
import pytest
from zoo_scene import KETCHUP, MILK, NAMES, SIDE, frames

from experiments.zoo.examined import THINGS, examined
from experiments.zoo.frames import fitted, instance_of, load_frames, named
from iss_jax import embedded
from iss_jax.policies.restored import load_policy


def test_things_are_found_by_their_names():
    found = frames()
    assert found.floor()["front"].sum() == 2 * (SIDE * (SIDE - 1) - 10)
    assert found.background()["front"].sum() == 2 * (SIDE * SIDE - 10)
    assert named(NAMES) == tuple(sorted((MILK, KETCHUP)))
    assert instance_of(MILK, NAMES) == 3 and instance_of(0, {}) == 0


def test_some_frames_are_those_of_all():
    found = frames(3).take([2, 0])
    assert len(found) == 2 and found.episode.tolist() == [2, 0]
    np.testing.assert_array_equal(found.images["wrist"][0], frames(3).images["wrist"][2])


def test_another_size_keeps_what_is_where():
    large = fitted(frames(), 3 * SIDE)
    for camera, own in frames().instances.items():
        np.testing.assert_array_equal(large.instances[camera][:, 1::3, 1::3], own)
    assert large.images["front"].shape == (2, 48, 48, 3)


def test_frames_that_ship_are_read_evenly_spread():
    found = load_frames("docs/episodes/expert", 4)
    whole = load_frames("docs/episodes/expert")
    assert len(found) == 4 < len(whole) and len(set(found.episode)) == 2
    # Without instance labels floor is what is nuisance.
    np.testing.assert_array_equal(whole.floor()["front"], whole.regions["front"] == 0)
    assert whole.present[0] == tuple(range(10))


@pytest.mark.parametrize("cue", ["panel", "floor"])
def test_an_examined_frame_is_parted_into_its_things(cue):
    policy = load_policy(embedded.checkpoint_path())
    seen = examined(cue, frames(4), policy, most=2, longest=40)
    assert len(seen.episode) == 2 and len(seen.bank) == 4
    view = "base_0_rgb"
    labels = np.asarray(seen.players.labels[view])
    scale = policy.image_size // SIDE
    counts = [(labels[0] == i).sum() / scale**2 for i in range(len(THINGS))]
    panel = 0 if cue == "floor" else 20 * 20 / scale**2
    at = dict(zip(THINGS, counts, strict=True))
    assert (at["wanted"], at["basket"], at["others"], at["robot"]) == (2, 2, 2, 4)
    assert at["panel"] == panel and at["floor"] == SIDE * SIDE - 10 - panel
    # A panel is nuisance wherever it lies, and donors show cues of their own.
    assert (seen.regions[view][labels == THINGS.index("panel")] == 0).all()
    donors = np.asarray(seen.bank.images[view])
    assert len({tuple(own[-5, 5]) for own in donors}) > 1


def test_instructions_that_no_cue_has_a_colour_for_are_refused(tmp_path):
    import tiny_policy

    from iss_jax.data.lerobot import write_episode

    episode = dataclasses.replace(tiny_policy.episode(2), prompt="open the drawer")
    write_episode(tmp_path / "data", episode)
    with pytest.raises(ValueError, match=r"open the drawer.*libero_object's wanted"):
        load_frames(str(tmp_path / "data"))
