"""What the configurations of `robustness`, `fidelity` and `perturbation_grid` share."""

import ml_collections

from configs.parts.policy import iss, set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def base_config(name: str, variant: str) -> ml_collections.ConfigDict:
    """Policy, frames, explanations and intervals of one variant.

    Raises:
        ValueError: an unknown variant.
    """
    config = ml_collections.ConfigDict()
    config.name = f"{name}-{chosen(variant, VARIANTS)}"
    config.quiet = False

    set_policy(config, max_token_len=40)

    # The episodes' metadata that says their seed, empty where they have none; which seeds (all
    # when empty); the first so many tasks (all when 0).
    config.seed_key = "seed"
    config.seeds = ()
    config.num_tasks = 0
    # Evenly spread over each episode; all of them when 0.
    config.frames_per_episode = 1
    config.stride = 1

    config.iss = iss()
    # Of `experiments.perturbed.maps.METHODS`. The paper does not say whether a frame and its
    # perturbed copy share their masks: `iss` shares them, `iss_new_masks` does not.
    config.methods = ("iss", "iss_new_masks", "attention", "norm", "gradient", "random")
    config.methods = (*config.methods, "random_same")
    # Backward passes of the input gradient.
    config.gradient_probes = 4
    # k of NMR@k.
    config.percent = 10.0
    # Of perturbations, masks and flow noise.
    config.seed = 0

    config.confidence = 0.95
    config.resamples = 4999
    config.permutations = 9999

    if variant == "smoke":
        config.num_tasks = 3
        config.num_steps = 2
        config.seeds = (0, 13)
        config.iss.num_masks = 10
        config.gradient_probes = 1
        config.resamples, config.permutations = 99, 99
    if variant == "paper":
        config.checkpoint, config.dataset = "", ""
        config.dtype = "bfloat16"
        config.max_token_len = 200
        config.seed_key = ""
        config.frames_per_episode = 0
        config.stride = 10
        config.iss.design, config.iss.estimator = "bernoulli", "fixed"
    return config
