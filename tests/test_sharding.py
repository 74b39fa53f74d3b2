import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from iss_jax import sharding
from iss_jax.attribution import ISSConfig, attribute

RNG = np.random.default_rng(0)
IMAGES = {"front": RNG.random((2, 14, 14, 3), np.float32)}
WEIGHT = (0.1 * RNG.normal(size=(14 * 14 * 3, 8))).astype(np.float32)


def policy(weight, images):
    rows = images["front"].reshape(-1, 14 * 14 * 3)
    return jnp.tanh(rows @ weight).reshape(-1, 2, 4)


def run(num_masks, mesh=None, weight=WEIGHT, images=IMAGES, noise=None):
    bound = jax.tree_util.Partial(policy, weight)
    config = ISSConfig(num_masks=num_masks, micro_batch=3)
    return attribute(bound, images, config=config, mesh=mesh, noise=noise)


def test_there_are_eight_devices_to_test_on():
    assert jax.device_count() == 8
    assert sharding.mask_mesh().shape == {"masks": 8}
    assert sharding.mask_mesh(jax.devices()[:2]).shape == {"masks": 2}


@pytest.mark.parametrize(("num_masks", "devices"), [(24, 8), (21, 8), (9, 2)])
def test_devices_change_nothing_but_rounding(num_masks, devices):
    """21 masks do not divide over 8 devices: the rest is filled up and dropped again."""
    alone = run(num_masks)
    split = run(num_masks, sharding.mask_mesh(jax.devices()[:devices]))
    assert split.effects.shape == (2, num_masks)
    np.testing.assert_allclose(split.effects, alone.effects, rtol=1e-5)
    np.testing.assert_allclose(split.cells, alone.cells, rtol=1e-5)
    np.testing.assert_allclose(split.maps["front"], alone.maps["front"], rtol=1e-5)
    np.testing.assert_allclose(split.actions, alone.actions, rtol=1e-5)


def test_every_device_holds_its_own_share_of_the_effects():
    seen = []

    def local(masks):
        seen.append(masks.shape)
        return jnp.zeros((1, masks.shape[0])), jnp.zeros((1, 1, 1))

    mesh = sharding.mask_mesh()
    split = jax.jit(sharding.split_masks(local, mesh))
    effects, _ = split(jnp.ones((20, 1, 7, 7), bool))
    assert set(seen) == {(3, 1, 7, 7)} and effects.shape == (1, 20)


def test_parameters_may_be_sharded_over_a_second_axis():
    mesh = Mesh(np.asarray(jax.devices()).reshape(4, 2), ("masks", "model"))
    weight = jax.device_put(WEIGHT, NamedSharding(mesh, P(None, "model")))
    split = run(12, mesh, weight)
    np.testing.assert_allclose(split.effects, run(12).effects, rtol=1e-5)


def test_what_lies_on_one_device_is_brought_to_the_mesh():
    """Committed arrays, such as restored parameters, would otherwise be refused by the program."""
    device = jax.devices()[3]
    weight, images = jax.device_put((WEIGHT, IMAGES), device)
    split = run(9, sharding.mask_mesh(jax.devices()[:2]), weight, images)
    np.testing.assert_allclose(split.effects, run(9).effects, rtol=1e-5)


def test_gradients_pass_through_the_devices():
    def loss(weight, mesh):
        return run(10, mesh, weight).cells.sum()

    alone = jax.grad(loss)(WEIGHT, None)
    split = jax.grad(loss)(WEIGHT, sharding.mask_mesh())
    np.testing.assert_allclose(split, alone, rtol=1e-3, atol=1e-5)


def test_replicate_moves_only_what_lies_elsewhere():
    mesh = sharding.mask_mesh(jax.devices()[:2])
    split = jax.device_put(jnp.arange(4.0), NamedSharding(mesh, P("masks")))
    tree = sharding.replicate({"split": split, "one": jnp.ones(3), "host": np.ones(2)}, mesh)
    assert tree["split"] is split
    assert tree["one"].sharding.is_fully_replicated and len(tree["one"].devices()) == 2
    assert len(tree["host"].devices()) == 2


def test_a_mesh_without_the_mask_axis_is_named():
    mesh = Mesh(np.asarray(jax.devices()), ("data",))
    with pytest.raises(ValueError, match=r"'masks', got axes \('data',\)"):
        run(8, mesh)
