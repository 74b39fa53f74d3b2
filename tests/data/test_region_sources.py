"""Names of things become regions; boxes and label images are in test_make_regions."""

import dataclasses

import numpy as np
import pytest
import tiny_policy

from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.data.region_names import RegionNames
from iss_jax.data.region_sources import from_instances

NAMES = {1: "robot", 2: "plate", 300: "lamp"}


def named_episode(frames=3):
    """Things in columns; number 5 has no name."""
    episode = tiny_policy.episode(frames)
    columns = np.array([1, 2, 300, 5], np.int32)
    instances = {
        camera: np.broadcast_to(np.repeat(columns, w // 4), (frames, h, w)).copy()
        for camera, (h, w) in tiny_policy.CAMERAS.items()
    }
    return dataclasses.replace(episode, regions={}, instances=instances, instance_names=NAMES)


def dataset_of(root, episode):
    write_folders(root, [episode])
    return open_dataset(root)


LISTS = RegionNames(nuisance=("lamp",), support=("plate",), action=("robot",))


def test_every_pixel_has_the_region_of_its_thing(tmp_path):
    dataset = dataset_of(tmp_path / "data", named_episode())
    source, found = from_instances(dataset, ("wrist",), LISTS)
    assert found == {"robot": "action", "plate": "support", "lamp": "nuisance"}
    labels = source(0)
    assert list(labels) == ["wrist"] and labels["wrist"].dtype == np.uint8
    wanted = np.repeat([2, 1, 0, 0], 8)
    np.testing.assert_array_equal(labels["wrist"], np.broadcast_to(wanted, (3, 32, 32)))


def test_a_frame_in_which_nothing_has_a_name_is_an_error(tmp_path):
    episode = named_episode()
    for numbers in episode.instances.values():
        numbers[1] = 0
    dataset = dataset_of(tmp_path / "data", episode)
    source, _ = from_instances(dataset, ("front", "wrist"), LISTS)
    with pytest.raises(ValueError, match=r"\(episode 0\), frame 1: nothing in it has a name"):
        source(0)


def test_datasets_without_names_and_things_in_no_list(tmp_path):
    bare = dataclasses.replace(named_episode(), instances={}, instance_names={})
    dataset = dataset_of(tmp_path / "bare", bare)
    with pytest.raises(ValueError, match=r"no instance labels of \['front', 'wrist'\]; make"):
        from_instances(dataset, ("front", "wrist"), LISTS)
    dataset = dataset_of(tmp_path / "data", named_episode())
    with pytest.raises(ValueError, match=r"\['robot'\] are in none of"):
        from_instances(dataset, ("front",), RegionNames(("lamp",), ("plate",)))
    with pytest.raises(ValueError, match="no camera 'top'"):
        from_instances(dataset, ("top",), LISTS)
