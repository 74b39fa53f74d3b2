import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from iss_jax import attribution, device_mesh, sharding
from iss_jax.attribution import attribute
from iss_jax.config import ISSConfig

COLLECTIVE = re.compile(
    r"(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter|collective-broadcast)"
    r"(?:-start)?\("
)

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
    assert sharding.device_mesh().shape == {"masks": 8}
    assert sharding.device_mesh(devices=jax.devices()[:2]).shape == {"masks": 2}


def equal(split, alone):
    assert split.effects.shape == alone.effects.shape
    np.testing.assert_allclose(split.effects, alone.effects, rtol=1e-5)
    np.testing.assert_allclose(split.cells, alone.cells, rtol=1e-5)
    np.testing.assert_allclose(split.stderr, alone.stderr, rtol=1e-4)
    np.testing.assert_allclose(split.maps["front"], alone.maps["front"], rtol=1e-5)
    np.testing.assert_allclose(split.actions, alone.actions, rtol=1e-5)


@pytest.mark.parametrize(("num_masks", "devices"), [(24, 1), (24, 2), (24, 4), (24, 8), (21, 8)])
def test_devices_change_nothing_but_rounding(num_masks, devices):
    """21 masks do not divide over 8 devices: the rest is filled up and dropped again."""
    equal(run(num_masks, sharding.device_mesh(devices=jax.devices()[:devices])), run(num_masks))


@pytest.mark.parametrize("sizes", [{"frames": 8}, {"frames": 4, "masks": 2}, {"frames": 2}])
def test_an_episode_is_dealt_to_devices_frame_by_frame(sizes):
    """Five frames do not divide over 2, 4 or 8 devices; one view lacks part of its picture."""
    images = {"front": RNG.random((5, 14, 14, 3), np.float32)}
    valid = {"front": np.arange(14)[None, :, None] < np.array([14, 10, 14, 8, 6])[:, None, None]}
    config = ISSConfig(num_masks=10, micro_batch=3)
    bound = jax.tree_util.Partial(policy, WEIGHT)
    alone, split = (
        attribute(bound, images, config=config, valid=valid, mesh=mesh)
        for mesh in (None, device_mesh(**sizes))
    )
    assert alone.effects.shape == (5, 10)
    equal(split, alone)


def test_a_mesh_of_frames_alone_will_do():
    equal(run(8, Mesh(np.asarray(jax.devices()[:2]), ("frames",))), run(8))


@pytest.mark.parametrize(
    ("sizes", "estimator"),
    [({}, "centred"), ({"frames": 2}, "gradient"), ({"frames": 8}, "centred")],
)
def test_the_only_collective_is_the_final_gather(sizes, estimator):
    """On the compiled program's text: gathers of results, none of them inside a loop."""
    mesh = device_mesh(**sizes)
    bound = jax.tree_util.Partial(policy, WEIGHT)
    config = ISSConfig(num_masks=16, micro_batch=2, estimator=estimator)
    masks = attribution.draw_masks(jax.random.key(0), 1, config)
    arguments = sharding.replicate((bound, IMAGES, masks, None, None, None), mesh)
    text = attribution._attribute.lower(*arguments, config, mesh).compile().as_text()
    computations = re.split(r"\n(?=\S)", text)
    (entry,) = (part for part in computations if part.startswith("ENTRY"))
    assert " while(" in entry
    kinds = COLLECTIVE.findall(text)
    # Effects and gradients over masks and frames; the baseline over frames, where they are split.
    assert kinds and set(kinds) == {"all-gather"}
    assert len(COLLECTIVE.findall(entry)) == len(kinds)


def test_every_device_holds_its_own_share():
    seen = []

    def local(shared, examples, masks):
        seen.append((shared.shape, examples.shape, masks.shape))
        return jnp.zeros((*examples.shape, masks.shape[0])), jnp.zeros((*examples.shape, 1, 1))

    split = jax.jit(sharding.split_runs(local, device_mesh(frames=2)))
    effects, actions = split(jnp.ones(3), jnp.ones(5), jnp.ones((10, 1, 7, 7), bool))
    assert set(seen) == {((3,), (3,), (3, 1, 7, 7))}
    assert effects.shape == (5, 10) and actions.shape == (5, 1, 1)


def test_meshes():
    mesh = device_mesh(frames=2, params=2)
    assert dict(mesh.shape) == {"frames": 2, "masks": 2, "params": 2}
    assert device_mesh(params=8).shape == {"masks": 1, "params": 8}
    assert device_mesh(masks=2, devices=jax.devices()[:2]).shape == {"masks": 2}
    for sizes in ({"frames": 3}, {"masks": 2}, {"params": 16}, {"frames": 0, "masks": 8}):
        with pytest.raises(ValueError, match="devices, got 8"):
            device_mesh(**sizes)


def test_the_fsdp_rule():
    """The longest even dimension, never the one that layers are stacked along."""
    rule = sharding.fsdp(device_mesh(params=4), small=16)
    specs = {
        (8, 6): P("params", None),
        (4, 12): P(None, "params"),
        (400, 6, 12): P(None, None, "params"),
        (18, 8, 4, 2): P(None, "params", None, None),
        (400, 6, 10): P(),
        (2, 4): P(),
        (16,): P("params"),
        (): P(),
    }
    assert {shape: rule("a/b", shape).spec for shape in specs} == specs
    with pytest.raises(ValueError, match=r"'params', got axes \('masks',\)"):
        sharding.fsdp(device_mesh())


def test_parameters_may_be_sharded_over_a_second_axis():
    mesh = Mesh(np.asarray(jax.devices()).reshape(4, 2), ("masks", "model"))
    weight = jax.device_put(WEIGHT, NamedSharding(mesh, P(None, "model")))
    split = run(12, mesh, weight)
    np.testing.assert_allclose(split.effects, run(12).effects, rtol=1e-5)


def test_what_lies_on_one_device_is_brought_to_the_mesh():
    """Committed arrays, such as restored parameters, would otherwise be refused by the program."""
    device = jax.devices()[3]
    weight, images = jax.device_put((WEIGHT, IMAGES), device)
    split = run(9, sharding.device_mesh(devices=jax.devices()[:2]), weight, images)
    np.testing.assert_allclose(split.effects, run(9).effects, rtol=1e-5)


def test_gradients_pass_through_the_devices():
    def loss(weight, mesh):
        return run(10, mesh, weight).cells.sum()

    alone = jax.grad(loss)(WEIGHT, None)
    split = jax.grad(loss)(WEIGHT, sharding.device_mesh())
    np.testing.assert_allclose(split, alone, rtol=1e-3, atol=1e-5)


def test_replicate_moves_only_what_lies_elsewhere():
    mesh = sharding.device_mesh(devices=jax.devices()[:2])
    split = jax.device_put(jnp.arange(4.0), NamedSharding(mesh, P("masks")))
    tree = sharding.replicate({"split": split, "one": jnp.ones(3), "host": np.ones(2)}, mesh)
    assert tree["split"] is split
    assert tree["one"].sharding.is_fully_replicated and len(tree["one"].devices()) == 2
    assert len(tree["host"].devices()) == 2


def test_a_mesh_without_the_mask_axis_is_named():
    mesh = Mesh(np.asarray(jax.devices()), ("data",))
    with pytest.raises(ValueError, match=r"'masks' or 'frames', got axes \('data',\)"):
        run(8, mesh)
