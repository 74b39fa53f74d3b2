"""Masks from label images and from boxes: pixel by pixel, and as every reader then finds them."""

import json

import numpy as np
import pytest
from command_line import ROOT, smoke
from episodes import an_episode, three_episodes
from PIL import Image

from configs.make_regions import get_config
from experiments import make_regions
from iss_jax.data.coco import Keyframe, held, rasterise, read_coco
from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.data.label_images import Mapped, from_labels, read_label_image, read_mapping
from iss_jax.data.lerobot import write_episode
from iss_jax.data.lerobot_v30_write import write_dataset


def _bare(root, to):
    """Three episodes without masks."""
    episodes = [type(e)(**{**vars(e), "regions": {}}) for e in three_episodes()]
    if to == "v2.1":
        for episode in episodes:
            write_episode(root, episode)
    else:
        (write_dataset if to == "v3.0" else write_folders)(root, episodes)
    return root


def _config(variant, root, **values):
    config = get_config(variant)
    config.dataset, config.quiet = str(root), True
    for name, value in values.items():
        setattr(config, name, value)
    return config


# --- label images


def test_ids_and_colours_are_mapped(tmp_path):
    path = tmp_path / "mapping.json"
    path.write_text('{"0": "nuisance", "3": "action", "70000": "support"}')
    labels = from_labels(np.array([[0, 3], [70000, 3]]), read_mapping(path), "here")
    np.testing.assert_array_equal(labels, [[0, 2], [1, 2]])
    assert labels.dtype == np.uint8
    path.write_text('{"#ff8000": "support", "#000001": "action", "*": "nuisance"}')
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, 0], image[0, 1] = (255, 128, 0), (0, 0, 1)
    np.testing.assert_array_equal(from_labels(image, read_mapping(path), "here"), [[1, 2, 0]])
    # Equal channels under a mapping of ids are ids.
    grey = np.full((1, 1, 3), 3, np.uint8)
    assert from_labels(grey, Mapped({3: 2}, {}, None), "here").tolist() == [[2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"3": "robot"}', r"'3' is 'robot', one of \['nuisance', 'support', 'action'\]"),
        ('{"three": "action"}', "'three' is neither an id, a colour"),
        ('{"3"', "cannot be read"),
        ("[3]", "an object wanted, list given"),
    ],
)
def test_mapping_files_that_say_nothing(content, message, tmp_path):
    path = tmp_path / "mapping.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_mapping(path)


def test_labels_that_are_not_mapped_are_named():
    mapping = Mapped({0: 0}, {}, None)
    with pytest.raises(ValueError, match=r"x\.png, frame 3: \[7\] not mapped"):
        from_labels(np.array([[0, 7]]), mapping, "x.png, frame 3")
    with pytest.raises(ValueError, match=r"\['#0a0000'\] not mapped"):
        from_labels(np.array([[[10, 0, 0]]], np.uint8), Mapped({}, {0: 0}, None), "x")
    with pytest.raises(ValueError, match="coloured, the mapping has ids only"):
        from_labels(np.array([[[10, 0, 0]]], np.uint8), mapping, "x")
    with pytest.raises(ValueError, match=r"float64 \[1, 1\] is no label image"):
        from_labels(np.zeros((1, 1)), mapping, "x")


def test_a_palette_image_gives_its_indices(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])
    image.putdata([2, 1])
    image.save(tmp_path / "p.png")
    assert read_label_image(tmp_path / "p.png", "here").tolist() == [[2, 1]]
    Image.fromarray(np.array([[300]], np.uint16)).save(tmp_path / "16.png")
    assert read_label_image(tmp_path / "16.png", "here").tolist() == [[300]]


@pytest.mark.parametrize("to", ["v2.1", "v3.0", "folders"])
def test_label_images_become_masks_of_the_dataset(to, tmp_path):
    root = _bare(tmp_path / "data", to)
    (tmp_path / "mapping.json").write_text('{"5": "support", "6": "action", "*": "nuisance"}')
    rng = np.random.default_rng(0)
    wanted = []
    for index, episode in enumerate(three_episodes()):
        ids = rng.integers(4, 7, (len(episode), 8, 10), np.uint8)
        folder = tmp_path / "labels" / "front" / f"episode_{index:06d}"
        folder.mkdir(parents=True)
        for t, image in enumerate(ids):
            Image.fromarray(image).save(folder / f"{t:06d}.png")
        wanted.append((ids - 4).astype(np.uint8))
    config = _config(
        "labels",
        root,
        labels=str(tmp_path / "labels"),
        mapping=str(tmp_path / "mapping.json"),
        cameras=("front",),
    )
    rows = make_regions.main(config, tmp_path / "run")
    assert [row["frames"] for row in rows] == [5, 3, 1]
    assert rows[0]["action"] == pytest.approx((wanted[0] == 2).mean())
    dataset = open_dataset(root)
    convert(dataset, tmp_path / "inside", "v2.1")
    for data in (dataset, open_dataset(tmp_path / "inside")):
        for index, labels in enumerate(wanted):
            found = data.read(index).regions
            assert list(found) == ["front"]
            np.testing.assert_array_equal(found["front"], labels)
    assert (tmp_path / "run/figures/regions.jpg").exists()
    with pytest.raises(ValueError, match=r"masks of 3 episodes are there.*--config.replace=True"):
        make_regions.main(config, tmp_path / "run")
    (tmp_path / "labels/front/episode_000001/000002.png").unlink()
    config.replace = True
    with pytest.raises(FileNotFoundError, match=r"000002\.png \(episode 1\), frame 2: no label"):
        make_regions.main(config, tmp_path / "run")


