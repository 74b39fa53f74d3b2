"""From frames, states and instructions to what a π0-FAST takes."""

import numpy as np
import pytest

from iss_jax.pi0_fast.inputs import fast_observation, fast_prompt_text, views_of
from iss_jax.pi05.normalize import NormStats


class Tokenizer:
    """A token a letter, 2 in front."""

    def encode(self, text, *, add_bos):
        return [2, *map(ord, text)]


STATS = {"state": NormStats(np.zeros(2), np.ones(2), np.full(2, -2.0), np.full(2, 2.0))}
IMAGES = {"front": np.ones((1, 4, 6, 3), np.uint8), "wrist": np.full((1, 4, 6, 3), 2, np.uint8)}


def observed(cameras, **changes):
    given = {"tokenizer": Tokenizer(), "norm_stats": STATS, "max_token_len": 60}
    return fast_observation(
        IMAGES,
        np.array([[-2.0, 2.0]], np.float32),
        ["Push_it "],
        cameras=cameras,
        **given | changes,
    )


def test_the_text_is_openpis():
    assert fast_prompt_text("Push_it\n", [-1.0, 0.0]) == "Task: push it, State: 0 128;\n"


def test_tokens_are_padded_and_states_normalised():
    obs = observed({"base_0_rgb": "front"})
    text = "Task: push it, State: 0 255;\n"
    ids = np.asarray(obs.tokenized_prompt)[0]
    assert ids[: len(text) + 1].tolist() == [2, *map(ord, text)] and not ids[len(text) + 1 :].any()
    assert int(obs.tokenized_prompt_mask.sum()) == len(text) + 1
    np.testing.assert_allclose(obs.state, [[-1.0, 1.0]], atol=1e-5)


def test_views_are_of_openpis_names_and_those_without_a_camera_are_black_and_there():
    cameras = {"base_0_rgb": "front", "wrist_0_rgb": "wrist"}
    obs = observed(cameras)
    assert tuple(obs.images) == views_of(cameras) == ("base_0_rgb", "base_1_rgb", "wrist_0_rgb")
    assert not np.asarray(obs.images["base_1_rgb"]).any()
    assert np.asarray(obs.images["wrist_0_rgb"] == 2).all()
    assert all(bool(there.all()) for there in obs.image_masks.values())
    assert views_of({"base_0_rgb": "front"})[1] == "left_wrist_0_rgb"


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"tokens, at most 5 wanted \(max_token_len\)"):
        observed({"base_0_rgb": "front"}, max_token_len=5)
    with pytest.raises(ValueError, match=r"images: has \['front', 'wrist'\], wanted \['top'\]"):
        observed({"base_0_rgb": "top"})
