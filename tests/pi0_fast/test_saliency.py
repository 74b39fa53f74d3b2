"""Maps of a π0-FAST: the KL of its own action tokens, of masked frames by hand."""

import types

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fast_policy import PARAMS, PROMPT, SAMPLING, SIZE, SIZES, TOKENS, observation

import iss_jax
from iss_jax import ISSConfig
from iss_jax.interventions import blend, blur
from iss_jax.masks import sample_masks, upsample
from iss_jax.pi0_fast import model
from iss_jax.pi0_fast.observation import FAST_VIEWS, fast_inputs
from iss_jax.sampling import Sampling

BITS = sample_masks(jax.random.key(3), 3, len(FAST_VIEWS))


def run(obs=None, **options):
    given = {"masks": BITS, "config": ISSConfig(num_masks=3), "sampling": SAMPLING} | options
    return iss_jax.saliency(PARAMS, observation() if obs is None else obs, **given)


def prefix(images):
    inputs = fast_inputs(observation(images=images), SIZES.vocab)
    return model.prefill(PARAMS, model.embed_inputs(PARAMS, *inputs))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_effects_are_the_kl_of_the_greedy_answers_tokens(reduction):
    found = run(config=ISSConfig(num_masks=3, reduction=reduction))
    obs = observation()
    answer = model.decode(PARAMS, prefix(obs.images), TOKENS)
    counted = np.asarray(model.answered(answer))
    np.testing.assert_array_equal(found.actions[..., 0], np.where(counted, answer, -1))
    wanted = model.answer_logits(PARAMS, prefix(obs.images), answer)
    for number in range(len(BITS)):
        masked = {}
        for index, view in enumerate(FAST_VIEWS):
            soft = upsample(BITS[number, index][None].astype(jnp.float32), (SIZE, SIZE))[0]
            masked[view] = jnp.stack(
                [blend(one, blur(one), soft[None])[0] for one in obs.images[view]]
            )
        given = model.answer_logits(PARAMS, prefix(masked), answer)
        kl = (np.asarray(model.token_kl(wanted, given)) * counted).sum(1)
        kl = kl / counted.sum(1) if reduction == "mean" else kl
        np.testing.assert_allclose(found.effects[:, number], kl, rtol=2e-3, atol=1e-7)
    assert float(found.effects.min()) > 1e-5 and found.unit.startswith("KL of action tokens")
    assert set(found.maps) == set(FAST_VIEWS)


def test_jit_and_devices_change_nothing_but_rounding():
    found = run()
    inside = jax.jit(lambda obs: run(types.SimpleNamespace(**obs)))(vars(observation()))
    np.testing.assert_allclose(inside.effects, found.effects, rtol=1e-3, atol=1e-7)
    split = run(mesh=iss_jax.device_mesh(devices=jax.devices()[:2]))
    np.testing.assert_allclose(split.effects, found.effects, rtol=1e-3, atol=1e-7)


def test_gradients_agree_with_differences():
    """Of the effect of a soft mask, by the roots whose squares are summed."""
    found = run(config=ISSConfig(num_masks=3, estimator="gradient"))
    assert bool(jnp.isfinite(found.gradients).all())
    assert float(jnp.abs(found.gradients).max()) > 1e-5


def test_an_answer_in_the_prompt_is_cut_off():
    """openpi's training batches hold the actions that are to be predicted."""
    plain = observation()
    causal = plain.token_ar_mask.at[:, 12:16].set(1)
    mask = plain.tokenized_prompt_mask | (causal == 1)
    found = run(observation(token_ar_mask=causal, tokenized_prompt_mask=mask))
    np.testing.assert_allclose(found.effects, run(plain).effects, rtol=1e-3, atol=1e-7)
    del plain.token_ar_mask
    np.testing.assert_allclose(run(plain).effects, run().effects, rtol=1e-5)


def test_the_golden_model_is_explained():
    """Of openpi's own parameters, its views and its prompt."""
    golden, obs = goldens.arrays("fast_a"), goldens.arrays("obs")
    views = [name for name in obs if name.startswith("image/")]
    given = types.SimpleNamespace(
        images={name[6:]: jnp.asarray(obs[name][:1]) for name in views},
        image_masks={name[6:]: jnp.asarray(obs[f"image_mask/{name[6:]}"][:1]) for name in views},
        state=jnp.zeros((1, 7), jnp.float32),
        tokenized_prompt=jnp.asarray(golden["prompt"][:1]),
        tokenized_prompt_mask=jnp.asarray(golden["decode_prompt_mask"][:1]),
    )
    found = iss_jax.saliency(
        goldens.raw_params("fast_a"),
        given,
        config=ISSConfig(num_masks=2),
        sampling=Sampling(answer_tokens=12),
    )
    np.testing.assert_array_equal(found.actions[0, :, 0], golden["decoded"][0])
    assert float(found.effects.min()) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": jnp.zeros((2, 3, 8))}, "neither flow noise nor chunks"),
        ({"config": ISSConfig(num_masks=3, action_dims=7)}, "of whole answers, .*wanted None"),
        ({"obs": observation(images={})}, "one view at least wanted"),
        ({"config": ISSConfig(num_masks=3, horizon=2)}, "of whole answers"),
        ({"config": ISSConfig(num_masks=3, noise_draws=2)}, "a π0-FAST draws no noise"),
        ({"obs": observation(tokenized_prompt=PROMPT.astype(jnp.float32))}, "integers wanted"),
        ({"obs": observation(tokenized_prompt_mask=PROMPT < 0)}, "row 0 has no token"),
        ({"obs": observation(image_masks={"side": jnp.ones(2, bool)})}, "names views"),
        ({"obs": observation(image_masks={FAST_VIEWS[0]: jnp.ones(3, bool)})}, r"wanted \[2\]"),
        ({"obs": observation(tokenized_prompt=PROMPT + 40)}, "tokenized_prompt"),
        ({"obs": observation(token_ar_mask=jnp.zeros((2, 3), jnp.int32))}, "obs.token_ar_mask"),
    ],
    ids=[
        "noise",
        "dimensions",
        "views",
        "horizon",
        "draws",
        "floats",
        "empty",
        "unknown",
        "rows",
        "tokens",
        "causal",
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_logits_that_are_not_finite_are_no_zero():
    llm = PARAMS["PaliGemma"]["llm"]
    broken = {"scale": llm["final_norm"]["scale"].at[0].set(jnp.nan)}
    params = {"PaliGemma": {**PARAMS["PaliGemma"], "llm": {**llm, "final_norm": broken}}}
    config = ISSConfig(num_masks=3)
    found = iss_jax.saliency(params, observation(), masks=BITS, config=config, sampling=SAMPLING)
    assert np.isnan(found.effects).all()


def test_as_many_masks_as_an_error_takes_on_two_views():
    obs = observation()
    kept = dict(list(obs.images.items())[:2])
    found = iss_jax.saliency_until(
        PARAMS,
        observation(images=kept, image_masks={}),
        target_stderr=0.1,
        most_masks=16,
        config=ISSConfig(num_masks=4),
        sampling=SAMPLING,
    )
    assert found.saliency.cells.shape[1] == 2
