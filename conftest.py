"""Cheap compilation for tests and for examples in docstrings, and what the examples share."""

import os
from importlib.metadata import version
from typing import Any

import pytest

# Programs here run for milliseconds and compile for seconds: LLVM's expensive passes do not pay,
# nor do kernels emitted through MLIR, nor parts compiled side by side when every core has its test
# process. XLA ends a process over a flag that it does not know; that of jax 0.12 knows no more of
# these emitters.
KERNELS = int(version("jaxlib").split(".")[1]) < 11
os.environ["XLA_FLAGS"] = " ".join(
    (
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false" if KERNELS else "",
        "--xla_cpu_parallel_codegen_split_count=1",
        os.environ.get("XLA_FLAGS", ""),
    )
)


@pytest.fixture(scope="session", autouse=True)
def policy_and_observation(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]
) -> None:
    """`policy` and `obs` of the example of `iss_jax.saliency`, where examples are run at all."""
    if not any(isinstance(item, pytest.DoctestItem) for item in request.session.items):
        return
    import numpy as np

    import iss_jax
    from iss_jax import embedded

    policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    assert policy.config is not None
    frame = np.linspace(0, 255, 80 * 80 * 3).astype(np.uint8).reshape(80, 80, 3)
    frames = dict.fromkeys(policy.config.cameras.values(), frame)
    obs = policy.observation(frames, np.zeros(8), "pick up the milk")
    doctest_namespace.update(policy=policy, obs=obs)
