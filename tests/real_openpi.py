"""openpi's own code for the tests that run on it: found, imported, and made small.

`ISS_OPENPI_REAL_TOWER=1` keeps the real image tower, 412 million parameters.
`OPENPI_PATH` names the checkout.
"""

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import pathlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.pi05.normalize import NormStats
from iss_jax.pi05.tokenizer import train_tokenizer
from iss_jax.policies.configs import PolicyConfig

PROMPT = train_tokenizer(["pick up the bowl"])
ROOT = pathlib.Path(os.environ.get("OPENPI_PATH", "third_party/openpi")).resolve()
FOLDERS = (ROOT / "src", ROOT / "packages" / "openpi-client" / "src")
REAL_TOWER = os.environ.get("ISS_OPENPI_REAL_TOWER", "") == "1"
# PaliGemma has 257,152. Fewer make no leaf that openpi would split over devices, 4 MB.
WORDS = 20_480
TOWER = {"width": 32, "depth": 2, "mlp_dim": 64, "num_heads": 2, "patch_size": (14, 14)}


def imported(name: str) -> ModuleType:
    """A module of openpi; skips the test, with the reason, where there is none."""
    if not (ROOT / "src" / "openpi").is_dir():
        pytest.skip(f"no checkout of openpi at {ROOT}; set OPENPI_PATH")
    for folder in map(str, FOLDERS):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"openpi's {name} cannot be imported here: {error}")


def script(name: str) -> ModuleType:
    """A file of openpi's `scripts/` as a module."""
    imported("openpi.training.config")
    spec = importlib.util.spec_from_file_location(f"openpi_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        pytest.skip(f"openpi's {name} script cannot be imported here: {error}")
    return module


@contextlib.contextmanager
def as_openpi_runs() -> Iterator[None]:
    """JAX as openpi uses it, and its small form: the suite's own settings are stricter.

    Programs are not kept on disk, where openpi's training script would keep them.
    """
    settings = {
        "jax_numpy_rank_promotion": "allow",
        "jax_numpy_dtype_promotion": "standard",
        "jax_enable_compilation_cache": False,
    }
    # Their training script sets the last one.
    before = {name: getattr(jax.config, name) for name in (*settings, "jax_compilation_cache_dir")}
    with pytest.MonkeyPatch.context() as patch:
        small_tower(patch)
        for name, value in settings.items():
            jax.config.update(name, value)
        yield
        for name, value in before.items():
            jax.config.update(name, value)


def small_tower(patch: pytest.MonkeyPatch) -> None:
    """New models get the small image tower and few words, unless the real ones are asked for."""
    siglip, gemma = imported("openpi.models.siglip"), imported("openpi.models.gemma")
    if not REAL_TOWER:
        patch.setattr(siglip, "decode_variant", lambda _: TOWER)
        patch.setattr(gemma, "PALIGEMMA_VOCAB_SIZE", WORDS)


def small_experts(patch: pytest.MonkeyPatch) -> None:
    """Every expert gets openpi's dummy sizes and keeps its own LoRA leaves."""
    gemma = imported("openpi.models.gemma")
    real = gemma.get_config

    def small(variant: str) -> Any:
        return dataclasses.replace(real("dummy"), lora_configs=real(variant).lora_configs)

    patch.setattr(gemma, "get_config", small)


def filled(state: Any) -> Any:
    """A fresh openpi model ignores its images: what starts at zero gets small random values."""
    rng = np.random.default_rng(0)

    def fill(leaf: jax.Array) -> jax.Array:
        if bool(jnp.any(leaf != 0)):
            return leaf
        return jnp.asarray(0.05 * rng.standard_normal(leaf.shape, np.float32), leaf.dtype)

    return jax.tree.map(fill, state)


def live_policy(live: Any, config: PolicyConfig, state_dims: int, steps: int) -> Any:
    """Their `Policy` with the transforms of their own training configuration."""
    configs, policies = imported("openpi.training.config"), imported("openpi.policies.policy")
    transforms = imported("openpi.transforms")
    trained = configs.get_config(config.name)
    settings = dataclasses.replace(trained.model, max_token_len=config.max_token_len)
    data = trained.data.create(pathlib.Path("/nowhere"), settings)
    rng = np.random.default_rng(3)
    ours = {
        name: NormStats(*(np.sort(rng.normal(size=(4, dims)), axis=0)[[1, 2, 0, 3]]))
        for name, dims in (("state", state_dims), ("actions", config.action_dims))
    }
    theirs = {name: transforms.NormStats(**stats._asdict()) for name, stats in ours.items()}
    policy = policies.Policy(
        live,
        transforms=[
            *data.data_transforms.inputs,
            transforms.Normalize(theirs, use_quantiles=data.use_quantile_norm),
            *data.model_transforms.inputs,
        ],
        output_transforms=[
            *data.model_transforms.outputs,
            transforms.Unnormalize(theirs, use_quantiles=data.use_quantile_norm),
            *data.data_transforms.outputs,
        ],
        sample_kwargs={"num_steps": steps},
    )
    return policy, ours
