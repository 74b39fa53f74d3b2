"""LeRobot's policies as black boxes: their batches, processors and chunks."""

import builtins
import contextlib
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from iss_jax import EffectsConfig, ISSConfig
from iss_jax.policies import batched, lerobot
from iss_jax.policies.lerobot import from_policy, from_pretrained
from iss_jax.policies.shared_noise import free_rows

RNG = np.random.default_rng(0)
CAMERAS = ("front", "wrist")
FRAMES = {camera: RNG.integers(0, 256, (14, 20, 3), np.uint8) for camera in CAMERAS}
STATE = np.array([0.5, -1.0], np.float32)
FEATURES = {f"observation.images.{camera}": None for camera in CAMERAS}
ISS = ISSConfig(num_masks=10)


class Chunks:
    """A policy of LeRobot's form without parameters, so that it takes numpy arrays."""

    config = SimpleNamespace(image_features=FEATURES)

    def predict_action_chunk(self, batch):
        front = batch["observation.images.front"][:, :, :7].mean((2, 3))
        step = np.concatenate([front, batch["observation.state"]], 1)
        return np.stack([step, 2 * step, 3 * step], 1)


class Steps:
    """One that keeps past observations and answers step by step, as Diffusion does."""

    def __init__(self):
        self.config = SimpleNamespace(image_features=FEATURES, n_action_steps=3)
        self._queues = {"observation.state": [], "action": []}

    def reset(self):
        self._queues = {name: [] for name in self._queues}

    def predict_action_chunk(self, batch):
        raise AssertionError("its observations are not in its queue")

    def select_action(self, batch):
        if not self._queues["action"]:
            self._queues["action"] = list(np.moveaxis(Chunks().predict_action_chunk(batch), 1, 0))
        return self._queues["action"].pop(0)


def before(batch):
    """A preprocessor that renames nothing, and halves the state."""
    return batch | {"observation.state": batch["observation.state"] / 2}


def after(step):
    """A postprocessor of one step of every row."""
    assert step.ndim == 2
    return 10.0 * step + np.arange(step.shape[1], dtype=np.float32)


def test_the_batch_is_that_of_lerobots_datasets():
    given = []

    class Keeps(Chunks):
        def predict_action_chunk(self, batch):
            given.append(batch)
            return super().predict_action_chunk(batch)

    rows = {camera: np.stack([frame, 255 - frame]) for camera, frame in FRAMES.items()}
    from_policy(Keeps()).actions(rows, STATE, "pick up the cup")
    (batch,) = given
    assert sorted(batch) == [*sorted(FEATURES), "observation.state", "task"]
    wanted = np.moveaxis(FRAMES["wrist"], -1, 0) / np.float32(255)
    np.testing.assert_allclose(batch["observation.images.wrist"][0], wanted, rtol=1e-6)
    np.testing.assert_allclose(batch["observation.images.wrist"][1], 1 - wanted, atol=1e-6)
    np.testing.assert_array_equal(batch["observation.state"], [STATE, STATE])
    assert batch["task"] == ["pick up the cup"] * 2


def test_processors_are_applied_before_and_after():
    rows = {camera: frame[None] for camera, frame in FRAMES.items()}
    bare = from_policy(Chunks()).actions(rows, STATE)
    policy = from_policy(Chunks(), before, after)
    inside = policy.actions(rows, STATE, units="normalised")
    np.testing.assert_allclose(inside[..., :3], bare[..., :3])
    np.testing.assert_allclose(inside[..., 3:], bare[..., 3:] / 2)
    np.testing.assert_allclose(policy.actions(rows, STATE), 10 * inside + np.arange(5), rtol=1e-6)


def test_a_policy_with_a_memory_answers_step_by_step():
    rows = {camera: frame[None] for camera, frame in FRAMES.items()}
    stepwise = from_policy(Steps())
    assert stepwise.executed and not from_policy(Chunks()).executed
    for _ in range(2):
        np.testing.assert_array_equal(
            stepwise.actions(rows, STATE), from_policy(Chunks()).actions(rows, STATE)
        )


