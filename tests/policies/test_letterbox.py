"""Bars are found by what a transform does, whatever it is."""

import types

import numpy as np

from iss_jax.policies.letterbox import Remembered, filled, picture_of


def boxed(image, above):
    """A frame in a square of 6, `above` rows of bar on top; bars are grey."""
    square = np.full((6, 6, 3), 0.25, np.float32)
    square[above : above + len(image), : image.shape[1]] = np.asarray(image, np.float32) / 255
    return square[None]


def observe(raw):
    nested = raw["images"]
    views = {
        "base_0_rgb": boxed(nested["front"], 1),
        "left_wrist_0_rgb": boxed(np.moveaxis(nested["hand"], 0, -1), 0),
        "right_wrist_0_rgb": np.zeros((1, 6, 6, 3), np.float32),
    }
    return types.SimpleNamespace(images=views)


def raw_of(height):
    rng = np.random.default_rng(0)
    frames = {
        "front": rng.integers(0, 256, (height, 6, 3), np.uint8),
        "hand": rng.integers(0, 256, (3, 6, 6), np.uint8),
    }
    return {"images": frames, "state": np.ones(4), "prompt": "reach"}


def test_bars_are_what_no_frame_reaches():
    found = picture_of(observe, raw_of(3))
    assert found is not None
    assert found["base_0_rgb"][0].any(1).tolist() == [False, True, True, True, False, False]
    assert found["left_wrist_0_rgb"].all()
    # Black in both: absent, or of no camera of this robot.
    assert "right_wrist_0_rgb" not in found


def test_frames_that_fill_the_view_have_no_bars():
    def whole(raw):
        return types.SimpleNamespace(images={"base_0_rgb": raw["front"][None]})

    assert picture_of(whole, {"front": np.zeros((6, 6, 3), np.float32)}) is None


def test_all_but_frames_stays_what_it_is():
    raw = raw_of(3)
    white = filled(raw, True)
    assert (white["images"]["front"] == 255).all() and white["prompt"] == "reach"
    assert white["state"] is raw["state"]
    floats = filled({"front": np.zeros((2, 2, 3), np.float32)}, True)["front"]
    assert floats.dtype == np.float32 and (floats == 1.0).all()


def test_it_is_worked_out_once_for_frames_of_a_size():
    asked = []

    def counted(raw):
        asked.append(raw)
        return observe(raw)

    remembered = Remembered(counted)
    assert remembered(raw_of(3)) is remembered(raw_of(3)) and len(asked) == 2
    other = remembered(raw_of(4))
    assert other is not None and other["base_0_rgb"][0].any(1).sum() == 4 and len(asked) == 4
