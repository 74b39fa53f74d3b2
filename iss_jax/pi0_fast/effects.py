"""Effects of players on a π0-FAST: how far the distribution of its action tokens moves."""

import dataclasses
import functools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from iss_jax.background import Groups, as_background
from iss_jax.checks import check_labels
from iss_jax.effect_reasons import SILENT
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.keys import batch_key
from iss_jax.pi0_fast.observation import fast_inputs, fitted_frames
from iss_jax.pi0_fast.params import fast_sizes_of
from iss_jax.pi0_fast.saliency import (
    Question,
    as_actions,
    asked,
    check_whole_tokens,
    counted_answer,
    distances,
    kl_unit,
    token_weights,
)
from iss_jax.pi05.model import compute_dtype
from iss_jax.pi05.params import Params
from iss_jax.pi05.prepare import checked_valid, picture_pixels
from iss_jax.player_attribution import attribute_players
from iss_jax.players import Players, as_players
from iss_jax.sampling import Sampling
from iss_jax.scenes import fitted_labels, labels_at_size

# Nats that float32 leaves of a divergence of nothing.
ROUNDING = 1e-6


def fast_player_effects(
    params: Params,
    obs: Any,
    players: Any,
    background: Any,
    *,
    key: Any,
    config: EffectsConfig,
    groups: Groups | None,
    regions: Any,
    valid: Any,
    mesh: jax.sharding.Mesh | None,
    sampling: Sampling,
) -> Effects:
    """`iss_jax.player_effects` of a π0-FAST; arguments and errors are documented there.

    Returns:
        `Effects` in nats: the mean or the sum of the KL over the tokens of the greedy answer.
        `actions` are its ids.
    """
    sizes = fast_sizes_of(params)
    check_whole_tokens(config)
    players, size = as_players(players), sizes.image.image_size
    inputs = fast_inputs(obs, sizes.vocab, trim=sampling.savings.trim_prompt)
    views, batch = tuple(inputs.images), inputs.prompt.shape[0]
    valid = checked_valid(valid, obs.images)
    known = {view: jnp.shape(obs.images[view])[1:3] for view in views}
    check_labels("regions", regions or {}, {})
    own = labels_at_size("players", players.labels, known, batch, size, -1)
    marked = None if regions is None else labels_at_size("regions", regions, known, batch, size, 0)
    bank = None if background is None else as_background(background, views)
    if bank is not None:
        images = {view: bank.images[view] for view in views}
        labels = bank.regions
        bank = dataclasses.replace(
            bank,
            images=fitted_frames(images, size),
            # No frame has the label of a donor's padding.
            regions=None
            if labels is None
            else {v: fitted_labels(jnp.asarray(x), size, size, -1) for v, x in labels.items()},
        )
    sampling = sampling.resolved(compute_dtype(params))
    frames = fitted_frames(inputs.images, size)
    answer, counted = counted_answer(params, inputs, size, sampling)
    weight = token_weights(counted, config.reduction)
    questions = _asked(params, inputs, frames, answer, weight, sampling)
    picture = picture_pixels(inputs.images, valid, views, size)
    keys = jnp.broadcast_to(batch_key(key, batch), (batch,))
    found = []
    for row in range(batch):
        one = partial(jax.tree.map, lambda leaf, row=row: leaf[row : row + 1])
        question = jax.tree.map(lambda leaf, row=row: leaf[row], questions)
        found.append(
            attribute_players(
                jax.tree_util.Partial(_policy(sampling), params, question),
                one(frames),
                Players(one(own), names=players.names),
                bank,
                key=keys[row],
                config=config,
                groups=None if groups is None else one(groups),
                regions=one(marked),
                present=one(inputs.image_masks),
                valid=one(picture),
                mesh=mesh,
            )
        )
    effects: Effects = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *found)
    # Of a frame and itself the distance is 0 but for rounding, which is no share of anything.
    silent = effects.effects.sum(-1) <= ROUNDING
    return dataclasses.replace(
        effects,
        actions=as_actions(answer, counted),
        unit=kl_unit(config.reduction),
        reason=jnp.where((effects.reason == 0) & silent, SILENT, effects.reason),
    )


_asked = jax.jit(asked, static_argnames="sampling")


# Cached, so that frames of one shape share a program.
@functools.cache
def _policy(sampling: Sampling) -> Any:
    def policy(params: Params, question: Question, rows: dict[str, Array]) -> Array:
        return distances(params, question, rows, sampling=sampling)[:, 0]

    return policy
