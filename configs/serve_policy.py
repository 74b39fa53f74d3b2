"""A checkpoint behind openpi's websocket protocol.

    python -m experiments.serve_policy --config=configs/serve_policy.py
    python -m experiments.serve_policy --config=configs/serve_policy.py:pi05_libero \
        --config.checkpoint=<step>
    python -m experiments.serve_policy --config=configs/serve_policy.py:smoke

A variant is a name of `iss_jax.policies.configs.CONFIGS`; `smoke` is the embedded policy with two
denoising steps.
"""

import ml_collections

from configs.parts.variants import chosen
from iss_jax.policies.configs import CONFIGS

VARIANTS = (*CONFIGS, "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = f"serve_policy-{chosen(variant, VARIANTS)}"
    small = variant in ("embedded", "smoke")
    config.robot = "embedded" if small else variant
    config.checkpoint = "embedded" if small else ""
    # The checkpoint's own when empty, else PaliGemma's where openpi caches it.
    config.tokenizer = ""
    config.dtype = "float32" if small else "bfloat16"
    config.num_steps = 2 if variant == "smoke" else 10
    config.host = "127.0.0.1"
    # 0 lets the system choose; the port is printed.
    config.port = 8000
    # Of the flow noise that answers an observation without "noise".
    config.seed = 0
    # Different sizes of frames that are answered; each is compiled once while all clients wait.
    config.sizes = 4
    return config
