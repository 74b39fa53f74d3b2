"""Objects with the attributes of openpi's live ones that this package knows them by."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.normalize import quantile_unnormalize
from iss_jax.pi05.observation import VIEWS, resize_with_pad


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
    tx: Any = flax.struct.field(pytree_node=False)
    ema_decay: float | None = flax.struct.field(pytree_node=False)
    ema_params: nnx.State | None = None


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
            actions = quantile_unnormalize(data.pop("actions"), norm_stats["actions"])
            return {"actions": actions[:, : config.action_dims]}

        self._input_transform, self._output_transform = inputs, outputs
