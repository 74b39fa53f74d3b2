"""Supervised flow-matching fine-tuning: loss, optimiser, one training step.

The prefix never attends to the suffix, so its pass is shared by several flow samples of the same
observation: each costs one action-expert pass, and the loss is the same in expectation.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from iss_jax.pi05 import gemma, model
from iss_jax.pi05.lora import is_lora
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import Params, flatten, unflatten
from iss_jax.sampling import Sampling


class Batch(NamedTuple):
    """One training batch.

    Attributes:
        obs: preprocessed observation.
        actions: normalised expert chunk.
        valid: steps of the chunk that are expert actions; the others carry no loss.
        target: what an auxiliary head predicts from the prompt: the normalised position of the
            object to grasp.
        objects: what another predicts from each image token: which kinds of objects have their
            centre in the token's patch.
        wanted: what a third one chooses: the image token, one a view, whose patch has the centre of
            the object to grasp; none is set in a view that does not show it.
    """

    obs: Observation
    actions: Float[Array, "b H A"]
    valid: Bool[Array, "b H"]
    target: Float[Array, "b k"] | None = None
    objects: Bool[Array, "b views t kinds"] | None = None
    wanted: Bool[Array, "b views t"] | None = None


@flax.struct.dataclass
class TrainState:
    """Everything a run resumes from.

    `trainable` and `frozen` are '/'-joined flat trees; `auxiliary` are the heads that only
    help training and never enter a checkpoint's `params`.
    """

    step: Int[Array, ""]
    trainable: dict[str, Array]
    frozen: dict[str, Array]
    auxiliary: dict[str, Any]
    ema: dict[str, Array]
    opt_state: optax.OptState

    def params(self) -> Params:
        """The tree as trained so far."""
        return unflatten({**self.frozen, **self.trainable})

    def ema_params(self) -> Params:
        """The exponential moving average of it, which checkpoints hold."""
        return unflatten({**self.frozen, **self.ema})


def flow_targets(
    key: PRNGKeyArray, actions: Float[Array, "b H A"], num_samples: int
) -> tuple[Float[Array, "b n H A"], Float[Array, "b n"], Float[Array, "b n H A"]]:
    """Draw x_t = t·ε + (1 − t)·a, t ~ 0.999·Beta(1.5, 1) + 0.001, and the target ε − a."""
    noise_key, time_key = jax.random.split(key)
    b, horizon, dim = actions.shape
    noise = jax.random.normal(noise_key, (b, num_samples, horizon, dim), jnp.float32)
    time = jax.random.beta(time_key, 1.5, 1.0, (b, num_samples), jnp.float32) * 0.999 + 0.001
    t, clean = time[:, :, None, None], actions[:, None]
    return t * noise + (1.0 - t) * clean, time, noise - clean


def flow_matching_loss(
    params: Params,
    auxiliary: dict[str, Any],
    batch: Batch,
    key: PRNGKeyArray,
    *,
    num_samples: int = 1,
    dtype: Any = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean squared velocity error over valid steps, and the auxiliary heads' errors.

    Args:
        params: the tree.
        auxiliary: heads that only help training, as `init_auxiliary` makes them; empty for none.
        batch: the batch.
        key: PRNG key of noise and time.
        num_samples: flow samples an observation, all on one prefix pass.
        dtype: compute dtype.

    Returns:
        The flow loss, and the losses of those auxiliary heads that there are. "target": the squared
        error of the target, read off the last prompt token where it enters the last layer.
        "objects": the cross-entropy of the objects, summed over kinds and averaged over tokens,
        read off the image tokens where they enter the VLM. "wanted": the cross-entropy of a softmax
        over the tokens of a view, averaged over the views that show the wanted object, in units of
        a uniform guess's; read off the image tokens where they enter the middle layer, half-way
        through what the action expert attends to.
    """
    prefix = model.embed_prefix(params, batch.obs, Sampling(dtype=dtype))
    cache, hidden = gemma.prefill_with_hidden(
        params["PaliGemma"]["llm"], prefix.tokens, prefix.mask
    )
    cache = model.with_state(params, cache, prefix)
    x_t, time, target = flow_targets(key, batch.actions, num_samples)
    velocity = jax.vmap(
        lambda x, t: model.velocity(params, cache, prefix.mask, x, t), in_axes=1, out_axes=1
    )(x_t, time)
    error = jnp.mean(jnp.square(velocity.astype(jnp.float32) - target), axis=(1, 3))
    weight = batch.valid.astype(jnp.float32)
    flow = jnp.sum(error * weight) / jnp.maximum(jnp.sum(weight), 1.0)
    errors = {}
    if "target" in auxiliary and batch.target is not None:
        last = _last_prompt_token(batch.obs, hidden[-1])
        errors["target"] = jnp.mean(jnp.square(_read(auxiliary["target"], last) - batch.target))
    if "objects" in auxiliary and batch.objects is not None:
        errors["objects"] = _objects_error(auxiliary["objects"], batch.objects, prefix.tokens)
    if "wanted" in auxiliary and batch.wanted is not None:
        middle = hidden[hidden.shape[0] // 2]
        errors["wanted"] = _wanted_error(auxiliary["wanted"], batch.wanted, middle)
    return flow, errors


def init_auxiliary(
    width: int, *, target: int = 0, kinds: int = 0, wanted: bool = False
) -> dict[str, Any]:
    """Linear heads on tokens of the prefix, all zero but for the rarity of objects.

    Args:
        width: of the VLM expert.
        target: dimensions of `Batch.target`, 0 for no such head.
        kinds: of `Batch.objects`, 0 for no such head.
        wanted: whether there is a head for `Batch.wanted`.
    """
    heads = {}
    sizes = (("target", target, 0.0), ("objects", kinds, -3.5), ("wanted", int(wanted), 0.0))
    for name, size, bias in sizes:
        if size:
            heads[name] = {
                "kernel": jnp.zeros((width, size), jnp.float32),
                "bias": jnp.full((size,), bias, jnp.float32),
            }
    return heads


def _objects_error(head: dict[str, Array], objects: Array, prefix: Array) -> Array:
    _, views, tokens, _ = objects.shape
    logits = _read(head, prefix[:, : views * tokens])
    labels = rearrange(objects, "b views t kinds -> b (views t) kinds").astype(jnp.float32)
    entropy = optax.sigmoid_binary_cross_entropy(logits, labels)
    return jnp.mean(jnp.sum(entropy, axis=-1))


def _wanted_error(head: dict[str, Array], wanted: Array, prefix: Array) -> Array:
    _, views, tokens = wanted.shape
    logits = _read(head, prefix[:, : views * tokens])
    logits = rearrange(logits, "b (views t) 1 -> b views t", views=views)
    label, shown = jnp.argmax(wanted, axis=-1), jnp.any(wanted, axis=-1).astype(jnp.float32)
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, label) / math.log(tokens)
    return jnp.sum(entropy * shown) / jnp.maximum(jnp.sum(shown), 1.0)


