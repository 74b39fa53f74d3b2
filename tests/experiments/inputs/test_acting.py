"""A checkpoint in pi05_libero's form acts in LIBERO as openpi has it act."""

import dataclasses

import numpy as np
import pytest
from openpi_standins import SIZES, random_params

from configs import nmr_correlation, rollout
from experiments.inputs.acting import as_robot_sends, make_policy
from iss_jax.pi05.checkpoint import save_checkpoint
from iss_jax.pi05.normalize import NormStats
from iss_jax.pi05.tokenizer import train_tokenizer
from iss_jax.policies.configs import PI05_LIBERO
from iss_jax.policies.openpi import from_checkpoint


def stats(dims: int) -> NormStats:
    return NormStats(*(np.full(dims, value) for value in (0.0, 0.5, -1.0, 1.0)))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("pi05_libero") / "0"
    sizes = dataclasses.replace(SIZES, vocab=2048, action_dim=32)
    save_checkpoint(
        path,
        random_params(0, sizes),
        norm_stats={"state": stats(8), "actions": stats(7)},
        asset_id=PI05_LIBERO.asset_id,
        tokenizer=train_tokenizer(["pick it up"]),
    )
    return path


def test_frames_are_mirrored_and_two_views_are_seen(checkpoint):
    config = rollout.get_config("pi05_libero")
    options = {"max_token_len": config.max_token_len, "num_steps": 2}
    act = make_policy(
        str(checkpoint), robot=config.robot, action_horizon=config.action_horizon, **options
    )
    rng = np.random.default_rng(0)
    images = {
        camera: rng.integers(0, 256, (32, 32, 3), np.uint8)
        for camera in ("front", "wrist", "overhead")
    }
    state = rng.uniform(-1, 1, 8).astype(np.float32)
    observation = {"images": images, "state": state, "prompt": "pick it up", "seed": 3}
    chunk = act(observation)
    assert chunk.shape == (10, 7) and config.execute == 5
    other = {**images, "overhead": images["front"]}
    np.testing.assert_array_equal(act({**observation, "images": other}), chunk)
    policy = from_checkpoint(checkpoint, "pi05_libero", dtype=None)
    frames = {
        "observation/image": images["front"][:, ::-1],
        "observation/wrist_image": images["wrist"][:, ::-1],
    }
    seen = policy.observe(PI05_LIBERO.join(frames, state, "pick it up"))
    direct = policy.observation(frames, state, "pick it up")
    np.testing.assert_array_equal(seen.images["base_0_rgb"], direct.images["base_0_rgb"])
    assert not bool(direct.image_masks["right_wrist_0_rgb"][0])
    # The state is not in the prompt: another one changes the noise's key and nothing else.
    unmirrored = {camera: image[:, ::-1] for camera, image in images.items()}
    assert np.abs(act({**observation, "images": unmirrored}) - chunk).max() > 1e-4


def test_nmr_sees_what_the_policy_saw():
    config = nmr_correlation.get_config("pi05_libero")
    assert config.mirror and not config.discrete_state_input and config.action_horizon == 10
    assert config.cameras.to_dict() == {
        "base_0_rgb": "front",
        "left_wrist_0_rgb": "wrist",
        "right_wrist_0_rgb": "",
    }


def test_another_robot_gets_the_cameras_of_its_names():
    robot = dataclasses.replace(PI05_LIBERO, cameras={"base_0_rgb": "observation/wrist"})
    images = {c: np.full((4, 4, 3), i, np.uint8) for i, c in enumerate(("front", "wrist"))}
    sent = as_robot_sends(robot, {"images": images, "state": np.zeros(8), "prompt": "pick it up"})
    assert sorted(sent) == ["observation/state", "observation/wrist", "prompt"]
    assert (sent["observation/wrist"] == 1).all()
