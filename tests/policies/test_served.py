"""A policy that can only be asked, over openpi's protocol: against a real server process."""

import csv
import dataclasses
import importlib
import json
import subprocess
import sys
import urllib.request

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import ROOT, documented, smoke

from experiments import explain_served
from iss_jax import ISSConfig, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.masks import sample_masks
from iss_jax.policies import served
from iss_jax.policies.client import PolicyClient, ServerError
from iss_jax.policies.configs import EMBEDDED, PolicyConfig
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.sampling import Sampling

ISS = ISSConfig(num_masks=8, micro_batch=9)
ROBOT = PolicyConfig(
    name="toy",
    cameras={"base_0_rgb": "front"},
    state={"state": 1},
    action_horizon=2,
    action_dims=3,
)
RNG = np.random.default_rng(0)
FRAME = RNG.integers(0, 256, (14, 14, 3), np.uint8)
RAW = ROBOT.join({"front": FRAME}, [0.5], "go")


@pytest.fixture(scope="module")
def address():
    """The embedded policy behind a process of its own."""
    _, *arguments = documented("serve_policy")
    command = [sys.executable, *arguments, "--config.port=0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving ws://"), line
        yield line.split()[1]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def seen():
    episode = open_dataset(embedded.episodes_path()).read(0, [1])
    return EMBEDDED.join(
        {camera: image[0] for camera, image in episode.images.items()},
        episode.state[0],
        episode.prompt,
    )


def test_with_shared_noise_it_equals_saliency(address, seen):
    policy = from_checkpoint(
        embedded.checkpoint_path(), "embedded", dtype=None, sampling=Sampling(2)
    )
    noise = RNG.normal(size=(16, 7)).astype(np.float32)
    masks = sample_masks(jax.random.key(1), 8, 3)
    expected = policy.explain(seen, noise=noise[None], masks=masks, config=ISS)
    state = np.asarray(policy.observe(seen).state)[0]
    options = {
        "masks": masks,
        "config": ISS,
        "baseline_calls": 2,
        "scale": policy.action_scale(state),
    }
    raw = {**seen, "noise": noise}
    with PolicyClient(address) as client:
        found = served.attribute(client.infer, raw, "embedded", quantise=False, **options)
        rounded = served.attribute(client.infer, raw, "embedded", **options)
        assert client.metadata == {"robot": "embedded", "action_horizon": 16, "action_dim": 7}
    assert found.floor == found.floor_stderr == 0.0
    np.testing.assert_allclose(found.saliency.effects, expected.effects[0], rtol=1e-3)
    np.testing.assert_allclose(found.saliency.cells, expected.cells[0], rtol=1e-3)
    assert list(found.saliency.maps) == list(expected.maps)
    for view, saliency in found.saliency.maps.items():
        np.testing.assert_allclose(saliency, expected.maps[view][0], rtol=1e-3, atol=1e-7)
    # Frames rounded to bytes are at most half of 1/255 off.
    np.testing.assert_allclose(rounded.saliency.effects, expected.effects[0], rtol=0.1)
    assert np.abs(rounded.saliency.effects - expected.effects[0]).max() > 0


def test_a_server_that_draws_its_noise_has_a_floor(address, seen):
    with PolicyClient(address) as client:
        found = served.attribute(client.infer, seen, "embedded", config=ISS, baseline_calls=6)
        assert found.baselines.shape == (6, 16, 7)
        assert found.floor > 3 * found.floor_stderr > 0
        # It refuses what it cannot read, says why, and goes on.
        with pytest.raises(ServerError, match="lacks the camera 'front'"):
            client.infer({"images": {}, "state": seen["state"], "prompt": "x"})
        assert client.infer(seen)["actions"].shape == (16, 7)
        # A program for it would take as long as the first one.
        with pytest.raises(ServerError, match=r"noise: shape \[15, 7\] given, \[16, 7\] wanted"):
            client.infer({**seen, "noise": np.zeros((15, 7), np.float32)})
    with urllib.request.urlopen(address.replace("ws://", "http://") + "/healthz") as reply:
        assert reply.status == 200


def noisy(spread):
    """Actions that follow the frame's mean, plus noise of the policy's own."""
    rng = np.random.default_rng(2)

    def infer(raw):
        mean = np.float32(raw["front"]).mean((0, 1)) / 255
        chunk = np.broadcast_to(mean, (2, 3)) + spread * rng.normal(size=(2, 3))
        return {"actions": chunk.astype(np.float32)}

    return infer


