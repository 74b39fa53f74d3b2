"""LeRobot's own π0.5 and π0: black boxes that share their noise, and trees that convert.

Needs LeRobot and the `transformers` that its π policies want (4.53.2 with openpi's files over it,
for 0.4); skipped, with the reason, elsewhere. Towers and experts are small, weights are random.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from real_lerobot import STATE, features, imported, pictures

from iss_jax import ISSConfig
from iss_jax.pi05 import model
from iss_jax.pi05.from_pytorch import from_pytorch
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.lerobot import from_policy
from iss_jax.sampling import Sampling

pytestmark = [pytest.mark.lerobot, pytest.mark.filterwarnings("ignore")]

HORIZON, STEPS = 6, 4
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 64,
}
EXPERT = {
    "width": 64,
    "depth": 3,
    "mlp_dim": 96,
    "num_heads": 4,
    "num_kv_heads": 1,
    "head_dim": 16,
}
RNG = np.random.default_rng(0)
TOKENS, COUNT = RNG.integers(1, 250, (1, 12)), np.arange(12)[None] < 9


@pytest.fixture(params=["pi05", "pi0"])
def policy(request, monkeypatch):
    pytest.importorskip("transformers", reason="transformers is not installed")
    torch = imported("torch")
    theirs = imported(f"lerobot.policies.{request.param}.modeling_{request.param}")
    configs = imported(f"lerobot.policies.{request.param}.configuration_{request.param}")
    real = theirs.PaliGemmaForConditionalGeneration

    def small(config):
        for name, value in TOWER.items():
            setattr(config.vision_config, name, value)
        return real(config=config)

    monkeypatch.setattr(theirs, "PaliGemmaForConditionalGeneration", small)
    monkeypatch.setattr(theirs, "get_gemma_config", lambda _: theirs.GemmaConfig(**EXPERT))
    kind = request.param.upper()
    inputs, outputs = features()
    config = getattr(configs, f"{kind}Config")(
        input_features=inputs,
        output_features=outputs,
        device="cpu",
        dtype="float32",
        chunk_size=HORIZON,
        n_action_steps=HORIZON,
        num_inference_steps=STEPS,
    )
    torch.manual_seed(0)
    try:
        made = getattr(theirs, f"{kind}Policy")(config)
    except (ValueError, TypeError) as error:
        pytest.skip(f"LeRobot's {kind} cannot be made here: {error}")
    for tensor in made.parameters():
        tensor.data.normal_(0, 0.1)
    return made.eval()


def with_tokens(batch):
    """What their tokenizer, which is not at hand, would add."""
    torch, count = imported("torch"), len(batch["task"])
    return batch | {
        "observation.language.tokens": torch.from_numpy(np.repeat(TOKENS, count, 0)),
        "observation.language.attention_mask": torch.from_numpy(np.repeat(COUNT, count, 0)),
    }


def test_all_copies_share_one_flow_noise(policy):
    box = from_policy(policy, with_tokens)
    assert not box.executed
    frames, state = pictures(2), np.linspace(-1, 1, STATE).astype(np.float32)
    found = box.actions(frames, state)
    same = {camera: np.repeat(own[:1], 3, 0) for camera, own in frames.items()}
    again = box.actions(same, state)
    assert found.shape == (2, HORIZON, 7) and np.abs(found[1] - found[0]).max() > 1e-3
    np.testing.assert_allclose(again, np.repeat(found[:1], 3, 0), atol=1e-5)
    other = box.actions(same, state, draw=1)
    assert np.abs(other - again).max() > 0.1
    sal = box.saliency(
        {camera: own[0] for camera, own in frames.items()}, state, config=ISSConfig(num_masks=6)
    )
    assert float(sal.floor) == 0.0 and float(sal.effects.min()) > 0


def test_the_converted_tree_gives_their_actions(policy, record_property):
    torch = imported("torch")
    tensors = {name: tensor.numpy() for name, tensor in policy.state_dict().items()}
    params = from_pytorch(tensors, image_heads=TOWER["num_attention_heads"])
    images = {
        view: RNG.uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32) for view in sorted(VIEWS)
    }
    noise = RNG.normal(size=(1, HORIZON, 32)).astype(np.float32)
    state = RNG.normal(size=(1, 32)).astype(np.float32)
    given = [
        [torch.from_numpy(image).movedim(-1, 1) for image in images.values()],
        [torch.ones(1, dtype=torch.bool)] * len(images),
        torch.from_numpy(TOKENS),
        torch.from_numpy(COUNT),
    ]
    if sizes_of(params).reads_state:
        given.append(torch.from_numpy(state))
    with torch.no_grad():
        wanted = policy.model.sample_actions(
            *given, noise=torch.from_numpy(noise), num_steps=STEPS
        ).numpy()
    obs = Observation(
        images={view: jnp.asarray(image) for view, image in images.items()},
        image_masks={view: jnp.ones(1, bool) for view in images},
        state=jnp.asarray(state),
        tokenized_prompt=jnp.asarray(TOKENS),
        tokenized_prompt_mask=jnp.asarray(COUNT),
    )
    run = jax.jit(model.sample_actions, static_argnums=3)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        found = np.asarray(run(params, preprocess(obs), jnp.asarray(noise), Sampling(STEPS)))
    assert np.abs(wanted - noise).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    record_property("largest difference of the actions", float(np.abs(found - wanted).max()))
