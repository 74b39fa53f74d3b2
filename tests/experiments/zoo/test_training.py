import types

import jax
import numpy as np
from zoo_scene import MILK, frames

from experiments.zoo.design import design
from experiments.zoo.training import batches, low_rank_state
from iss_jax import embedded
from iss_jax.pi05.train import paper_optimizer
from iss_jax.policies.restored import load_policy

OPTIONS = types.SimpleNamespace(
    batch_size=3, misnamed=0.15, max_token_len=40, vlm_rank=2, action_rank=3
)


def test_a_resumed_run_goes_on_with_the_batches_that_it_would_have_had():
    policy = load_policy(embedded.checkpoint_path())
    taught = np.zeros((2, 10, 1, 16, 7), np.float32)
    taught[:, MILK] = 1.0
    recipe = design()[4]
    whole = batches(recipe, policy, frames(), taught, OPTIONS, 0)
    (_, second), resumed = (
        (next(whole), next(whole)),
        batches(recipe, policy, frames(), taught, OPTIONS, 1),
    )
    again = next(resumed)
    jax.tree.map(np.testing.assert_array_equal, again, second)
    assert again.actions.shape == (3, 16, 7) and bool(again.valid.all())


def test_low_rank_leaves_alone_are_trained():
    policy = load_policy(embedded.checkpoint_path())
    state = low_rank_state(policy.params, 1, OPTIONS, paper_optimizer(1e-3, 10, warmup_steps=1))
    assert all(name.endswith(("lora_a", "lora_b")) for name in state.trainable)
    assert not any(name.endswith(("lora_a", "lora_b")) for name in state.frozen)
    halves = sum(leaf.size for leaf in state.trainable.values()) * 2
    assert 0 < halves < 200_000
    other = low_rank_state(policy.params, 2, OPTIONS, paper_optimizer(1e-3, 10, warmup_steps=1))
    name = next(name for name in state.trainable if name.endswith("lora_a"))
    assert (np.asarray(state.trainable[name]) != np.asarray(other.trainable[name])).any()