def test_a_camera_that_shows_labels(tmp_path):
    episode = an_episode()
    ids = np.random.default_rng(1).integers(0, 2, (5, 8, 10, 1), np.uint8)
    images = {**episode.images, "ids": np.repeat(ids, 3, axis=-1)}
    write_episode(tmp_path / "data", type(episode)(**{**vars(episode), "images": images}))
    (tmp_path / "mapping.json").write_text('{"0": "nuisance", "1": "action"}')
    config = _config(
        "labels",
        tmp_path / "data",
        labels='{"front": "ids"}',
        mapping=str(tmp_path / "mapping.json"),
        sheet=0,
    )
    make_regions.main(config, tmp_path / "run")
    # The masks inside the dataset give way to those beside it.
    found = open_dataset(tmp_path / "data").read(0).regions["front"]
    np.testing.assert_array_equal(found, 2 * ids[..., 0])


# --- boxes and polygons


def _drawn(*shapes, size=(6, 8), frame=0):
    return Keyframe(frame, size, list(shapes))


def test_a_box_covers_the_pixels_whose_centres_are_in_it():
    labels = rasterise(_drawn((1, {"bbox": [1, 2, 3, 2]})), "here")
    wanted = np.zeros((6, 8), np.uint8)
    wanted[2:4, 1:4] = 1
    np.testing.assert_array_equal(labels, wanted)
    # From x = 0.6 to 2.4 lies the centre 1.5 alone; what is outside the image is cut off.
    labels = rasterise(_drawn((2, {"bbox": [0.6, -3, 1.8, 99]})), "here")
    np.testing.assert_array_equal(labels, np.where(np.arange(8) == 1, 2, 0)[None].repeat(6, 0))


def test_later_shapes_cover_earlier_ones():
    shapes = [(1, {"bbox": [0, 0, 8, 6]}), (2, {"bbox": [0, 0, 4, 6]}), (0, {"bbox": [0, 0, 1, 6]})]
    np.testing.assert_array_equal(rasterise(_drawn(*shapes), "here")[0], [0, 2, 2, 2, 1, 1, 1, 1])


def test_a_polygon_holds_its_inside_and_at_most_a_pixel_more():
    size = (60, 80)
    corners = np.array([[10.0, 5.0], [70.0, 20.0], [40.0, 55.0]])
    labels = rasterise(_drawn((2, {"segmentation": [corners.ravel().tolist()]}), size=size), "here")
    rows, columns = np.mgrid[:60, :80] + 0.5
    # Signed distance to the three edges, positive inside.
    distances = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge = b - a
        distances.append(
            (edge[0] * (rows - a[1]) - edge[1] * (columns - a[0])) / np.linalg.norm(edge)
        )
    inside = np.min(distances, axis=0)
    assert (labels[inside >= 0.5] == 2).all()
    assert (labels[inside < -1.5] == 0).all()
    assert abs((labels == 2).sum() - (inside >= 0).sum()) < np.linalg.norm(edge) * 3


def test_uncompressed_run_lengths():
    drawing = {"size": [2, 3], "counts": [1, 2, 3]}
    labels = rasterise(_drawn((1, {"segmentation": drawing}), size=(2, 3)), "here")
    np.testing.assert_array_equal(labels, [[0, 1, 0], [1, 0, 0]])
    for broken, message in (
        ({"size": [2, 3], "counts": "abc"}, "wanted as a list of counts"),
        ({"size": [3, 2], "counts": [6]}, r"of size \[2, 3\]"),
        ({"size": [2, 3], "counts": [5]}, "run lengths of 5 pixels, 6 wanted"),
    ):
        with pytest.raises(ValueError, match="here, frame 0, annotation None: .*" + message):
            rasterise(_drawn((1, {"segmentation": broken}), size=(2, 3)), "here")


def test_keyframes_hold_until_the_next():
    keyframes = [
        _drawn((1, {"bbox": [0, 0, 8, 6]})),
        _drawn((2, {"bbox": [0, 0, 8, 6]}), frame=3),
        _drawn(frame=4),
    ]
    found = held(keyframes, 6, "here")
    assert found.shape == (6, 6, 8)
    assert found[:, 0, 0].tolist() == [1, 1, 1, 2, 0, 0]
    with pytest.raises(ValueError, match="the first keyframe is 3, frame 0 has nothing"):
        held(keyframes[1:], 6, "here")
    with pytest.raises(ValueError, match="keyframe 4, the episode has 4 frames"):
        held(keyframes, 4, "here")
    with pytest.raises(ValueError, match=r"here, frame 2: drawn on \[9, 9\] pixels, frame 0 on"):
        held([keyframes[0], _drawn(size=(9, 9), frame=2)], 6, "here")
    with pytest.raises(ValueError, match="annotation 5: neither a bbox"):
        held([_drawn((1, {"id": 5, "bbox": [1]}))], 6, "here")