@pytest.mark.parametrize("make", [Chunks, Steps])
def test_a_map_is_that_of_the_plain_function(make):
    policy = from_policy(make(), before, after)
    found = policy.saliency(FRAMES, STATE, config=ISS, key=jax.random.key(3))

    def plain(frames, draw):
        return policy.actions(frames, STATE, units="normalised")

    wanted = batched.saliency(plain, FRAMES, config=ISS, key=jax.random.key(3))
    np.testing.assert_array_equal(found.cells, wanted.cells)
    assert float(np.abs(found.cells[0]).max()) > 0
    assert found.unit == "mean squared error, normalised actions"
    robot = policy.saliency(FRAMES, STATE, config=ISS, key=jax.random.key(3), units="robot")
    np.testing.assert_allclose(robot.effects, 100.0 * found.effects, rtol=1e-4)
    assert robot.unit == "mean squared error, robot units"


class Tensor(np.ndarray):
    """An array that goes to a device, as torch's tensors do."""

    device = "cpu"

    def to(self, _device):
        return self


class Draws:
    """Stands in for torch's noise: a draw of as many rows as the batch is that of one row."""

    def __init__(self):
        self.rows = self.rng = self.sizes = None

    @contextlib.contextmanager
    def __call__(self, rows, seed, device=None):
        self.rows, self.rng, self.sizes = rows, np.random.default_rng(seed), set()
        yield self.sizes

    def normal(self, count, *rest):
        if count == self.rows:
            return np.repeat(self.rng.standard_normal((1, *rest)), count, 0)
        self.sizes.add(count)
        return self.rng.standard_normal((count, *rest))


