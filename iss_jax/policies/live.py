"""A live openpi `Policy`: known by its attributes, nothing of openpi is imported."""

import copy
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax.few import few
from iss_jax.pi0_fast.observation import FastObservation
from iss_jax.pi0_fast.params import fast_sizes_of, is_fast
from iss_jax.pi05.from_pytorch import IMAGE_HEADS, from_pytorch
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import as_params, check_finite_params, sizes_of
from iss_jax.policies.configs import PolicyConfig, named
from iss_jax.policies.fast import FastPolicy
from iss_jax.policies.letterbox import Remembered
from iss_jax.policies.openpi import OpenpiPolicy
from iss_jax.sampling import Sampling

__all__ = [
    "from_policy",
]


def from_policy(policy: Any, config: str | PolicyConfig | None = None) -> OpenpiPolicy | FastPolicy:
    """A live openpi `Policy`: its model, its transforms, its statistics.

    A PyTorch model is copied into openpi's JAX tree (`iss_jax.pi05.from_pytorch`) and computed in
    its own dtype. A π0-FAST becomes a `FastPolicy`, which takes the robot's dict alone.

    Nothing of openpi is imported: the policy is known by `_model`, `_input_transform`,
    `_output_transform` and `_sample_kwargs`.

    >>> from iss_jax.policies.live import from_policy
    >>> trained = create_trained_policy(config, "checkpoints/pi05_libero")  # doctest: +SKIP
    >>> sal = from_policy(trained, "pi05_libero").explain(raw)  # doctest: +SKIP
    >>> from_policy("a policy of another kind")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    TypeError: policy: str lacks ['_model', ...]; wanted an openpi Policy...

    Args:
        policy: What openpi's `create_trained_policy` returns.
        config: Says where frames and state belong in the robot's dict. Without one, `explain`
            takes the dict alone. Letterbox bars are left out of the masks either way: white and
            black frames, pushed through the policy's transforms once, tell them.

    Raises:
        TypeError: Not such a policy.
        ValueError: The model is none of openpi's, holds numbers that are not finite, or its chunk
            is not the configuration's. Or a π0-FAST was given a configuration.
    """
    missing = [
        name
        for name in ("_model", "_input_transform", "_output_transform")
        if not hasattr(policy, name)
    ]
    if missing:
        raise TypeError(
            f"policy: {type(policy).__name__} lacks {missing}; wanted an openpi Policy. Any other "
            "policy goes through iss_jax.attribute or iss_jax.policies.served"
        )
    from flax import nnx

    live = policy._model
    in_torch = bool(getattr(policy, "_is_pytorch_model", False))
    horizon = int((live.config if in_torch else live).action_horizon)
    config = None if config is None else named(config)
    if config is not None and config.action_horizon != horizon:
        raise ValueError(
            f"config {config.name!r}: chunks of {config.action_horizon}, the live model predicts "
            f"{horizon}"
        )
    params = _from_torch(live) if in_torch else as_params(nnx.state(live, nnx.Param))
    if is_fast(params):
        return _fast(policy, params, config)
    sizes = sizes_of(params)
    if config is not None and config.model not in ("", sizes.model):
        raise ValueError(
            f"config {config.name!r}: parameters of a {config.model} wanted, the live model is a "
            f"{sizes.model}"
        )
    check_finite_params(params)
    steps = getattr(policy, "_sample_kwargs", {}).get("num_steps", Sampling().num_steps)
    observe = partial(_observe_live, policy._input_transform)
    return OpenpiPolicy(
        params=params,
        config=config,
        observe=observe,
        letterbox=Remembered(observe),
        to_robot=partial(_to_robot_live, policy._output_transform),
        action_horizon=horizon,
        sampling=Sampling(
            num_steps=int(steps), dtype=_torch_dtype(live) if in_torch else _live_dtype(live)
        ),
    )


def _fast(policy: Any, params: Any, config: PolicyConfig | None) -> FastPolicy:
    if config is not None:
        raise ValueError(
            f"config {config.name!r}: a π0-FAST takes the robot's dict alone; wanted None"
        )
    fast_sizes_of(params)
    check_finite_params(params)
    given = getattr(policy, "_sample_kwargs", {})
    if given.get("temperature"):
        warnings.warn(
            f"policy: its temperature is {given['temperature']:g}; the answer that is explained is "
            "the greedy one",
            stacklevel=3,
        )
    tokens = int(given.get("max_decoding_steps", Sampling().answer_tokens))
    observe = partial(_observe_fast, policy._input_transform)
    return FastPolicy(
        params=params,
        observe=observe,
        letterbox=Remembered(observe),
        to_robot=partial(_to_robot_live, policy._output_transform),
        sampling=Sampling(answer_tokens=tokens, dtype=_live_dtype(policy._model)),
    )


def _observe_fast(transform: Callable[[Any], Any], raw: Mapping[str, Any]) -> FastObservation:
    inputs = transform(copy.deepcopy(dict(raw)))
    obs = _observation(inputs)
    causal = inputs.get("token_ar_mask")
    return FastObservation(
        **vars(obs), token_ar_mask=None if causal is None else jnp.asarray(causal, jnp.int32)[None]
    )


def _observe_live(transform: Callable[[Any], Any], raw: Mapping[str, Any]) -> Observation:
    # openpi's transforms write into what they are given.
    return _observation(transform(copy.deepcopy(dict(raw))))


def _observation(inputs: Mapping[str, Any]) -> Observation:
    missing = sorted({"image", "image_mask", "state", "tokenized_prompt"} - set(inputs))
    if missing:
        raise ValueError(
            f"the policy's input transform gave no {missing}, it gave {few(sorted(inputs))}"
        )
    return Observation(
        images={view: jnp.asarray(image)[None] for view, image in inputs["image"].items()},
        image_masks={view: jnp.asarray(m)[None] for view, m in inputs["image_mask"].items()},
        state=jnp.asarray(inputs["state"], jnp.float32)[None],
        tokenized_prompt=jnp.asarray(inputs["tokenized_prompt"])[None],
        tokenized_prompt_mask=jnp.asarray(inputs["tokenized_prompt_mask"])[None],
    )


def _to_robot_live(
    transform: Callable[[Any], Any], actions: np.ndarray, state: np.ndarray
) -> np.ndarray:
    return np.asarray(transform({"state": state.copy(), "actions": actions.copy()})["actions"])


def _from_torch(live: Any) -> Any:
    tensors = {}
    for name, tensor in live.state_dict().items():
        # numpy knows no bfloat16 of torch's: by way of float32, which holds all of its numbers.
        array = tensor.detach().float().cpu().numpy()
        is_half = str(tensor.dtype) == "torch.bfloat16"
        tensors[name] = array.astype(jnp.bfloat16) if is_half else array
    known = getattr(live.paligemma_with_expert.paligemma.config, "vision_config", None)
    heads = int(getattr(known, "num_attention_heads", IMAGE_HEADS))
    return jax.tree.map(jnp.asarray, from_pytorch(tensors, image_heads=heads))


def _torch_dtype(live: Any) -> Any:
    kinds = {str(tensor.dtype) for tensor in live.parameters()}
    return jnp.bfloat16 if "torch.bfloat16" in kinds else None


def _live_dtype(live: Any) -> Any:
    # openpi computes in the configured dtype whatever its parameters are held in.
    try:
        return jnp.dtype(live.PaliGemma.llm.module.embed_dtype)
    except AttributeError:
        return None