def _last_prompt_token(obs: Observation, hidden: Array) -> Array:
    mask = obs.tokenized_prompt_mask
    assert mask is not None  # embedding the prefix has checked it
    start = hidden.shape[1] - mask.shape[1]
    index = start + jnp.sum(mask.astype(jnp.int32), axis=1) - 1
    return jnp.take_along_axis(hidden, index[:, None, None], axis=1)[:, 0]


def _read(head: dict[str, Array], tokens: Array) -> Array:
    """A linear head on normalised tokens."""
    x = tokens.astype(jnp.float32)
    x *= jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6)
    bias = head["bias"].reshape((1,) * (x.ndim - 1) + (-1,))
    return x @ head["kernel"] + bias


def paper_optimizer(
    peak_lr: float,
    steps: int,
    *,
    warmup_steps: int = 1_000,
    end_lr: float | None = None,
    weight_decay: float = 1e-10,
    clip_norm: float = 1.0,
) -> optax.GradientTransformation:
    """openpi's AdamW (β 0.9, 0.95): warm-up, then cosine; gradients clipped by global norm."""
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=peak_lr / (warmup_steps + 1),
        peak_value=peak_lr,
        warmup_steps=warmup_steps,
        decay_steps=steps,
        end_value=peak_lr / 10 if end_lr is None else end_lr,
    )
    adamw = optax.adamw(schedule, b1=0.9, b2=0.95, eps=1e-8, weight_decay=weight_decay)
    return optax.chain(optax.clip_by_global_norm(clip_norm), adamw)


