"""π0-FAST's forward pass: observation -> distributions of action tokens.

The prefix is images and prompt, the answer is written token by token. An answer that is given, such
as the policy's own greedy one, is read in one pass: `answer_logits` has the distribution of each of
its tokens given those before.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iss_jax.pi05 import gemma, model
from iss_jax.pi05.gemma import Cache
from iss_jax.pi05.params import Params
from iss_jax.sampling import Sampling

EOS = 1


class Inputs(NamedTuple):
    """Embedded images and prompt.

    Attributes:
        tokens: Embeddings, images first.
        mask: Those that are there.
        causal: 1 where a token is hidden from those before it, 0 where it is seen by all of its
            block.
    """

    tokens: Float[Array, "b s w"]
    mask: Bool[Array, "b s"]
    causal: Int[Array, "b s"]


class Prefilled(NamedTuple):
    """What an answer is written behind.

    Attributes:
        cache: Keys and values of the prefix.
        visible: Those of them that an answer sees.
        length: Valid tokens of the prefix.
        last: The last valid token after the final norm, which the first of the answer follows from.
    """

    cache: Cache
    visible: Bool[Array, "b s"]
    length: Int[Array, " b"]
    last: Float[Array, "b w"]


def embed_inputs(
    params: Params,
    images: dict[str, Float[Array, "b h w 3"]],
    image_masks: dict[str, Bool[Array, " b"]],
    prompt: Int[Array, "b l"],
    prompt_mask: Bool[Array, "b l"],
    causal: Int[Array, "b l"],
    sampling: Sampling = Sampling(),
) -> Inputs:
    """Images in their own order, then the prompt.

    Args:
        params: the tree.
        images: at the model's size, in [-1, 1].
        image_masks: view -> whether it is there.
        prompt: token ids.
        prompt_mask: those that are valid.
        causal: openpi's `token_ar_mask`.
        sampling: its dtype and rematerialisation.
    """
    tokens, masks, kinds = [], [], []
    for view, frames in images.items():
        embedded = model.embed_images(params, frames, sampling)
        tokens.append(embedded)
        masks.append(jnp.broadcast_to(image_masks[view][:, None], embedded.shape[:2]))
        kinds.append(jnp.zeros(embedded.shape[:2], jnp.int32))
    tokens.append(model.embed_prompt(params, prompt, sampling))
    masks.append(prompt_mask)
    kinds.append(causal.astype(jnp.int32))
    return Inputs(*(jnp.concatenate(parts, axis=1) for parts in (tokens, masks, kinds)))


def attention_pairs(mask: Bool[Array, "b s"], causal: Int[Array, "b s"]) -> Bool[Array, "b s s"]:
    """Which key (last axis) each token sees: valid ones of its own block or of earlier ones."""
    block = jnp.cumsum(causal, axis=1)
    return (block[:, None, :] <= block[:, :, None]) & mask[:, None, :] & mask[:, :, None]


def token_logits(params: Params, hidden: Float[Array, "*b w"]) -> Float[Array, "*b v"]:
    """Logits over the vocabulary, whose table is the head; float32."""
    table = params["PaliGemma"]["llm"]["embedder"]["input_embedding"]
    dtype = jnp.promote_types(hidden.dtype, table.dtype)
    return (hidden.astype(dtype) @ table.astype(dtype).T).astype(jnp.float32)


def sequence_logits(params: Params, inputs: Inputs) -> Float[Array, "b s v"]:
    """Logits of the token after each token of a sequence that holds its answer, as in training.

    openpi counts positions over padding there, unlike in sampling.
    """
    length = inputs.tokens.shape[1]
    positions = jnp.broadcast_to(jnp.arange(length)[None], inputs.mask.shape)
    pairs = attention_pairs(inputs.mask, inputs.causal)
    hidden, _ = gemma.continued(params["PaliGemma"]["llm"], inputs.tokens, positions, pairs)
    return token_logits(params, hidden)


def prefill(params: Params, inputs: Inputs) -> Prefilled:
    """Read the prefix.

    openpi shifts it so that padding stands in front, and lets an answer see as many of its last
    entries as there are valid ones. Without absent views these are the valid ones; behind an absent
    view in the middle they are not, and the released policy acts on that.
    """
    positions = jnp.cumsum(inputs.mask.astype(jnp.int32), axis=1) - 1
    pairs = attention_pairs(inputs.mask, inputs.causal)
    hidden, cache = gemma.continued(params["PaliGemma"]["llm"], inputs.tokens, positions, pairs)
    index = jnp.arange(inputs.mask.shape[1])[None]
    end = jnp.max(jnp.where(inputs.mask, index, 0), axis=1) + 1
    length = inputs.mask.astype(jnp.int32).sum(1)
    visible = (index >= (end - length)[:, None]) & (index < end[:, None])
    last = jnp.take_along_axis(hidden, (end - 1)[:, None, None], axis=1)[:, 0]
    return Prefilled(cache, visible, length, last)


def answer_logits(
    params: Params, prefix: Prefilled, answer: Int[Array, "b t"]
) -> Float[Array, "b t v"]:
    """Logits of each token of an answer given the prefix and the tokens before it.

    Positions are openpi's when it samples: the first token of the answer stands two behind the last
    of the prefix.
    """
    b, t = answer.shape
    tokens = model.embed_prompt(params, answer).astype(prefix.cache.k.dtype)
    steps = jnp.arange(t)
    positions = prefix.length[:, None] + 1 + steps[None]
    before = jnp.broadcast_to(prefix.visible[:, None], (b, t, prefix.visible.shape[1]))
    own = jnp.broadcast_to((steps[None] <= steps[:, None])[None], (b, t, t))
    pairs = jnp.concatenate([before, own], axis=2)
    llm = params["PaliGemma"]["llm"]
    hidden, _ = gemma.continued(llm, tokens, positions, pairs, prefix.cache)
    hidden = jnp.concatenate([prefix.last[:, None], hidden[:, :-1]], axis=1)
    return token_logits(params, hidden)


def decode(params: Params, prefix: Prefilled, steps: int) -> Int[Array, "b steps"]:
    """The greedy answer, `steps` tokens long; what stands behind `EOS` is no answer.

    Args:
        params: the tree.
        prefix: from `prefill`.
        steps: tokens, whatever they are.
    """
    llm, cache = params["PaliGemma"]["llm"], prefix.cache
    layers, b, _, kv_heads, head_dim = cache.k.shape
    room = jnp.zeros((layers, b, steps, kv_heads, head_dim), cache.k.dtype)

    def step(carry, number):
        hidden, written = carry
        token = jnp.argmax(token_logits(params, hidden), axis=-1)
        embedded = model.embed_prompt(params, token[:, None]).astype(cache.k.dtype)
        past = Cache(
            jnp.concatenate([cache.k, written.k], axis=2),
            jnp.concatenate([cache.v, written.v], axis=2),
        )
        earlier = jnp.broadcast_to((jnp.arange(steps) < number)[None], (b, steps))
        seen = jnp.concatenate([prefix.visible, earlier, jnp.ones((b, 1), bool)], axis=1)
        positions = (prefix.length + 1 + number)[:, None]
        out, own = gemma.continued(llm, embedded, positions, seen[:, None], past)
        written = Cache(
            *(
                jax.lax.dynamic_update_slice_in_dim(all_, one, number, axis=2)
                for all_, one in zip(written, own, strict=True)
            )
        )
        return (out[:, 0], written), token

    _, tokens = jax.lax.scan(step, (prefix.last, Cache(room, room)), jnp.arange(steps))
    return jnp.moveaxis(tokens, 0, 1).astype(jnp.int32)


def answered(answer: Int[Array, "b t"]) -> Bool[Array, "b t"]:
    """Which tokens belong to an answer: those up to its first `EOS`, which counts."""
    ends = (answer == EOS).astype(jnp.int32)
    return jnp.cumsum(ends, axis=1) - ends == 0


def token_kl(wanted: Float[Array, "*b v"], given: Float[Array, "*b v"]) -> Float[Array, "*b"]:
    """KL(p ‖ q) of two distributions over tokens, of their logits; nats (Eq. 6)."""
    p, q = jax.nn.log_softmax(wanted, axis=-1), jax.nn.log_softmax(given, axis=-1)
    return jnp.sum(jnp.exp(p) * (p - q), axis=-1)