def _coco():
    images, annotations = [], []
    for camera, (height, width) in {"front": (8, 10), "wrist": (6, 6)}.items():
        for episode in range(3):
            name = f"shots/{camera}/episode_{episode:06d}/000000.png"
            images.append({"id": len(images), "file_name": name, "height": height, "width": width})
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": images[-1]["id"],
                    "category_id": episode % 2,
                    "bbox": [0, 0, 2, height],
                }
            )
    later = {"id": 99, "camera": "front", "episode": 0, "frame": 2, "height": 8, "width": 10}
    categories = [{"id": 0, "name": "gripper"}, {"id": 1, "name": "support"}]
    return {"images": [*images, later], "annotations": annotations, "categories": categories}


@pytest.mark.parametrize("to", ["v2.1", "v3.0", "folders"])
def test_boxes_become_masks_of_the_dataset(to, tmp_path):
    root = _bare(tmp_path / "data", to)
    (tmp_path / "boxes.json").write_text(json.dumps(_coco()))
    (tmp_path / "names.json").write_text('{"gripper": "action"}')
    config = _config(
        "boxes",
        root,
        boxes=str(tmp_path / "boxes.json"),
        mapping=str(tmp_path / "names.json"),
    )
    make_regions.main(config, tmp_path / "run")
    dataset = open_dataset(root)
    first = dataset.read(0).regions["front"]
    assert first[:, 0, 0].tolist() == [2, 2, 0, 0, 0] and first[:, 0, 2].tolist() == [0] * 5
    assert np.unique(dataset.read(1).regions["wrist"][:, :, :2]).tolist() == [1]
    assert (dataset.read(2, [0]).regions["front"] == 2).mean() == pytest.approx(0.2)


def test_boxes_around_what_is_seen_are_close_to_the_simulators_masks(tmp_path):
    assert "of the area" in smoke("make_regions", tmp_path)
    made, given = open_dataset(tmp_path / "whole"), open_dataset(ROOT / "docs/episodes/whole")
    assert len(made) == len(given) == 2
    for index in range(len(made)):
        found, wanted = made.read(index).regions, given.read(index).regions
        assert list(found) == list(wanted)
        for camera, labels in found.items():
            # The frames that were drawn on: the robot is in its box, and most of the rest, too.
            drawn, true = labels[::10], wanted[camera][::10]
            assert (drawn == true).mean() > 0.7 and (drawn[true == 2] == 2).mean() > 0.99
            # What was drawn holds until the next.
            np.testing.assert_array_equal(labels[:10], np.broadcast_to(labels[0], (10, 80, 80)))
    assert (tmp_path / "figures/regions.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), r"\['categories'\] missing"),
        (lambda c: c["categories"][0].update(name="hand"), "category 'hand' is no region"),
        (lambda c: c["images"][1].update(file_name="a.png"), "image 1: neither camera, episode"),
        (lambda c: c["images"][1].update(height=0), r"image 1: height and width are \(0, 10\)"),
        (
            lambda c: c["images"][6].update(frame=0),
            "two images are camera 'front', episode 0, frame",
        ),
        (lambda c: c["annotations"][2].update(image_id=77), "annotation 2: there is no image 77"),
        (lambda c: c["annotations"][2].update(category_id=7), "annotation 2: there is no category"),
    ],
)
def test_coco_files_that_do_not_fit(change, message, tmp_path):
    content = _coco()
    change(content)
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_coco(path, {"gripper": "action"})


def test_datasets_and_sources_that_do_not_fit(tmp_path):
    root = _bare(tmp_path / "data", "v2.1")
    content = _coco()
    del content["images"][5], content["annotations"][5]
    path = tmp_path / "boxes.json"
    (tmp_path / "names.json").write_text('{"gripper": "action"}')
    config = _config("boxes", root, boxes=str(path), mapping=str(tmp_path / "names.json"))
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"\(episode 2\), camera 'wrist': the first keyframe is N"):
        make_regions.main(config, tmp_path / "run")
    content["images"][0]["file_name"] = "top/episode_000000/000000.png"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"camera 'top', episode 0 is not among"):
        make_regions.main(config, tmp_path / "run")
    content = _coco()
    content["images"][1]["height"] = 9
    path.write_text(json.dumps(content))
    config.replace = True
    with pytest.raises(ValueError, match=r"episode 1\), camera 'front': masks of \[9, 10\] pixels"):
        make_regions.main(config, tmp_path / "run")
    with pytest.raises(ValueError, match=r"config\.boxes: empty"):
        make_regions.main(_config("boxes", root), tmp_path / "run")
    with pytest.raises(ValueError, match=r"no camera 'top', there are \['front', 'wrist'\]"):
        config.cameras = ("top",)
        path.write_text(json.dumps({**content, "images": [], "annotations": []}))
        make_regions.main(config, tmp_path / "run")