def test_floor_is_unbiased_and_what_is_left_is_the_noiseless_effect():
    masks = jnp.asarray(np.random.default_rng(3).random((12, 1, 7, 7)) < 0.3)
    options = {"masks": masks, "config": ISSConfig(num_masks=12, design="bernoulli")}
    clean = served.attribute(noisy(0.0), RAW, ROBOT, baseline_calls=2, **options)
    assert clean.floor == 0.0
    infer, runs = noisy(0.1), 60
    found = [served.attribute(infer, RAW, ROBOT, baseline_calls=4, **options) for _ in range(runs)]
    # One dimension's squared noise around a mean of four: 0.01 (1 + 1/4).
    floors = np.array([run.floor for run in found])
    error = floors.std(ddof=1) / runs**0.5
    assert abs(floors.mean() - 0.0125) < 4 * error and error < 0.0008
    # The stated standard error is the floor's spread, to within its own from four calls.
    assert 0.5 < np.mean([run.floor_stderr for run in found]) / floors.std(ddof=1) < 1.5
    effects = np.stack([np.asarray(run.saliency.effects) for run in found])
    off = (effects - np.asarray(clean.saliency.effects)).mean(0)
    assert (np.abs(off) < 4 * effects.std(0, ddof=1) / runs**0.5).all()
    assert effects.mean() + floors.mean() > 1.5 * float(clean.saliency.effects.mean())


def test_answers_survive_a_failure_and_belong_to_one_run(tmp_path):
    path, calls, infer = tmp_path / "run.npz", [], noisy(0.0)

    def failing(raw):
        calls.append(1)
        if len(calls) == 6:
            raise ConnectionError("gone")
        return infer(raw)

    options = {"config": ISS, "baseline_calls": 2, "resume": path}
    with pytest.raises(ConnectionError, match="gone"):
        served.attribute(failing, RAW, ROBOT, **options)
    seen = []
    found = served.attribute(
        failing, RAW, ROBOT, progress=lambda done, total: seen.append((done, total)), **options
    )
    # Who answers is asked once more.
    assert len(calls) == 6 + 1 + 5 and seen == [(done, 10) for done in range(6, 11)]
    expected = served.attribute(infer, RAW, ROBOT, config=ISS, baseline_calls=2)
    np.testing.assert_array_equal(found.saliency.cells, expected.saliency.cells)
    moved = dataclasses.replace(ROBOT, cameras={"left_wrist_0_rgb": "front"})
    for robot, change, of, what in (
        (ROBOT, {}, {**RAW, "prompt": "stop"}, "observation"),
        (ROBOT, {}, {**RAW, "front": FRAME + 1}, "observation"),
        (ROBOT, {"key": jax.random.key(7)}, RAW, "masks"),
        (ROBOT, {"quantise": False}, RAW, "options"),
        (moved, {}, RAW, "options"),
    ):
        with pytest.raises(ValueError, match=rf"run\.npz holds answers to another run \({what}\)"):
            served.attribute(failing, of, robot, **(options | change))
    assert len(calls) == 12
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"run\.npz cannot be read"):
        served.attribute(failing, RAW, ROBOT, **options)


def test_answers_of_two_policies_are_not_mixed(tmp_path):
    """Half of a run is one policy's: another is refused, whole runs too, and asked once."""
    path, calls, infer = tmp_path / "run.npz", [], noisy(0.0)

    def half(raw):
        calls.append(1)
        if len(calls) == 6:
            raise ConnectionError("gone")
        return infer(raw)

    def other(raw):
        calls.append(1)
        return {"actions": infer(raw)["actions"] * np.float32(1.0 + 1e-6)}

    options = {"config": ISS, "baseline_calls": 2, "resume": path}
    with pytest.raises(ConnectionError):
        served.attribute(half, RAW, ROBOT, **options)
    for _ in range(2):
        calls.clear()
        with pytest.raises(ValueError, match=r"run\.npz holds answers of another policy"):
            served.attribute(other, RAW, ROBOT, **options)
        assert len(calls) == 1
        with pytest.raises(ValueError, match=r"asked anew \(0\): has no 'actions'"):
            served.attribute(lambda raw: {}, RAW, ROBOT, **options)
        # The second time round all answers are there.
        served.attribute(infer, RAW, ROBOT, **options)


