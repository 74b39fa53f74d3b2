"""LeRobot's own classes, ACT and Diffusion, with their own processors, as black boxes.

Run where PyTorch and LeRobot are installed (`docs/guide/pytorch.md` says how); skipped elsewhere.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from real_lerobot import (
    CAMERAS,
    STATE,
    imported,
    pictures,
    processors,
    small_act,
    small_diffusion,
)

from iss_jax import Background, EffectsConfig, ISSConfig
from iss_jax.data.dataset import open_dataset
from iss_jax.players import from_instances
from iss_jax.policies.lerobot import from_policy, from_pretrained

# Their code was not written for this suite's strictness.
pytestmark = [pytest.mark.lerobot, pytest.mark.filterwarnings("ignore")]

ISS = ISSConfig(num_masks=20, micro_batch=8)
POSE = np.linspace(0, 1, STATE).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def act():
    return small_act()


@pytest.fixture(scope="module")
def diffusion():
    return small_diffusion()


@pytest.fixture(params=["act", "diffusion"])
def policy(request):
    return request.getfixturevalue(request.param)


def one(frames):
    return {camera: own[0] for camera, own in frames.items()}


def test_the_same_frame_twice_gives_the_same_actions_in_one_batch_and_in_another(policy):
    box = from_policy(policy, *processors(policy))
    rows = pictures(3)
    same = {camera: np.repeat(own[:1], 3, 0) for camera, own in rows.items()}
    found = box.actions(same, POSE, "push")
    assert found.shape[::2] == (3, 7) and np.abs(found).max() > 0
    np.testing.assert_array_equal(found[1:], found[:-1])
    again = box.actions(rows, POSE, "push")
    np.testing.assert_allclose(again[0], found[0], atol=1e-4)
    assert np.abs(again[1] - again[0]).max() > 1e-3


def test_a_chunk_is_what_the_policy_itself_does_step_by_step(policy):
    torch = imported("torch")
    before, after = processors(policy)
    box = from_policy(policy, before, after)
    frames = pictures(1)
    batch = {
        f"observation.images.{camera}": torch.from_numpy(own[0]).permute(2, 0, 1) / 255
        for camera, own in frames.items()
    }
    batch |= {"observation.state": torch.from_numpy(POSE), "task": "push"}
    policy.eval()
    policy.reset()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        wanted = [after(policy.select_action(before(dict(batch)))).numpy() for _ in range(4)]
    policy.reset()
    found = box.actions(frames, POSE, "push")
    np.testing.assert_allclose(found[0], np.concatenate(wanted), atol=1e-4)


def test_processors_change_the_answer_as_their_statistics_say(policy):
    box = from_policy(policy, *processors(policy))
    frames = pictures(2)
    inside = box.actions(frames, POSE, units="normalised")
    outside = box.actions(frames, POSE)
    if box.executed:  # Diffusion's actions are scaled from [-1, 1] to [-1, 3],
        np.testing.assert_allclose(outside, 2.0 * inside + 1.0, atol=1e-4)
    else:  # ACT's by mean and standard deviation.
        np.testing.assert_allclose(outside, 0.25 * inside + 0.5, atol=1e-5)
    bare = from_policy(policy).actions(frames, POSE)
    assert np.abs(bare - inside).max() > 1e-3


def test_a_map_has_no_floor_where_noise_is_shared_and_one_where_it_is_not(diffusion):
    frames, before = one(pictures(1)), processors(diffusion)
    shared = from_policy(diffusion, *before).saliency(frames, POSE, config=ISS)
    own = from_policy(diffusion, *before, seed=None).saliency(
        frames, POSE, config=ISS, baseline_calls=8
    )
    assert float(shared.floor) == 0.0 and float(own.floor) > 10 * float(shared.effects.mean())
    assert np.asarray(shared.effects).min() >= 0
    several = from_policy(diffusion, *before).saliency(
        frames, POSE, config=ISSConfig(num_masks=20, micro_batch=8, noise_draws=2)
    )
    assert np.isfinite(np.asarray(several.cells)).all()


def test_gradients_modes_and_generators_are_left_as_they_were(policy):
    torch = imported("torch")
    policy.train()
    torch.manual_seed(5)
    wanted = torch.randn(2)
    torch.manual_seed(5)
    from_policy(policy, *processors(policy)).actions(pictures(1), POSE)
    assert policy.training and torch.equal(torch.randn(2), wanted)
    assert all(tensor.grad is None for tensor in policy.parameters())


def test_a_folder_that_lerobot_wrote_is_the_policy_that_was_saved(policy, tmp_path):
    before, after = processors(policy)
    for part in (policy, before, after):
        part.save_pretrained(tmp_path)
    loaded = from_pretrained(tmp_path, device="cpu")
    assert list(loaded.cameras) == list(CAMERAS)
    frames = pictures(2)
    np.testing.assert_allclose(
        loaded.actions(frames, POSE),
        from_policy(policy, before, after).actions(frames, POSE),
        atol=1e-5,
    )


# What the sample's front camera is given: a lamp, and the arm goes as far as it is bright.
LAMP = np.s_[8:24, 40:56]


def lit(rng, frames, rows):
    """Frames of the sample with lamps of random brightness, and that brightness."""
    levels = rng.uniform(0, 1, rows).astype(np.float32)
    chosen = {c: own[rng.integers(0, len(own), rows)].copy() for c, own in frames.items()}
    chosen["front"][:, *LAMP] = (255 * levels)[:, None, None, None].astype(np.uint8)
    return chosen, levels


def sample():
    """The pictures of a dataset that LeRobot wrote, in the policy's sizes."""
    dataset = open_dataset("tests/samples/lerobot/v30_new_video")
    read = [dataset.read(number) for number in range(len(dataset))]
    front = np.concatenate([episode.images["front"] for episode in read])
    wrist = np.concatenate([episode.images["wrist"] for episode in read])
    padded = np.zeros((len(wrist), *CAMERAS["wrist"], 3), np.uint8)
    padded[:, :40, :40] = wrist
    return {"front": front, "wrist": padded}


