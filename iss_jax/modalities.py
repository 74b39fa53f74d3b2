"""Which kind of input a policy acts on: whole views, the instruction, the state.

Each kind is a player. A draw takes all of them from one donor, an episode of another task, and runs
every set of them, so that Shapley's values are exact: three views, instruction and state are 31
sets and a baseline. Values of a draw add up to what replacing everything does.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from iss_jax import sharding
from iss_jax.background import Background, Groups, as_background
from iss_jax.checks import (
    check_finite,
    check_frames,
    check_observation,
    check_options,
    check_tokens,
)
from iss_jax.effect_reasons import NO_DONOR
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.keys import batch_key
from iss_jax.pi0_fast.params import is_fast
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import as_params, sizes_of
from iss_jax.pi05.prepare import (
    checked_valid,
    flow_noise,
    picture_pixels,
    policy_observation,
    possible_views,
)
from iss_jax.pi05_effects import actions_of_runs, donor_pixels
from iss_jax.pi05_saliency import Shared
from iss_jax.player_runs import PlayerRuns, Scene, changes, run_players
from iss_jax.players import Players
from iss_jax.records import Record, record
from iss_jax.results import effect_unit
from iss_jax.sampling import Sampling
from iss_jax.scenes import donor_frames, drawn, make_scene

__all__ = ["IMAGES", "TEXT_PLAYERS", "Texts", "modality_effects"]

TEXT_PLAYERS = ("prompt", "state")
"""Players without pixels, after the views."""

IMAGES = "images"
"""All views as one player."""

# The engine composes pictures, so that text is one: of two pixels, black where the frame's own
# instruction or state is read, white where the donor's is.
_TEXT = "text"


@record
class Texts(Record):
    """What stands in the place of instruction and state, for each of b frames and r donors.

    Three of each: the donor's instruction with the frame's state, the frame's instruction with the
    donor's state, and both of the donor. π0.5 reads the state in its prompt, π0 beside it.

    >>> import jax.numpy as jnp
    >>> tokens = jnp.zeros((1, 4, 3, 8), int)
    >>> texts = Texts(tokens, tokens == 0, state=jnp.zeros((1, 4, 3, 7)))
    >>> texts.tokens.shape[1]
    4

    Attributes:
        tokens: Prompts, as long as the observation's.
        mask: Their valid tokens.
        state: Normalised states.
    """

    tokens: Int[Array, "b r 3 l"]
    mask: Bool[Array, "b r 3 l"]
    state: Float[Array, "b r 3 s"]


def modality_effects(
    params: Any,
    obs: Any,
    background: Background,
    texts: Texts,
    *,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: EffectsConfig = EffectsConfig(estimator="shapley"),
    groups: Groups | None = None,
    noise: Float[Array, "b draws horizon dims"] | None = None,
    mesh: jax.sharding.Mesh | None = None,
    valid: Any = None,
    together: bool = False,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> Effects:
    """Effects of whole views, of the instruction and of the state, replaced by a donor's.

    >>> import numpy as np
    >>> from iss_jax import EffectsConfig, Sampling, embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> from iss_jax.policies.donors import background, donor_texts, groups
    >>> from iss_jax.policies.frames import FrameOptions, read_frames, see
    >>> from iss_jax.policies.restored import load_policy
    >>> policy = load_policy(embedded.checkpoint_path())
    >>> dataset = open_dataset(embedded.episodes_path())
    >>> options = FrameOptions(max_token_len=40)
    >>> bank = background(dataset, policy.image_size, options, most=4)
    >>> seen = see(read_frames(dataset, 160, [0], options), policy, options)
    >>> texts = donor_texts(policy, bank, [seen.episode.prompt], seen.episode.state, options)
    >>> found = modality_effects(
    ...     policy.params,
    ...     seen.obs,
    ...     bank,
    ...     texts,
    ...     config=EffectsConfig(draws=2, estimator="shapley"),
    ...     groups=groups(dataset, bank, [160]),
    ...     action_horizon=16,
    ...     sampling=Sampling(num_steps=1),
    ... )
    >>> found.names[-2:], round(float(found.share.sum()), 3)
    (('prompt', 'state'), 1.0)

    Args:
        params: openpi's parameter tree of a π0.5 or π0, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        background: Donor frames, see `player_effects`.
        texts: Their instructions and states, of `iss_jax.policies.donors.donor_texts`.
        key: As for `player_effects`, whose donors and noise those of this key are.
        config: Static options. `one_at_a_time` replaces each kind alone, `banzhaf` random halves.
        groups: Episode and task of each frame, which then draws no donor of its own.
        noise: Flow noise of each draw; drawn from the key when None.
        mesh: Devices over which runs and frames are split.
        valid: View -> pixels that are picture, as for `saliency`.
        together: Whether all views are one player, `images`, instead of one each.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        sampling: Denoising steps, compute dtype, rematerialisation, savings.

    Returns:
        `Effects` whose players are the views that are there, `prompt` and `state`. The last two
        hold no pixel; `moved` says how many of the draws change them.

    Raises:
        ValueError: Texts of another number of frames, donors or tokens, options that are of pixels
            alone, or a π0-FAST. Else as `player_effects`.
    """
    config = check_options("config", config, EffectsConfig)
    if config.fill != "background" or config.like_for_like or config.tint or config.views:
        raise ValueError(
            "modality_effects: whole inputs are replaced by a donor's; wanted fill='background' "
            f"and no like_for_like, tint or views, got {config}"
        )
    check_observation(obs)
    check_finite("obs.state", obs.state)
    params = as_params(params)
    if is_fast(params):
        raise ValueError("modality_effects: a π0.5 or π0 wanted, got a π0-FAST")
    sizes, batch = sizes_of(params), obs.state.shape[0]
    keys = jnp.broadcast_to(batch_key(key, batch), (batch,))
    donor_keys, noise_keys, set_keys = (
        jax.vmap(jax.random.fold_in, (0, None))(keys, number) for number in range(3)
    )
    valid = checked_valid(valid, obs.images)
    # Texts are as long as the prompt that is given, padding included.
    obs = policy_observation(obs, sizes.vocab, trim=False)
    noise = flow_noise(noise, noise_keys, batch, config.draws, action_horizon, sizes.action_dim)
    views = possible_views(obs) if sampling.savings.drop_absent_views else VIEWS
    views = tuple(view for view in views if view in obs.images)
    bank = as_background(background, views)
    check_frames("background", {view: bank.images[view] for view in views})
    assert obs.tokenized_prompt is not None
    _check_texts(texts, batch, len(bank), obs.tokenized_prompt.shape[1], sizes.vocab)
    donors, has_donors = drawn(donor_keys, bank, groups, batch, config)
    from_bank, _ = donor_frames(bank, donors, views)
    assert donors is not None and from_bank is not None
    own = jax.tree.map(lambda x: jnp.asarray(x)[jnp.arange(batch)[:, None], donors], texts)
    arrays = (params, obs, noise, from_bank, own, valid, set_keys)
    if mesh is not None:
        arrays = sharding.replicate(arrays, mesh)
    runs, moved, frames, labels = _modality_effects(
        *arrays,
        config=config,
        mesh=mesh,
        views=views,
        together=together,
        image_size=sizes.image.image_size,
        sampling=sampling.resolved(model.compute_dtype(params)),
    )
    return Effects(
        by_draw=runs.by_draw,
        moved=moved,
        beside={},
        floor=runs.floor,
        reason=jnp.where(has_donors, runs.reason, NO_DONOR),
        players=Players(labels, names=(*((IMAGES,) if together else views), *TEXT_PLAYERS)),
        actions=runs.actions,
        frames=frames,
        donors=donors,
        config=config,
        unit=effect_unit(config, "normalised actions"),
    )


def _check_texts(texts: Texts, batch: int, donors: int, length: int, vocab: int) -> None:
    tokens, mask, state = (jnp.asarray(own) for own in (texts.tokens, texts.mask, texts.state))
    if tokens.shape != (batch, donors, 3, length) or mask.shape != tokens.shape:
        raise ValueError(
            f"texts must be [{batch} frames, {donors} donors, 3, {length} tokens] twice, got "
            f"{list(tokens.shape)} and {list(mask.shape)}"
        )
    if state.shape[:3] != tokens.shape[:3]:
        raise ValueError(
            f"texts.state must be [{batch} frames, {donors} donors, 3, s], got {list(state.shape)}"
        )
    check_finite("texts.state", state)
    check_tokens("texts", tokens, mask, vocab)


@partial(jax.jit, static_argnames=("config", "mesh", "views", "together", "image_size", "sampling"))
def _modality_effects(
    params: Any,
    obs: Observation,
    noise: Array,
    donors: dict[str, Array],
    texts: Texts,
    valid: dict[str, Array],
    set_keys: Array,
    *,
    config: EffectsConfig,
    mesh: jax.sharding.Mesh | None,
    views: tuple[str, ...],
    together: bool,
    image_size: int,
    sampling: Sampling,
) -> tuple[PlayerRuns, Array, dict[str, Array], dict[str, Array]]:
    given, obs = obs, preprocess(obs, image_size)
    picture = picture_pixels(given.images, valid, views, image_size) or {}
    batch, draws = noise.shape[:2]
    present = {view: obs.image_masks[view] for view in views}
    everywhere = jnp.ones((batch, image_size, image_size), bool)
    inside = {v: picture.get(v, everywhere) & present[v][:, None, None] for v in views}
    frames = {view: obs.images[view] for view in views}
    of_pixels = 1 if together else len(views)
    pixels = make_scene(
        frames,
        {
            view: jnp.full(everywhere.shape, 0 if together else i, jnp.int32)
            for i, view in enumerate(views)
        },
        inside,
        {view: donor_pixels(own, image_size) for view, own in donors.items()},
        config,
    )
    switches = jnp.broadcast_to(of_pixels + jnp.arange(2, dtype=jnp.int32), (batch, 1, 2))
    shape = (batch, 1, 2, 3)
    scene = Scene(
        pixels.frames | {_TEXT: jnp.zeros(shape)},
        pixels.labels | {_TEXT: switches},
        pixels.valid | {_TEXT: jnp.ones(shape[:3], bool)},
        pixels.donors | {_TEXT: jnp.ones((batch, draws, *shape[1:]))},
    )
    own_tokens, own_mask = obs.tokenized_prompt, obs.tokenized_prompt_mask
    assert own_tokens is not None and own_mask is not None

    def beside(own: Array, others: Array) -> Array:
        """The frame's own first, then three a draw."""
        return jnp.concatenate([own[:, None], others.reshape(batch, -1, others.shape[-1])], 1)

    tokens, masks = beside(own_tokens, texts.tokens), beside(own_mask, texts.mask.astype(bool))
    states = None
    if model.reads_state(params):
        first = model.state_of(params, obs.state, batch)
        others = model.state_of(params, texts.state.reshape(-1, texts.state.shape[-1]))
        assert first is not None and others is not None
        states = beside(first, others.reshape(batch, -1, others.shape[-1]))
    prompts = tokens
    if sampling.savings.embed_prompt_once:
        prompts = model.embed_prompt(params, tokens, sampling)

    def run(
        params: Any, example: Shared, rows: dict[str, Array], draws: Array, _: Array
    ) -> Float[Array, "n horizon dims"]:
        prompt, state = ((rows[_TEXT][:, 0, i, 0] > 0.5).astype(jnp.int32) for i in range(2))
        code = prompt + 2 * state
        which = jnp.where(code > 0, 1 + 3 * draws + code - 1, 0)
        pictures = {view: rows[view] for view in views}
        return actions_of_runs(
            params, example, pictures, draws, which, views=views, sampling=sampling
        )

    shared = Shared(prompts, masks, present, noise, states)
    runs = run_players(run, params, shared, scene, of_pixels + 2, set_keys, config, mesh=mesh)
    of_views = jax.lax.map(lambda one: changes(one, of_pixels, config).mean(0), pixels)
    # A token that either of them lacks is a change, too.
    there, own_there = texts.mask.astype(bool), own_mask[:, None, None].astype(bool)
    other = (texts.tokens != own_tokens[:, None, None]) & there & own_there
    differ = (other | (there != own_there)).any(-1)
    if states is not None:
        differ |= (states[:, 1:] != states[:, :1]).any(-1).reshape(differ.shape)
    of_texts = differ[..., :2].astype(jnp.float32).mean(1)
    return runs, jnp.concatenate([of_views, of_texts], -1), frames, pixels.labels