class Server:
    """What `PolicyClient` is to `attribute`."""

    def __init__(self, infer, **metadata):
        self.answer, self.metadata = infer, metadata

    def infer(self, raw):
        return self.answer(raw)


def test_another_server_is_another_run(tmp_path):
    options = {"config": ISS, "baseline_calls": 2, "resume": tmp_path / "run.npz"}
    for _ in range(2):
        first = Server(noisy(0.0), robot="toy", checkpoint="a")
        served.attribute(first.infer, RAW, ROBOT, **options)
    second = Server(noisy(0.0), robot="toy", checkpoint="b")
    with pytest.raises(ValueError, match="another server, whose metadata had another 'checkpoint'"):
        served.attribute(second.infer, RAW, ROBOT, **options)


def test_a_policy_that_draws_its_noise_is_known_again(tmp_path):
    options = {"config": ISS, "baseline_calls": 6, "resume": tmp_path / "run.npz"}
    infer = noisy(0.1)
    served.attribute(infer, RAW, ROBOT, **options)
    served.attribute(infer, RAW, ROBOT, **options)
    with pytest.raises(ValueError, match="another policy"):
        served.attribute(
            lambda raw: {"actions": infer(raw)["actions"] + np.float32(0.5)}, RAW, ROBOT, **options
        )


def test_several_at_once_are_the_same_answers():
    infer, sizes = noisy(0.0), []

    def many(observations):
        sizes.append(len(observations))
        return [infer(one) for one in observations]

    options = {"config": ISS, "baseline_calls": 2, "save_every": 4}
    alone = served.attribute(infer, RAW, ROBOT, **options)
    found = served.attribute(infer, RAW, ROBOT, infer_batch=many, **options)
    np.testing.assert_array_equal(found.saliency.cells, alone.saliency.cells)
    assert sizes == [4, 4, 2]
    with pytest.raises(ValueError, match="answer 0: 3 answers to 4 observations"):
        served.attribute(infer, RAW, ROBOT, infer_batch=lambda many: [infer(RAW)] * 3, **options)


def test_malformed_requests_and_answers_are_named():
    infer = noisy(0.0)
    with pytest.raises(ValueError, match="needs gradients"):
        served.attribute(infer, RAW, ROBOT, config=ISSConfig(estimator="gradient"))
    with pytest.raises(ValueError, match="noise_draws is 2"):
        served.attribute(infer, RAW, ROBOT, config=ISSConfig(noise_draws=2))
    with pytest.raises(ValueError, match="save_every must be an integer >= 1, got 0"):
        served.attribute(infer, RAW, ROBOT, save_every=0)
    with pytest.raises(ValueError, match="baseline_calls"):
        served.attribute(infer, RAW, ROBOT, baseline_calls=1)
    with pytest.raises(ValueError, match="masks must be bool"):
        served.attribute(infer, RAW, ROBOT, masks=jnp.ones((4, 3, 7, 7), bool))
    with pytest.raises(ValueError, match=r"answer 0: has no 'actions'"):
        served.attribute(lambda raw: {"action": 1}, RAW, ROBOT)
    with pytest.raises(ValueError, match=r"answer 0: actions of shape \(3,\)"):
        served.attribute(lambda raw: {"actions": np.zeros(3)}, RAW, ROBOT)
    with pytest.raises(ValueError, match=r"end.* in \.npz"):
        served.attribute(infer, RAW, ROBOT, resume="answers")


def test_the_experiment_explains_a_served_frame(address, tmp_path):
    smoke("explain_served", tmp_path, f"--config.uri={address}")
    content = json.loads((tmp_path / "results.json").read_text())
    assert 0 <= content["nmr_at_10"] <= 1 and content["floor"] > 0
    assert (tmp_path / "figures" / "maps.png").stat().st_size > 1000
    config = importlib.import_module("configs.explain_served").get_config("smoke")
    config.uri = address
    # All that was answered is there; the server is only asked who it is.
    answers = (tmp_path / "answers.npz").read_bytes()
    again = explain_served.main(config, tmp_path)
    # Players are asked for anew, of a server that draws its own noise.
    assert "%" in again.pop("acts_on") and again["fill"] == "background"
    assert again == {name: content[name] for name in again}
    rows = list(csv.DictReader((tmp_path / "players.csv").read_text().splitlines()))
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1.0, abs=1e-4)
    assert (tmp_path / "figures" / "players.png").stat().st_size > 1000
    assert (tmp_path / "answers.npz").read_bytes() == answers
