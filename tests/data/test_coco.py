"""COCO files whose sizes, numbers or kinds cannot be."""

import json

import numpy as np
import pytest

from iss_jax.data.coco import Keyframe, held, rasterise, read_coco


def _content(**changes):
    place = {"camera": "front", "episode": 0, "frame": 0}
    image = {"id": 1, **place, "height": 4, "width": 6}
    annotation = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}
    whole = {
        "images": [image],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "action"}],
    }
    for key, change in changes.items():
        first = whole[key][0] if isinstance(change, dict) else None
        whole[key] = [first | change] if first is not None else change
    return whole


def _read(tmp_path, content):
    path = tmp_path / "drawn.json"
    path.write_text(json.dumps(content))
    return read_coco(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {"height": 2 * 10**8}}, r"image 1: a picture of 200000000 x 6 pixels, at most"),
        ({"images": {"height": 10**30}}, "image 1: a picture of"),
        ({"images": {"height": True}}, r"image 1: height and width are \(True, 6\)"),
        ({"images": {"height": 4.5}}, "image 1: height and width are"),
        ({"images": {"id": [1]}}, r"image: id is \[1\], a number or text wanted"),
        ({"images": {"frame": 0.5}}, "image 1: camera 'front', episode 0, frame 0.5; a name and"),
        ({"images": {"episode": "0"}}, "image 1: camera 'front', episode '0', frame 0"),
        ({"images": {"frame": -1}}, "image 1: .*frame -1"),
        ({"images": 3}, "images is 3, a list of objects wanted"),
        ({"images": [3]}, r"images is \[3\], a list of objects wanted"),
        ({"annotations": {"image_id": None}}, "annotation 5: image_id is None"),
        ({"annotations": {"category_id": {}}}, "annotation 5: category_id is {}"),
        ({"annotations": {"bbox": [1, 1, 0, 2]}}, r"annotation 5: bbox \[1, 1, 0, 2\] has no area"),
        ({"annotations": {"bbox": [1, 1, 2, -2]}}, r"annotation 5: bbox .* has no area"),
        ({"categories": {"name": ["action"]}}, r"category \['action'\] is no region"),
        (
            {"categories": [{"id": 1, "name": "action"}, {"id": 1, "name": "support"}]},
            "category 1 has two names of different regions",
        ),
        (
            {"images": [_content()["images"][0], _content()["images"][0] | {"frame": 1}]},
            "two images have the id 1",
        ),
    ],
)
def test_what_cannot_be_is_named(tmp_path, changes, message):
    assert len(_read(tmp_path, _content())["front", 0][0].shapes) == 1
    with pytest.raises(ValueError, match=rf"drawn\.json.*{message}"):
        _read(tmp_path, _content(**changes))


@pytest.mark.parametrize(
    "shape",
    [
        {"bbox": [float("nan"), 0, 1, 1]},
        {"bbox": [0, 0, float("inf"), 1]},
        {"bbox": [0, 0, True, 1]},
        {"segmentation": [[0, 0, 1e30, 0, 1, 1]]},
        {"segmentation": 3},
        {"segmentation": {"size": [4, 6], "counts": [-1, 25]}},
        {"segmentation": {"size": [4, 6], "counts": [10**18, 24]}},
        {"segmentation": {"size": [4, 6], "counts": [23.5, 0.5]}},
        {"segmentation": {"size": 4, "counts": [24]}},
        {"segmentation": {"size": [4, 6], "counts": "ab"}},
    ],
)
def test_a_shape_that_is_none_is_named(shape):
    with pytest.raises(ValueError, match=r"^here, frame 0, annotation 5: "):
        rasterise(Keyframe(0, (4, 6), [(1, {"id": 5, **shape})]), "here")


def test_masks_are_compared_with_the_frames_before_they_are_drawn():
    frames = [Keyframe(0, (4, 6), []), Keyframe(2, (4, 6), [(2, {"bbox": [0, 0, 6, 4]})])]
    labels = held(frames, 3, "here", (4, 6))
    np.testing.assert_array_equal(labels.mean((1, 2)), [0, 0, 2])
    with pytest.raises(ValueError, match=r"here: masks of \[5000, 6000\] pixels, the frames have"):
        held([Keyframe(0, (5000, 6000), [])], 10**9, "here", (4, 6))


def test_of_a_drawing_the_box_does_not_count(tmp_path):
    drawing = {"segmentation": [[1, 1, 3, 1, 3, 3]], "bbox": [1, 1, 0, 0]}
    found = _read(tmp_path, _content(annotations=drawing))
    assert (rasterise(found["front", 0][0], "here") == 2).any()
