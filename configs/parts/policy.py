"""Keys of every command that explains a policy: the policy, the frames it is shown, ISS."""

from typing import Any

import ml_collections
from ml_collections import config_dict


def set_policy(
    config: ml_collections.ConfigDict,
    *,
    checkpoint: str = "embedded",
    dataset: str = "embedded",
    dtype: str = "float32",
    max_token_len: int = 200,
) -> None:
    """Sets the keys of `iss_jax.jobs.options.PolicyOptions`.

    Args:
        config: Of the command.
        checkpoint: A step's folder, or "embedded".
        dataset: Likewise; any format that is read.
        dtype: Of the parameters.
        max_token_len: Prompts are padded or cut to this.
    """
    # "embedded" is the package's own data; otherwise folders. Empty ones have to be given.
    config.checkpoint = checkpoint
    config.dataset = dataset
    # The checkpoint's own when empty, else PaliGemma's where openpi caches it.
    config.tokenizer = ""
    config.dtype = dtype
    # View of the policy to camera of the dataset; an empty camera leaves the view out.
    config.cameras = ml_collections.ConfigDict(
        {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"}
    )
    config.discrete_state_input = True
    # Frames mirrored left to right, as openpi's LIBERO policies were trained.
    config.mirror = False
    config.max_token_len = max_token_len
    config.action_horizon = 16
    config.num_steps = 10


def iss(num_masks: int = 100, **changes: Any) -> ml_collections.ConfigDict:
    """The key `iss`: one entry per attribute of `ISSConfig`.

    All are pinned, so that results do not follow the library's defaults. The paper's own estimator
    is `design=bernoulli`, `estimator=fixed` (`ISSConfig.paper()`).
    """
    return ml_collections.ConfigDict(
        {
            "num_masks": num_masks,
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
            # Of each of those dimensions, such as "(1.0, 1.0, 0.5)"; all alike when None.
            "action_weights": config_dict.placeholder(tuple),
            # Between distributions of several modes: "energy", with noise_draws of 8 and more.
            "divergence": "error",
            **changes,
        }
    )