def fitted(policy, frames, rows=192):
    """The last layer by least squares, so that every action is the lamp's brightness.

    Returns the share of the brightness's variance that is left unexplained in frames not fitted to.
    """
    torch = imported("torch")
    box = from_policy(policy, *processors(policy))
    rng = np.random.default_rng(0)
    seen = []
    head = policy.model.action_head
    hook = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].cpu()))
    chosen, levels = lit(rng, frames, rows)
    for start in range(0, rows, 16):
        pose = POSE + rng.normal(0, 0.1, STATE).astype(np.float32)
        box.actions({c: own[start : start + 16] for c, own in chosen.items()}, pose, "push")
    hook.remove()
    inner = torch.cat(seen).double().numpy()  # [rows, 4, width]
    width, used = inner.shape[-1], rows * 3 // 4
    columns = np.concatenate([inner, np.ones((rows, 4, 1))], -1)
    goal = np.repeat((levels[:, None].astype(np.float64) - 0.5) / 0.25, 4, 1)
    known, wanted = columns[:used].reshape(-1, width + 1), goal[:used].reshape(-1)
    found = np.linalg.solve(known.T @ known + 1e-3 * np.eye(width + 1), known.T @ wanted)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(np.repeat(found[None, :-1], len(head.weight), 0)))
        head.bias.fill_(found[-1])
    return float(np.var(columns[used:] @ found - goal[used:]) / np.var(goal[used:]))


def test_players_and_maps_find_the_cue_that_an_act_was_fitted_to():
    policy, frames = small_act(dim_model=128, n_heads=4), sample()
    assert fitted(policy, frames) < 0.05
    box = from_policy(policy, *processors(policy))
    rng = np.random.default_rng(1)
    here, _ = lit(rng, frames, 1)
    donors, _ = lit(rng, frames, 8)
    labels = {camera: np.zeros(size, np.int32) for camera, size in CAMERAS.items()}
    labels["front"][LAMP] = 1
    labels["wrist"][:] = 2
    players = from_instances(
        {camera: jnp.asarray(own) for camera, own in labels.items()},
        {0: "room", 1: "lamp", 2: "wrist camera"},
    )
    found = box.player_effects(
        one(here),
        POSE,
        "push",
        Background({camera: jnp.asarray(own) for camera, own in donors.items()}),
        players=players,
        states=POSE + rng.normal(0, 0.1, (6, STATE)).astype(np.float32),
        config=EffectsConfig(draws=6),
    )
    share = dict(zip(found.names, np.asarray(found.share).tolist(), strict=True))
    assert share["lamp"] > 0.7, found.sentence()
    assert float(found.beside["state"].mean()) < float(found.effects[1])
    # A lamp amid a blurred room is seen by the map, too: its hottest cell lies on the lamp.
    bright = {camera: own[0].copy() for camera, own in here.items()}
    bright["front"][LAMP] = 255
    sal = box.saliency(bright, POSE, "push", config=ISSConfig(num_masks=60, micro_batch=20))
    row, column = np.unravel_index(np.argmax(np.asarray(sal.maps["front"])), CAMERAS["front"])
    assert 4 <= row < 28 and 34 <= column < 62
