"""What the configurations of `robustness`, `fidelity` and `perturbation_grid` share."""

import ml_collections
from ml_collections import config_dict

VARIANTS = ("embedded", "smoke", "paper")


def base_config(name: str, variant: str) -> ml_collections.ConfigDict:
    """Policy, frames, explanations and intervals of one variant.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} given, one of {VARIANTS} wanted")
    config = ml_collections.ConfigDict()
    config.name = f"{name}-{variant}"
    config.quiet = False

    # "embedded" is the package's own data.
    config.checkpoint = "embedded"
    config.dataset = "embedded"
    # The checkpoint's own when empty, else PaliGemma's where openpi caches it.
    config.tokenizer = ""
    config.dtype = "float32"
    # View of the policy to camera of the dataset; an empty camera leaves the view out.
    config.cameras = ml_collections.ConfigDict(
        {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"}
    )
    config.discrete_state_input = True
    config.max_token_len = 40
    config.action_horizon = 16
    config.num_steps = 10

    # The episodes' metadata that says their seed, empty where they have none; which seeds (all
    # when empty); the first so many tasks (all when 0).
    config.seed_key = "seed"
    config.seeds = ()
    config.num_tasks = 0
    # Evenly spread over each episode; all of them when 0.
    config.frames_per_episode = 1
    config.stride = 1

    # Pinned, so that results do not follow the library's default. The paper's own estimator is
    # --config.iss.design=bernoulli --config.iss.estimator=fixed (`ISSConfig.paper()`).
    config.iss = ml_collections.ConfigDict(
        {
            "num_masks": 100,
            "keep_prob": 0.3,
            "grid": (7, 7),
            "design": "balanced",
            "estimator": "centred",
            "blur_sigma": 10.0,
            "micro_batch": config_dict.placeholder(int),
            "noise_draws": 1,
            # The dimensions that the normalisation statistics cover when None.
            "action_dims": config_dict.placeholder(int),
            "horizon": config_dict.placeholder(int),
            "reduction": "mean",
        }
    )
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
