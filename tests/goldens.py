"""The golden models and observations, as this package takes them."""

import json
import pathlib

import jax.numpy as jnp
import numpy as np

from iss_jax.pi05 import lora, params as P
from iss_jax.pi05.observation import VIEWS, Observation

FOLDER = pathlib.Path(__file__).parent / "golden"
# openpi's own spread between jax 0.5.3 and 0.10.2 is a tenth of these.
ATOL, ATOL_KV, ATOL_BF16, ATOL_BF16_VELOCITY = 2e-5, 1e-4, 4e-2, 6e-2
MAX_TOKENS = {"tiny_a": 200, "tiny_b": 64, "tiny_c": 64, "pi0_a": 48}


def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def raw_params(name: str) -> dict:
    flat = {key: jnp.asarray(value) for key, value in arrays(f"{name}_params").items()}
    return P.unflatten(flat)


def params(name: str) -> dict:
    tree = raw_params(name)
    # tiny_c was made with alpha 8 and ranks 4 and 2.
    return lora.scale(tree, vlm_alpha=8.0, action_alpha=8.0) if name == "tiny_c" else tree


def observation(name: str, rows: slice = slice(None)) -> Observation:
    obs, length = arrays("obs"), MAX_TOKENS[name]
    action_dim = arrays(name)["actions"].shape[-1]
    return Observation(
        images={view: jnp.asarray(obs[f"image/{view}"][rows]) for view in VIEWS},
        image_masks={view: jnp.asarray(obs[f"image_mask/{view}"][rows]) for view in VIEWS},
        state=jnp.asarray(obs["state"][rows, :action_dim]),
        tokenized_prompt=jnp.asarray(obs["tokenized_prompt"][rows, :length]),
        tokenized_prompt_mask=jnp.asarray(obs["tokenized_prompt_mask"][rows, :length]),
    )


def noise(name: str, key: str = "noise") -> jnp.ndarray:
    _, horizon, action_dim = arrays(name)["actions"].shape
    return jnp.asarray(arrays("obs")[key][:, :horizon, :action_dim])


def param_trees() -> dict:
    return json.loads((FOLDER / "param_trees.json").read_text())
