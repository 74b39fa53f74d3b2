"""Objects with the attributes of openpi's live ones that this package knows them by."""

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.normalize import unnormalize
from iss_jax.pi05.observation import VIEWS, Observation, resize_with_pad
from iss_jax.pi05.params import PI05, Expert, ImageTower, Sizes, shapes, unflatten

SIZES = dataclasses.replace(
    PI05,
    image=ImageTower(width=8, depth=1, mlp=16, heads=2, patch=14, tokens=4),
    vlm=Expert(width=16, mlp=24),
    action=Expert(width=16, mlp=16),
    depth=1,
    heads=2,
    head_dim=8,
    vocab=32,
    action_dim=8,
)


def random_params(seed: int = 0, sizes: Sizes = SIZES) -> dict:
    """Every leaf random, so that nothing is closed or zero."""
    rng = np.random.default_rng(seed)
    flat = {
        path: jnp.asarray(
            np.float32(0.4) * rng.normal(size=shape).astype(np.float32)
            + np.float32(path.endswith("scale") and "/img/" in path)
        )
        for path, shape in shapes(sizes).items()
    }
    return unflatten(flat)


def random_observation(batch: int, seed: int = 0) -> Observation:
    """Frames, prompts and states for a model of `SIZES`."""
    rng = np.random.default_rng(seed)
    size = SIZES.image.image_size
    return Observation(
        images={
            view: jnp.asarray(2 * rng.random((batch, size, size, 3)) - 1, jnp.float32)
            for view in VIEWS
        },
        image_masks={view: jnp.ones((batch,), bool) for view in VIEWS},
        state=jnp.zeros((batch, 8), jnp.float32),
        tokenized_prompt=jnp.asarray(rng.integers(1, 32, (batch, 16)), jnp.int32),
        tokenized_prompt_mask=jnp.broadcast_to(jnp.arange(16) < 11, (batch, 16)),
    )


class Module(nnx.Module):
    """An nnx module whose state has the paths of a tree, leaves as `nnx.Param`."""

    def __init__(self, tree: dict):
        for name, child in tree.items():
            setattr(self, name, Module(child) if isinstance(child, dict) else nnx.Param(child))


@flax.struct.dataclass
class TrainState:
    """openpi's fields (`openpi.training.utils.TrainState`)."""

    step: Any
    params: nnx.State
    model_def: Any
    opt_state: Any
    tx: Any = flax.struct.field(pytree_node=False, default=None)
    ema_decay: float | None = flax.struct.field(pytree_node=False, default=None)
    ema_params: nnx.State | None = None


def train_state(params: dict, averaged: dict | None = None) -> TrainState:
    """A training state at step 0."""
    model = Module(params)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=nnx.state(model),
        model_def=nnx.graphdef(model),
        opt_state=(),
        ema_decay=None if averaged is None else 0.99,
        ema_params=None if averaged is None else nnx.state(Module(averaged)),
    )


class Policy:
    """openpi's inference policy: a model and what goes before and after it."""

    def __init__(self, params, config, norm_stats, tokenizer, *, size: int):
        self._model = Module(params)
        self._model.action_horizon = config.action_horizon
        self._sample_kwargs = {"num_steps": 2}
        self._is_pytorch_model = False

        def inputs(raw):
            images, state, prompt = config.split(raw)
            raw.clear()  # openpi's transforms consume what they are given
            obs = make_observation(
                {c: resize_with_pad(jnp.asarray(i)[None], size, size) for c, i in images.items()},
                state[None],
                [prompt],
                tokenizer=tokenizer,
                norm_stats=norm_stats,
                max_token_len=config.max_token_len,
                cameras={view: config.cameras.get(view, "") for view in VIEWS},
                discrete_state_input=config.discrete_state_input,
                normalisation=config.normalisation,
            )
            row = jax.tree.map(lambda leaf: np.asarray(leaf)[0], obs)
            return {
                "image": row.images,
                "image_mask": row.image_masks,
                "state": row.state,
                "tokenized_prompt": row.tokenized_prompt,
                "tokenized_prompt_mask": row.tokenized_prompt_mask,
            }

        def outputs(data):
            actions = unnormalize(data.pop("actions"), norm_stats["actions"], config.normalisation)
            return {"actions": actions[:, : config.action_dims]}

        self._input_transform, self._output_transform = inputs, outputs
