"""openpi's own PyTorch classes: their actions equal ours on the tree that is made of theirs.

Needs a checkout of openpi (`OPENPI_PATH`), torch, and `transformers` 4.53.2 with the files of
openpi's `transformers_replace` over it; skipped, with the reason, where one is absent. The image
tower is a small one: openpi's code leaves no other way to a small model.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from real_openpi import as_openpi_runs, imported

from iss_jax.pi05 import model
from iss_jax.pi05.from_pytorch import from_pytorch
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import sizes_of
from iss_jax.sampling import Sampling

pytestmark = [pytest.mark.openpi, pytest.mark.filterwarnings("ignore")]

HORIZON, STEPS = 6, 4
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 64,
}


@pytest.fixture(scope="module", autouse=True)
def jax_as_they_use_it():
    with as_openpi_runs():
        yield


def made(pi05):
    """Their model in float32 with random numbers in every tensor, and the tower small."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers.models.siglip.check", reason="transformers is not patched")
    theirs = imported("openpi.models_pytorch.gemma_pytorch")
    networks = imported("openpi.models_pytorch.pi0_pytorch")
    configs = imported("openpi.models.pi0_config")
    real = theirs.PaliGemmaForConditionalGeneration

    def small(config):
        for name, value in TOWER.items():
            setattr(config.vision_config, name, value)
        return real(config=config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "PaliGemmaForConditionalGeneration", small)
        patch.setattr(torch, "compile", lambda function, **_: function)
        torch.manual_seed(0)
        found = networks.PI0Pytorch(
            configs.Pi0Config(
                pi05=pi05,
                paligemma_variant="dummy",
                action_expert_variant="dummy",
                action_horizon=HORIZON,
                max_token_len=12,
                dtype="float32",
            )
        )
    for tensor in found.parameters():
        tensor.data.normal_(0, 0.1)
    return found.eval()


@pytest.mark.parametrize("pi05", [True, False], ids=["pi05", "pi0"])
def test_their_actions_are_ours_on_the_converted_tree(pi05, record_property):
    theirs = made(pi05)
    import torch

    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    params = from_pytorch(tensors, image_heads=TOWER["num_attention_heads"])
    assert sizes_of(params).reads_state is not pi05
    rng = np.random.default_rng(1)
    images = {
        view: rng.uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
        for view in ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
    }
    masks = {view: np.array([True, view != "right_wrist_0_rgb"]) for view in images}
    arrays = {
        "state": rng.normal(size=(2, 32)).astype(np.float32),
        "tokenized_prompt": rng.integers(1, 250, (2, 12)),
        "tokenized_prompt_mask": np.arange(12)[None] < np.array([[9], [5]]),
    }
    noise = rng.normal(size=(2, HORIZON, 32)).astype(np.float32)
    seen = SimpleNamespace(
        images={view: torch.from_numpy(image).movedim(-1, 1) for view, image in images.items()},
        image_masks={view: torch.from_numpy(mask) for view, mask in masks.items()},
        token_ar_mask=None,
        token_loss_mask=None,
        **{name: torch.from_numpy(array) for name, array in arrays.items()},
    )
    wanted = theirs.sample_actions("cpu", seen, torch.from_numpy(noise), num_steps=STEPS).numpy()
    obs = Observation(
        images={view: jnp.asarray(image) for view, image in images.items()},
        image_masks={view: jnp.asarray(mask) for view, mask in masks.items()},
        **{name: jnp.asarray(array) for name, array in arrays.items()},
    )
    assert list(images) == list(VIEWS)
    run = jax.jit(model.sample_actions, static_argnums=3)
    found = run(params, preprocess(obs), jnp.asarray(noise), Sampling(STEPS))
    assert np.abs(wanted - noise).max() > 0.1
    # Their sampler ends in float32, as ours does; what differs is the order of the sums.
    np.testing.assert_allclose(np.asarray(found), wanted, atol=1e-4)
    record_property("largest difference of the actions", float(np.abs(found - wanted).max()))
