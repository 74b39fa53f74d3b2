"""What a policy sees of a stored episode: geometry, labels, mirroring, formats, keys."""

import dataclasses
import json

import numpy as np
import pytest
import tiny_policy

from iss_jax.data.beside import write_regions
from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode
from iss_jax.policies.frames import (
    FrameOptions,
    mirrored,
    present_views,
    read_frames,
    see,
    source_key,
    source_of,
)
from iss_jax.policies.restored import load_policy

CAMERAS = {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": ""}
OPTIONS = FrameOptions(CAMERAS, max_token_len=64)
FORMATS = ("v2.1", "v3.0", "folders")


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return load_policy(tiny_policy.write_checkpoint(tmp_path_factory.mktemp("policy")))


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """The same two episodes in every format."""
    root = tmp_path_factory.mktemp("datasets")
    for seed in (0, 13):
        episode = tiny_policy.episode(4, seed=seed)
        write_episode(root / "v2.1", episode.take([seed % 4, 1, 2, 3]))
    for name in FORMATS[1:]:
        convert(open_dataset(root / "v2.1"), root / name, name)
    return {name: root / name for name in FORMATS}


def test_the_geometry_is_the_policys_own(policy):
    """Letterboxed as the policy does, labels alike, an absent camera absent."""
    episode = tiny_policy.episode(3)
    seen = see(episode.take([2, 0]), policy, OPTIONS, trim_prompt=True)
    assert list(seen.images) == list(seen.views) == ["base_0_rgb", "left_wrist_0_rgb"]
    np.testing.assert_array_equal(
        seen.images["base_0_rgb"][:, 4:28], episode.images["front"][[2, 0]]
    )
    np.testing.assert_array_equal(
        seen.regions["base_0_rgb"][:, 4:28], episode.regions["front"][[2, 0]]
    )
    assert not seen.valid["base_0_rgb"][:, :4].any() and seen.valid["base_0_rgb"][:, 4:28].all()
    assert not np.asarray(seen.obs.image_masks["right_wrist_0_rgb"]).any()
    assert seen.obs.tokenized_prompt_mask is not None and seen.obs.tokenized_prompt is not None
    longest = np.asarray(seen.obs.tokenized_prompt_mask).sum(-1).max()
    assert seen.obs.tokenized_prompt.shape == (2, longest)
    padded = see(episode, policy, OPTIONS).obs.tokenized_prompt
    assert padded is not None and padded.shape == (3, 64)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_pixels_states_and_labels(datasets, policy, name):
    first, other = (open_dataset(datasets[n]) for n in ("v2.1", name))
    for index in (0, 1):
        a, b = (
            see(read_frames(d, index, [0, 3], OPTIONS), policy, OPTIONS) for d in (first, other)
        )
        np.testing.assert_array_equal(a.obs.state, b.obs.state)
        np.testing.assert_array_equal(a.obs.tokenized_prompt, b.obs.tokenized_prompt)
        for view in a.views:
            np.testing.assert_array_equal(a.images[view], b.images[view])
            np.testing.assert_array_equal(a.regions[view], b.regions[view])


def test_mirroring_turns_frames_and_labels_and_nothing_else(datasets):
    dataset = open_dataset(datasets["v2.1"])
    plain = read_frames(dataset, 0, None, OPTIONS)
    turned = read_frames(dataset, 0, None, dataclasses.replace(OPTIONS, mirror=True))
    for camera in ("front", "wrist"):
        np.testing.assert_array_equal(turned.images[camera], np.flip(plain.images[camera], 2))
        np.testing.assert_array_equal(turned.regions[camera], np.flip(plain.regions[camera], 2))
        assert (plain.regions[camera] != turned.regions[camera]).any()
    np.testing.assert_array_equal(turned.state, plain.state)
    np.testing.assert_array_equal(mirrored(turned).images["front"], plain.images["front"])


def named(frames: int):
    """Frames of which the letterboxed camera shows a bowl beside something without a name."""
    episode = tiny_policy.episode(frames)
    front = np.zeros((frames, 24, 32), np.int32)
    front[:, :, :8], front[:, :, 20:] = 300, 4
    return dataclasses.replace(
        episode, instances={"front": front}, instance_names={300: "bowl", 9: "plate"}
    )


def test_things_follow_the_images_and_are_players_by_name(policy):
    seen = see(named(3).take([2, 0]), policy, OPTIONS)
    assert list(seen.instances) == ["base_0_rgb"]
    numbers = seen.instances["base_0_rgb"]
    assert numbers.shape == (2, 32, 32) and numbers.dtype == np.int32
    np.testing.assert_array_equal(numbers[:, 4:28], named(2).instances["front"])
    assert (numbers[:, :4] == -1).all() and (numbers[:, 28:] == -1).all()
    players = seen.players()
    assert players.names == ("bowl", "plate")
    labels = np.asarray(players.labels["base_0_rgb"])
    np.testing.assert_array_equal(labels == 0, numbers == 300)
    assert (labels[numbers != 300] == -1).all()
    assert seen.players(shown=True).names == ("bowl",)
    others = seen.players(rest="all else")
    assert others.names == ("bowl", "plate", "all else")
    labels = np.asarray(others.labels["base_0_rgb"])
    np.testing.assert_array_equal(labels == 2, (numbers == 0) | (numbers == 4))
    # 24 of 32 rows are picture, and a quarter of it is the bowl.
    assert [(labels == number).mean() for number in (-1, 0, 1, 2)] == [1 / 4, 3 / 16, 0, 9 / 16]


def test_mirroring_turns_things_too(policy):
    seen = see(mirrored(named(1)), policy, OPTIONS)
    expected = see(named(1), policy, OPTIONS).instances["base_0_rgb"][:, :, ::-1]
    np.testing.assert_array_equal(seen.instances["base_0_rgb"], expected)
    assert seen.players().names == ("bowl", "plate")


def test_frames_without_things_say_so(policy):
    with pytest.raises(ValueError, match="no instance labels"):
        see(tiny_policy.episode(1), policy, OPTIONS).players()


def test_labels_are_required_optional_or_none(datasets, policy):
    dataset = open_dataset(datasets["v2.1"])
    assert read_frames(dataset, 0, [0], OPTIONS, labels="none").regions == {}

    class Unlabelled:
        root = dataset.root

        def read(self, index, frames, regions):
            episode = dataset.read(index, frames, regions=regions)
            return dataclasses.replace(episode, regions={"wrist": episode.regions["wrist"]})

    with pytest.raises(ValueError, match=r"v2\.1, episode 1: no region labels of \['front'\], "):
        read_frames(Unlabelled(), 1, [0], OPTIONS)
    seen = see(read_frames(Unlabelled(), 1, [0], OPTIONS, labels="optional"), policy, OPTIONS)
    assert list(seen.regions) == ["left_wrist_0_rgb"]
    assert list(seen.valid) == ["base_0_rgb", "left_wrist_0_rgb"]
    assert seen.valid["base_0_rgb"].sum() == 24 * 32


def test_a_camera_that_is_not_there_is_named(datasets, policy):
    side = FrameOptions({"base_0_rgb": "side"})
    wanted = r"no images of \['side'\], only of \['front', 'wrist'\]"
    with pytest.raises(ValueError, match=rf"episode 0: {wanted}"):
        read_frames(open_dataset(datasets["v2.1"]), 0, [0], side)
    with pytest.raises(ValueError, match=wanted):
        see(tiny_policy.episode(1), policy, side)
    with pytest.raises(ValueError, match=r"cameras: views \['top'\] given"):
        FrameOptions({"top": "front"})
    with pytest.raises(ValueError, match="one camera at least"):
        FrameOptions({"base_0_rgb": ""})


@pytest.mark.parametrize("name", FORMATS)
def test_new_masks_change_the_key(tmp_path, name):
    for seed in (0, 1):
        write_episode(tmp_path / "v2.1", tiny_policy.episode(2, seed=seed))
    root = tmp_path / name
    if name != "v2.1":
        convert(open_dataset(tmp_path / "v2.1"), root, name)
    dataset = open_dataset(root)
    before = [source_key(dataset, index) for index in (0, 1)]
    assert all(len(key) == 16 for key in before)
    masks = {"front": np.ones((2, 24, 32), np.uint8), "wrist": np.zeros((2, 32, 32), np.uint8)}
    if name == "folders":
        (path,) = (p for p in dataset.files(1) if p.name.startswith("mask_front"))
        np.save(path, masks["front"])
    else:
        write_regions(root / "regions", 1, masks)
    after = [source_key(open_dataset(root), index) for index in (0, 1)]
    assert after[0] == before[0] and after[1] != before[1]


@pytest.mark.parametrize("name", ["v2.1", "v3.0"])
def test_new_words_change_what_an_item_holds(tmp_path, name):
    """The words lie in the index: no file of the episode's own changes."""
    root = tmp_path / "v2.1"
    for prompt in ("pick up the milk", "pick up the soup"):
        write_episode(root, dataclasses.replace(tiny_policy.episode(2), prompt=prompt))
    if name != "v2.1":
        root = tmp_path / name
        convert(open_dataset(tmp_path / "v2.1"), root, name)
    before = [source_of(open_dataset(root), index) for index in (0, 1)]
    assert [one["prompts"] for one in before] == [["pick up the milk"], ["pick up the soup"]]
    if name == "v2.1":
        # Numbers change places: the list of the episode's own words stays what it is.
        tasks = root / "meta" / "tasks.jsonl"
        lines = [json.loads(line) for line in tasks.read_text().splitlines()]
        swapped = [a | {"task": b["task"]} for a, b in zip(lines, lines[::-1], strict=True)]
        tasks.write_text("".join(f"{json.dumps(line)}\n" for line in swapped))
        after = [source_of(open_dataset(root), index) for index in (0, 1)]
        assert [one["prompts"] for one in after] == [["pick up the soup"], ["pick up the milk"]]
        assert [one["data"] for one in after] == [one["data"] for one in before]
        assert open_dataset(root).read(0).prompt == "pick up the soup"


def test_words_of_a_folder_are_its_prompt(datasets):
    dataset = open_dataset(datasets["folders"])
    assert source_of(dataset, 1) == {
        "data": source_key(dataset, 1),
        "prompts": [dataset.read(1, [0]).prompt],
    }


def test_views_are_known_when_traced(policy):
    obs = see(tiny_policy.episode(1), policy, OPTIONS).obs
    obs = present_views(obs, ("base_0_rgb",))
    assert {view: mask.tolist() for view, mask in obs.image_masks.items()} == {
        "base_0_rgb": [True],
        "left_wrist_0_rgb": [False],
        "right_wrist_0_rgb": [False],
    }
    assert all(isinstance(mask, np.ndarray) for mask in obs.image_masks.values())