def test_noise_of_all_rows_together_is_none_of_a_row_however_many_they_are(monkeypatch):
    """A horizon of 16 with 16 rows at once; also of 17, which is the next to be tried."""
    draws, asked = Draws(), []

    class Blind(Chunks):
        def parameters(self):
            return iter([np.zeros(1).view(Tensor)])

        def predict_action_chunk(self, batch):
            rows = len(batch["observation.state"])
            asked.append(rows)
            return draws.normal(rows, 16, 3) + draws.normal(16, 3) + draws.normal(17, 1)[:16]

    monkeypatch.setattr(lerobot, "shared_noise", draws)
    torch = SimpleNamespace(
        from_numpy=lambda array: array.view(Tensor), inference_mode=contextlib.nullcontext
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    policy = from_policy(Blind())
    found = policy.saliency(FRAMES, STATE, config=ISSConfig(num_masks=20))
    assert float(found.floor) == 0.0 and not np.asarray(found.effects).any()
    # Asked once for two and three rows; 16 rows go as 18.
    assert asked == [2, 3, 3, 1, 18, 4]
    chunks = {
        count: policy.actions({c: f[None].repeat(count, 0) for c, f in FRAMES.items()}, STATE)
        for count in (1, 5, 16, 17)
    }
    for count, chunk in chunks.items():
        assert chunk.shape == (count, 16, 3)
        np.testing.assert_array_equal(chunk, chunks[1].repeat(count, 0))


def test_a_free_number_of_rows_is_the_least_that_is_no_size():
    assert [free_rows(n, {1, 2, 16, 17}) for n in (1, 2, 3, 16, 18)] == [1, 3, 3, 18, 18]


def test_players_states_and_instructions_are_replaced():
    class Reads(Chunks):
        def predict_action_chunk(self, batch):
            words = np.array([len(text.split()) for text in batch["task"]], np.float32)
            return super().predict_action_chunk(batch) + words[:, None, None]

    halves = {
        "front": np.repeat([0, 1], 7)[:, None] * np.ones((1, 20), np.int32),
        "wrist": np.full((14, 20), 2, np.int32),
    }
    found = from_policy(Reads()).player_effects(
        FRAMES,
        STATE,
        "lift",
        players=halves,
        config=EffectsConfig(fill="blur", draws=2),
        prompts=["lift it", "lift it up"],
        states=[STATE, STATE + 1.0],
    )
    shares = np.asarray(found.share)
    assert shares[0] == 1.0 and shares[1] == shares[2] == 0.0
    np.testing.assert_allclose(found.beside["prompt"], [1.0, 4.0], rtol=1e-5)
    # Two of five dimensions move by one, twice and three times over.
    np.testing.assert_allclose(found.beside["state"], [0.0, (1 + 4 + 9) / 3 * 2 / 5], rtol=1e-5)


def test_players_are_by_appearance_where_none_are_given():
    found = from_policy(Chunks()).player_effects(
        FRAMES, STATE, config=EffectsConfig(fill="blur", draws=1)
    )
    assert found.names[0] == "front look A" and found.names[-1].startswith("wrist look")
    sees = np.array([name.startswith("front") for name in found.names])
    assert (np.asarray(found.effects)[~sees] == 0).all() and np.asarray(found.effects).any()


def test_other_names_of_cameras_and_missing_empty_ones():
    policy = from_policy(Chunks(), cameras={"left": "observation.images.front"})
    rows = {"left": FRAMES["front"][None]}
    assert policy.actions(rows, STATE).shape == (1, 3, 5)

    class Padded(Chunks):
        config = SimpleNamespace(
            image_features=FEATURES | {"observation.images.empty_camera_0": None}
        )

    rows = {camera: frame[None] for camera, frame in FRAMES.items()}
    assert from_policy(Padded()).actions(rows, STATE).shape == (1, 3, 5)


def test_a_state_of_several_features():
    class Two(Chunks):
        def predict_action_chunk(self, batch):
            extra = batch["observation.environment_state"]
            return super().predict_action_chunk(batch) + extra[:, None, :1]

    rows = {camera: frame[None] for camera, frame in FRAMES.items()}
    parts = {"observation.state": STATE, "observation.environment_state": [7.0, 8.0]}
    np.testing.assert_allclose(
        from_policy(Two()).actions(rows, parts), from_policy(Chunks()).actions(rows, STATE) + 7.0
    )


@pytest.mark.parametrize(
    ("frames", "state", "message"),
    [
        ({"front": FRAMES["front"][None]}, STATE, r"cameras \['front'\] given"),
        (FRAMES | {"rear": FRAMES["front"]}, STATE, r"\['front', 'rear', 'wrist'\] given"),
        (FRAMES, STATE, r"must all be \[n, h, w, 3\]"),
        ({c: f[None] / 255.0 for c, f in FRAMES.items()}, STATE, "float64 given, uint8 wanted"),
        ({c: f[None] for c, f in FRAMES.items()}, STATE[None], r"shape \[1, 2\], wanted \[s\]"),
        ({c: f[None] for c, f in FRAMES.items()}, STATE * np.nan, "state 'observation.state'"),
    ],
)
def test_what_is_wrong_with_an_observation_is_named(frames, state, message):
    with pytest.raises(ValueError, match=message):
        from_policy(Chunks()).actions(frames, state)


def test_what_is_no_policy_is_named(tmp_path):
    with pytest.raises(TypeError, match="str given, a LeRobot policy"):
        from_policy("act")
    with pytest.raises(ValueError, match=r"\['observation.images.rear'\] given"):
        from_policy(Chunks(), cameras={"rear": "observation.images.rear"})
    with pytest.raises(ValueError, match="units must be one of"):
        from_policy(Chunks()).actions(FRAMES, STATE, units="metres")
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        from_pretrained(tmp_path)

    class Flat(Chunks):
        def predict_action_chunk(self, batch):
            return np.zeros((1, 3))

    with pytest.raises(ValueError, match=r"Flat answered shape \[1, 3\]"):
        from_policy(Flat()).actions({c: f[None] for c, f in FRAMES.items()}, STATE)


def test_without_lerobot_a_folder_names_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "lerobot":
            raise ModuleNotFoundError("No module named 'lerobot'", name="lerobot")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="lerobot is not installed"):
        from_pretrained(tmp_path)
