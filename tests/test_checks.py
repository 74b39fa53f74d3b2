"""Values that cannot be are errors that name the thing, what was given and what is wanted."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from iss_jax.checks import (
    check_actions,
    check_count,
    check_finite,
    check_frames,
    check_labels,
    check_mask,
    check_masks,
    check_number,
    check_options,
    check_text,
    check_tokens,
)
from iss_jax.config import ISSConfig

# Both rows span the range.
RAMP = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2).T.reshape(2, 2, 1, 3)
WHITE = np.arange(128, 252, 11, dtype=np.float32).reshape(2, 2, 1, 3) / np.float32(127.5) - 1
BYTES = np.arange(12, dtype=np.uint8).reshape(2, 2, 1, 3)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_frames_that_are_no_pictures_in_minus_one_to_one(array):
    for fine in (RAMP, BYTES, 0 * RAMP, RAMP.astype(np.float16)):
        check_frames("images", {"front": array(fine)})
    # A bright picture of eight bits beside one that is not, and what nobody can tell.
    bright = {"front": array(WHITE), "wrist": array(RAMP)}
    check_frames("images", bright)
    check_frames("images", bright | {"front": jnp.asarray(abs(RAMP), jnp.bfloat16)})
    for wrong, message in (
        (abs(RAMP), r"images: floats in \[0.09.*, 1\].*looks like \[0, 1\]"),
        (255 * RAMP, r"images\['front'\]: floats in \[-255, 255\], wanted \[-1, 1\]"),
        (np.where(RAMP > 0.9, np.nan, RAMP), r"images\['front'\]: nan at \[1, 1, 0, 2\]"),
        (np.where(RAMP > 0.9, np.inf, RAMP), r"images\['front'\]: inf at \[1, 1, 0, 2\]"),
    ):
        with pytest.raises(ValueError, match=message):
            check_frames("images", {"front": array(wrong)})
        absent = {"front": np.zeros(2, bool)}
        check_frames("images", {"front": array(wrong)}, absent)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("wrong", [(RAMP + 1) / 2, BYTES / np.float32(255), (WHITE + 1) / 2])
def test_one_view_alone_in_zero_to_one(array, wrong):
    wrong = {"front": array(wrong), "wrist": array(RAMP)}
    with pytest.warns(UserWarning, match=r"images\['front'\]: floats in .*this view alone looks"):
        check_frames("images", wrong)
    check_frames("images", wrong, {"front": np.zeros(2, bool)})
    # The other row, where that is the one.
    with pytest.warns(UserWarning, match="in row 1, no pixel"):
        check_frames("images", wrong, {"front": np.array([False, True])})


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray, list])
def test_masks_that_are_nan(array):
    wrong = array([1.0, float("nan")])
    for right in (None, array([1.0, 0.0]), array([True, False])):
        check_mask("valid", right)
    with pytest.raises(ValueError, match=r"valid: nan at \[1\], True or False wanted"):
        check_mask("valid", wrong)
    with pytest.raises(ValueError, match=r"valid\['front'\]: nan"):
        check_masks("valid", {"wrist": None, "front": wrong})
    with pytest.raises(ValueError, match=r"images\['front'\]: whether it is present: nan at"):
        check_frames("images", {"front": BYTES}, {"front": wrong})
    with pytest.raises(ValueError, match="prompt: its mask: nan"):
        check_tokens("prompt", np.array([1, 2]), wrong, 32)
    jax.jit(lambda x: check_mask("valid", x))(jnp.array([jnp.nan]))


def test_values_inside_jit_are_not_looked_at_unless_they_are_known():
    jax.jit(lambda x: check_frames("images", {"front": x}))(255 * RAMP)
    with pytest.raises(ValueError, match="255"):
        jax.jit(lambda x: check_frames("images", {"front": 255 * RAMP}))(0)
    jax.jit(lambda x: check_finite("state", x))(jnp.array([jnp.nan]))


def test_numbers_that_are_not_finite_are_found():
    for array in (np.asarray, jnp.asarray):
        check_finite("state", array(np.ones(3)))
        check_finite("state", array(np.ones(3, int)))
        with pytest.raises(ValueError, match=r"state: nan at \[1, 0\].*\(2 of 4 are not\)"):
            check_finite("state", array(np.array([[1, 2], [np.nan, np.inf]])))


@pytest.mark.parametrize("bad", [-1, 32, 2**31 - 1])
def test_tokens_beyond_the_table(bad):
    tokens, mask = np.array([[1, 31, bad]]), np.array([[True, True, False]])
    check_tokens("prompt", tokens, mask, 32)
    with pytest.raises(ValueError, match=rf"prompt: {bad} at \[0, 2\], wanted 0 to 31"):
        check_tokens("prompt", tokens, ~mask, 32)
    with pytest.raises(ValueError, match=r"dtype float.*, integers wanted"):
        check_tokens("prompt", tokens.astype(float), mask, 32)


@pytest.mark.parametrize(
    "labels", [np.ones((2, 2), bool), np.full((2, 2), np.nan), np.full((2, 2), 255), -np.eye(2)]
)
def test_labels_that_are_none(labels):
    with pytest.raises(ValueError, match=r"regions of .front.*0 nuisance, 1 support, 2 action"):
        check_labels("regions", {"front": labels}, {})


def test_text_is_text():
    assert check_text("prompt", "go") == check_text("prompt", b"go") == "go"
    assert check_text("prompt", np.array("go")) == check_text("prompt", np.str_("go")) == "go"
    for wrong in (None, 3, ["go"], np.array(["go"]), b"\xff"):
        with pytest.raises(ValueError, match=r"prompt: .*text"):
            check_text("prompt", wrong)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"actions": jnp.zeros((4, 2, 3))}, "got dict"),
        ((jnp.zeros((4, 2, 3)),), "got tuple"),
        (jnp.zeros((1, 2, 3)), r"got \[1, 2, 3\] for n = 4"),
        (jnp.zeros((4, 3)), r"got \[4, 3\] for n = 4"),
        (jnp.zeros((4, 0, 3)), r"got \[4, 0, 3\]"),
        (jnp.zeros((4, 2, 3), bool), "real numbers, got bool"),
        (None, "got NoneType"),
    ],
)
def test_answers_that_are_no_chunk_a_row(answer, message):
    with pytest.raises(ValueError, match=message):
        check_actions(answer, 4)


@pytest.mark.parametrize("given", [{"num_masks": 4}, ml_collections.ConfigDict({"num_masks": 4})])
def test_options_of_another_kind(given):
    with pytest.raises(TypeError, match=r"config must be ISSConfig, got .*ISSConfig\(\*\*config\)"):
        check_options("config", given, ISSConfig)
    assert ISSConfig(**given) == check_options("config", ISSConfig(num_masks=4), ISSConfig)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "3", None])
def test_counts(wrong):
    check_count("most", 1)
    check_count("most", np.int64(3))
    with pytest.raises(ValueError, match=r"most must be an integer >= 1, got"):
        check_count("most", wrong)


@pytest.mark.parametrize("wrong", [0.0, -1, 11, np.nan, np.inf, True, "3", None])
def test_numbers(wrong):
    check_number("fps", 10, above=0.0, most=10.0)
    check_number("fps", np.float32(0.5), above=0.0)
    with pytest.raises(ValueError, match=r"fps must be a number of at most 10 above 0, got"):
        check_number("fps", wrong, above=0.0, most=10.0)


def test_nan_in_a_large_frame_on_the_device_is_found():
    """Some backends' minima pass over NaN."""
    frames = jnp.linspace(-1, 1, 2 * 80 * 80 * 3).reshape(2, 80, 80, 3)
    for place in ((1, 40, 40, 1), (0, 0, 0, 0), (1, 79, 79, 2)):
        with pytest.raises(ValueError, match=r"images\['front'\]: nan at"):
            check_frames("images", {"front": frames.at[place].set(jnp.nan)})
    with pytest.raises(ValueError, match=r"images\['front'\]: nan at \[1, 0, 0, 0\]"):
        check_frames("images", {"front": frames.at[1].set(jnp.nan)})


def test_one_row_in_another_range_is_found():
    frames = jnp.stack([jnp.linspace(-1, 1, 8 * 8 * 3).reshape(8, 8, 3)] * 2)
    mixed = frames.at[0].set((frames[0] + 1) / 2)
    with pytest.raises(ValueError, match=r"in row 0.*looks like \[0, 1\]"):
        check_frames("images", {"front": mixed, "wrist": mixed})
    check_frames("images", {"front": mixed}, {"front": np.array([False, True])})
    # A view that is dark somewhere tells nothing of another one, unless that is of eight bits.
    with pytest.warns(UserWarning, match=r"\['front'\]: .*in row 0, .*this view alone"):
        check_frames("images", {"front": mixed, "wrist": frames})
    later = {"front": jnp.stack([WHITE[0], abs(RAMP[1])]), "wrist": jnp.asarray(RAMP)}
    with pytest.warns(UserWarning, match="in row 1, no pixel of it"):
        check_frames("images", later)
