"""Keys that the benchmarks share: the policy and the observation."""

import ml_collections


def subject(name: str) -> ml_collections.ConfigDict:
    """Of `embedded`, or of a random model's name in `experiments.timing.subject`."""
    config = ml_collections.ConfigDict()
    # "embedded" is the package's own; "pi05" and "middle" are random weights; else a checkpoint.
    config.policy = name
    # Layers of a random model, 0 for its own.
    config.depth = 0
    config.dtype = "float32"
    config.dataset = "embedded"
    config.tokenizer = ""
    config.episode = 0
    config.frame = 0
    config.prompt_length = 200
    # Of random models.
    config.valid_tokens = 60
    config.present_views = 3
    config.action_horizon = 16
    return config