def tree_norm(tree: Any) -> Float[Array, ""]:
    """L2 norm over all leaves, in float32."""
    squares = [jnp.sum(jnp.square(leaf.astype(jnp.float32))) for leaf in jax.tree.leaves(tree)]
    return jnp.sqrt(sum(squares, jnp.zeros((), jnp.float32)))


def init_state(
    params: Params,
    optimizer: optax.GradientTransformation,
    *,
    train_only_lora: bool = False,
    auxiliary: dict[str, Any] | None = None,
) -> TrainState:
    """Start a run.

    Args:
        params: the tree to fine-tune, full or with LoRA leaves.
        optimizer: e.g. `paper_optimizer(...)`.
        train_only_lora: freeze Gemma's own weights where LoRA adapts them, as openpi's LoRA configs
            do: everything under "PaliGemma/llm" but the LoRA leaves. The image encoder and the
            action projections train.
        auxiliary: heads that only help training, see `init_auxiliary`.

    Raises:
        ValueError: `train_only_lora` on a tree without LoRA leaves.
    """
    flat = flatten(params)
    if train_only_lora and not any(map(is_lora, flat)):
        raise ValueError("params: train_only_lora wants LoRA leaves (see lora.add_lora), has none")
    trainable = {
        path: leaf
        for path, leaf in flat.items()
        if not train_only_lora or is_lora(path) or "PaliGemma/llm/" not in path
    }
    frozen = {path: leaf for path, leaf in flat.items() if path not in trainable}
    auxiliary = auxiliary or {}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        trainable=trainable,
        frozen=frozen,
        auxiliary=auxiliary,
        ema=jax.tree.map(jnp.array, trainable),
        opt_state=optimizer.init((trainable, auxiliary)),
    )


def make_train_step(
    optimizer: optax.GradientTransformation,
    *,
    num_samples: int = 1,
    auxiliary_weight: float = 1.0,
    ema_decay: float = 0.99,
    dtype: Any = None,
    augment: Callable[[PRNGKeyArray, Observation], Observation] | None = None,
) -> Callable[[TrainState, Batch, PRNGKeyArray], tuple[TrainState, dict[str, Array]]]:
    """Close over the static options; the result is a pure step, to be jitted by the caller.

    Args:
        optimizer: the one given to `init_state`.
        num_samples: flow samples an observation.
        auxiliary_weight: weight of each auxiliary loss.
        ema_decay: decay of the moving average a step.
        dtype: compute dtype.
        augment: applied to the observation with its own key.

    Returns:
        step(state, batch, key) -> (state, metrics); metrics are scalars: loss, one a auxiliary head
        by its name, grad_norm, param_norm.
    """

    def loss(trainable, auxiliary, frozen, batch, key):
        params = unflatten({**frozen, **trainable})
        flow, errors = flow_matching_loss(
            params, auxiliary, batch, key, num_samples=num_samples, dtype=dtype
        )
        return flow + auxiliary_weight * sum(errors.values()), (flow, errors)

    def step(state: TrainState, batch: Batch, key: PRNGKeyArray):
        augment_key, flow_key = jax.random.split(jax.random.fold_in(key, state.step))
        if augment is not None:
            batch = batch._replace(obs=augment(augment_key, batch.obs))
        grad = jax.grad(loss, argnums=(0, 1), has_aux=True)
        grads, (flow, errors) = grad(
            state.trainable, state.auxiliary, state.frozen, batch, flow_key
        )
        updates, opt_state = optimizer.update(
            grads, state.opt_state, (state.trainable, state.auxiliary)
        )
        updated: Any = optax.apply_updates((state.trainable, state.auxiliary), updates)
        trainable, auxiliary = updated
        ema = jax.tree.map(
            lambda old, new: ema_decay * old + (1.0 - ema_decay) * new, state.ema, trainable
        )
        metrics = {
            "loss": flow,
            **errors,
            "grad_norm": tree_norm(grads),
            "param_norm": tree_norm({**state.frozen, **trainable}),
        }
        state = dataclasses.replace(
            state,
            step=state.step + 1,
            trainable=trainable,
            auxiliary=auxiliary,
            ema=ema,
            opt_state=opt_state,
        )
        return state, metrics

    return step
