"""libero_spatial: what instructions relate, arrangements of its scenes, rim grasps."""

import numpy as np
import pytest

from iss_jax.envs import demonstrations, libero, relations

pytestmark = pytest.mark.libero


@pytest.fixture(scope="module")
def env():
    """The bowl between the plate and the ramekin."""
    return libero.make("libero_spatial", 0, image_size=32)


def members(env):
    return {frozenset(env.objects[i] for i in g.members) for g in relations.groups_of(env)}


def test_what_the_instruction_relates_is_one_group(env):
    env.reset(0)
    assert relations.told_apart_by_place(env)
    assert members(env) == {
        frozenset({"akita_black_bowl_1", "plate_1", "glazed_rim_porcelain_ramekin_1"}),
        frozenset({"akita_black_bowl_2"}),
        frozenset({"cookies_1"}),
    }


@pytest.mark.parametrize(
    ("task", "related", "shift"),
    [
        (2, set(), 0.03),  # from table center
        (3, {"cookies_1"}, None),  # on the cookie box
        (7, set(), 0.02),  # on the stove
    ],
)
def test_other_relations(task, related, shift):
    env = libero.make("libero_spatial", task, image_size=16)
    env.reset(0)
    group = next(g for g in relations.groups_of(env) if env.objects.index(env.target) in g.members)
    assert {env.objects[i] for i in group.members} == {"akita_black_bowl_1", *related}
    assert group.shift == shift


def test_arranged_scenes_keep_the_relation(env):
    env.reset(0)
    names = ("akita_black_bowl_1", "plate_1", "glazed_rim_porcelain_ramekin_1")
    native = np.stack([env.object_position(name)[:2] for name in names])
    bowls = []
    for seed in range(4):
        env.reset(0, "scattered", seed)
        placed = np.stack([env.object_position(name)[:2] for name in names])
        moved = placed - native
        # Within the jitter, and what settling moves.
        np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=0.04)
        bowls.append(placed[0])
    assert np.ptp(np.stack(bowls), axis=0).max() > 0.05


def test_the_target_is_put_under_the_hand_or_nothing_moves(env):
    env.reset(0, "scattered", 1, settle_steps=0)
    before = env.simulator_state()
    assert not relations.put_target(env, np.array([0.6, 0.6]))
    np.testing.assert_array_equal(env.simulator_state(), before)
    bowl, plate = (env.object_position(n)[:2] for n in ("akita_black_bowl_1", "plate_1"))
    move = np.array([-0.003, -0.002])
    spot = bowl + move
    assert relations.put_target(env, spot)
    np.testing.assert_allclose(env.object_position("akita_black_bowl_1")[:2], spot, atol=1e-9)
    np.testing.assert_allclose(env.object_position("plate_1")[:2], plate + move)


def test_the_expert_puts_the_bowl_onto_the_plate(env):
    env.reset(30, "shuffled", 20_001)
    episode = demonstrations.record(env, rng=np.random.default_rng(0), frame_every=8)
    assert episode is not None and env.success()
