"""Image tokens as a method of the trained bench: what it runs, and that it is the library's own."""

import jax
import numpy as np
import pytest
from tiny_policy import IMAGE_SIZE, PROMPT, write_checkpoint

from experiments.distilled.measured import HORIZON
from experiments.distilled.tokens import (
    GRADIENT,
    MASKED,
    PREDICTED,
    PROBES,
    SINGLE,
    by_tokens,
    of_patches,
    predicted,
)
from iss_jax import Sampling
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import preprocess
from iss_jax.policies.restored import load_policy
from iss_jax.tokens import mean_embeddings, token_significance

VIEWS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")


@pytest.mark.parametrize("runs", [10, 30, 100])
def test_a_prediction_keeps_to_its_budget(runs):
    top, drawn = predicted(runs)
    # Baseline, the run behind the gradients, the gradients, and tokens.
    assert runs - 1 < 2 + PROBES * GRADIENT + top + drawn <= runs
    assert drawn >= 2


def test_too_few_runs_are_refused():
    with pytest.raises(ValueError, match="tokens: 8 runs given, 9 wanted"):
        predicted(8)


def test_a_token_is_the_patch_that_it_stands_for():
    scores = np.arange(12.0)
    found = of_patches(scores, views=3, per_view=4, size=6)
    assert found.labels is not None and found.labels.shape == (3, 6, 6)
    # The last view's lower left patch is its third token.
    np.testing.assert_array_equal(found.labels[2, 3:, :3], 10)
    np.testing.assert_array_equal(found.pixels, found.labels)
    assert np.bincount(found.labels.ravel()).tolist() == [9] * 12


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    policy = load_policy(write_checkpoint(tmp_path_factory.mktemp("tiny")))
    rng = np.random.default_rng(0)
    images = {v: rng.integers(0, 256, (1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8) for v in VIEWS}
    obs = make_observation(
        images,
        np.zeros((1, 8)),
        [PROMPT],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=32,
        cameras={view: view for view in VIEWS},
    )
    obs = preprocess(obs, policy.image_size)
    means = mean_embeddings(policy.params, [obs])
    key, sampling = jax.random.key(3), Sampling(num_steps=1)
    exact = token_significance(
        policy.params, obs, means, key=key, action_horizon=HORIZON, sampling=sampling
    )
    scores = np.concatenate([np.asarray(exact.views[view])[0] for view in VIEWS])
    return scores, list(by_tokens(policy, obs, means, key, sampling, (10, 40)))


def test_single_tokens_score_as_the_library_says(found):
    scores, answers = found
    by_name = {(name, runs): own for name, runs, own in answers}
    assert set(by_name) == {(SINGLE, 40), (PREDICTED, 10), (MASKED, 10), (MASKED, 40)}
    assert scores.max() > 3 * scores.min() > 0
    np.testing.assert_allclose(by_name[SINGLE, 40].effects, scores, rtol=1e-4)


def test_tokens_that_are_run_keep_their_scores_and_others_are_predicted(found):
    scores, answers = found
    (guessed,) = [own.effects for name, _, own in answers if name == PREDICTED]
    same = np.isclose(guessed, scores, rtol=1e-4)
    assert sum(predicted(10)) <= same.sum() < len(scores)


def test_masks_give_a_map_of_the_policys_size(found):
    for name, _, own in found[1]:
        if name == MASKED:
            assert own.effects is None and own.pixels.shape == (3, IMAGE_SIZE, IMAGE_SIZE)
            assert np.ptp(own.pixels) > 0
