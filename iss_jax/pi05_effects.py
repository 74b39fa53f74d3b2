"""`player_effects(params, obs, players, background)`: what a π0.5 policy acts on."""

from collections.abc import Mapping
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
    check_labels,
    check_observation,
    check_options,
    check_tokens,
)
from iss_jax.compact import back, spread_out, to_run
from iss_jax.effect_reasons import NO_DONOR
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.keys import batch_key
from iss_jax.pi0_fast.effects import fast_player_effects
from iss_jax.pi0_fast.params import is_fast
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess, resize_with_pad, to_unit_range
from iss_jax.pi05.params import as_params, sizes_of, warn_if_constant
from iss_jax.pi05.prepare import (
    checked_valid,
    flow_noise,
    picture_pixels,
    policy_observation,
    possible_views,
)
from iss_jax.pi05_saliency import Shared, prefilled_rows
from iss_jax.player_runs import beside_names, run_players
from iss_jax.players import Players, as_players
from iss_jax.results import effect_unit
from iss_jax.sampling import Sampling
from iss_jax.scenes import donor_frames, drawn, fitted_labels, labels_at_size, make_scene

# Tokens and mask, and perhaps the states of a π0.
Prompts = Mapping[
    str,
    tuple[Int[Array, "b draws l"], Bool[Array, "b draws l"]]
    | tuple[Int[Array, "b draws l"], Bool[Array, "b draws l"], Float[Array, "b draws s"]],
]


def player_effects(
    params: Any,
    obs: Any,
    players: Players | Mapping[str, Int[Array, "b h w"]],
    background: Background | Mapping[str, Float[Array, "r h w 3"]] | None = None,
    *,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: EffectsConfig = EffectsConfig(),
    groups: Groups | None = None,
    regions: Mapping[str, Int[Array, "b h w"]] | None = None,
    prompts: Prompts | None = None,
    noise: Float[Array, "b draws horizon dims"] | None = None,
    mesh: jax.sharding.Mesh | None = None,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> Effects:
    """Effects of players: each is replaced by other frames' pixels, and the actions' move measured.

    A pure function that may be called inside `jit`, `vmap` and a training step. On concrete inputs
    it leaves out prompt padding and views that every example lacks; it compiles once for each
    shape and number of players.

    >>> import numpy as np
    >>> import iss_jax
    >>> from iss_jax import embedded
    >>> policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    >>> ramp = np.linspace(0, 255, 80 * 80 * 3).astype(np.uint8).reshape(80, 80, 3)
    >>> frames = {camera: ramp for camera in policy.config.cameras.values()}
    >>> obs = policy.observation(frames, np.zeros(8), "pick up the milk")
    >>> players = iss_jax.players.by_appearance(obs.images, most=3)
    >>> donors = {view: np.stack([ramp[::-1], ramp[:, ::-1]]) for view in obs.images}
    >>> found = iss_jax.player_effects(
    ...     policy.params,
    ...     obs,
    ...     players,
    ...     donors,
    ...     config=iss_jax.EffectsConfig(draws=2, action_dims=7),
    ...     action_horizon=16,
    ... )
    >>> found.effects.shape, round(float(found.share.sum()), 3)
    ((1, 3), 1.0)

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        players: What may be taken away, at the size of the observation's images or of the model's;
            views that it does not name hold no player. Bare label maps must be concrete.
        background: Donor frames, uint8 or in [-1, 1], of the model's views; SHAP's background
            distribution, Captum's baselines. Not needed by the fills `blur`, `mean`, `inpaint`.
        key: Of donors, flow noise and sets. One key gives every frame the same noise and, where
            they may draw the same ones, the same donors; keys [b] give each frame its own.
            `jax.random.key(0)` when None.
        config: Static options.
        groups: Episode and task of each frame, which then draws no donor of its own episode or
            task. Without it every donor may be drawn.
        regions: Region labels of the frames at the players' size, for `like_for_like`.
        prompts: Name -> tokens and mask of what replaces the prompt in each draw, a run each beside
            the players: prompts of other frames with the frame's own state, or the other way round
            (π0.5's state is prompt text). As long as the observation's prompt. A third array is the
            states of the draws, for a π0, whose state is no text; the frame's own without it.
        noise: Flow noise of each draw; drawn from the key when None.
        mesh: Devices over which runs and frames are split, see `iss_jax.device_mesh`.
        valid: View -> pixels that are picture, as for `saliency`.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        sampling: Denoising steps, compute dtype, rematerialisation, savings.

    Returns:
        `Effects`: of the players in every draw, in the policy's normalised actions.

    Raises:
        ValueError: Players, donors, labels or noise that do not fit, by name. Where values are
            known: as `saliency`.
        TypeError: `config` is no `EffectsConfig`.
    """
    config = check_options("config", config, EffectsConfig)
    check_observation(obs)
    check_finite("obs.state", obs.state)
    params = as_params(params)
    if is_fast(params):
        if prompts is not None or noise is not None or action_horizon is not None:
            raise ValueError(
                "prompts, noise, action_horizon: a π0-FAST has neither flow noise nor chunks, and "
                "its prompts are not replaced; wanted None"
            )
        return fast_player_effects(
            params,
            obs,
            players,
            background,
            key=key,
            config=config,
            groups=groups,
            regions=regions,
            valid=valid,
            mesh=mesh,
            sampling=sampling,
        )
    sizes = sizes_of(params)
    with jax.ensure_compile_time_eval():
        warn_if_constant(params)
    players = as_players(players)
    size = sizes.image.image_size
    batch = obs.state.shape[0]
    keys = jnp.broadcast_to(batch_key(key, batch), (batch,))
    donor_keys, noise_keys, set_keys = (
        jax.vmap(jax.random.fold_in, (0, None))(keys, number) for number in range(3)
    )
    valid = checked_valid(valid, obs.images)
    known = {view: jnp.shape(obs.images[view])[1:3] for view in obs.images}
    check_labels("regions", regions or {}, {})
    own = labels_at_size("players", players.labels, known, batch, size, -1)
    marked = None if regions is None else labels_at_size("regions", regions, known, batch, size, 0)
    trim = sampling.savings.trim_prompt and not prompts
    obs = policy_observation(obs, sizes.vocab, trim=trim)
    noise = flow_noise(noise, noise_keys, batch, config.draws, action_horizon, sizes.action_dim)
    views = possible_views(obs) if sampling.savings.drop_absent_views else VIEWS
    views = tuple(view for view in views if view in obs.images)
    # In the order of a pytree's keys, in which they come out of `jit`.
    prompts = _prompts(prompts, obs, config.draws, sizes.vocab)
    bank = None if background is None else as_background(background, views)
    if bank is not None:
        check_frames("background", {view: bank.images[view] for view in views})
    donors, has_donors = drawn(donor_keys, bank, groups, batch, config)
    from_bank = donor_frames(bank, donors, views)
    own, count, kept = to_run(own, len(players), config.estimator)
    arrays = (params, obs, noise, own, marked, from_bank, valid, prompts, set_keys)
    if mesh is not None:
        arrays = sharding.replicate(arrays, mesh)
    runs, frames, labels = _player_effects(
        *arrays,
        players=count,
        config=config,
        mesh=mesh,
        views=views,
        image_size=size,
        sampling=sampling.resolved(model.compute_dtype(params)),
    )
    by_draw, moved = runs.by_draw, runs.moved
    if kept is not None:
        labels = back(labels, kept)
        by_draw, moved = (spread_out(found, kept, len(players)) for found in (by_draw, moved))
    names = beside_names(config, views, tuple(prompts))
    centres = players.centres
    if centres is not None and centres.ndim == 2:
        centres = centres[None]
    return Effects(
        by_draw=by_draw,
        moved=moved,
        beside={name: runs.beside[..., i] for i, name in enumerate(names)},
        floor=runs.floor,
        reason=jnp.where(has_donors, runs.reason, NO_DONOR),
        players=Players(labels, centres, players.names),
        actions=runs.actions,
        frames=frames,
        donors=donors,
        config=config,
        unit=effect_unit(config, "normalised actions"),
    )


@partial(jax.jit, static_argnames=("players", "config", "mesh", "views", "image_size", "sampling"))
def _player_effects(
    params: Any,
    obs: Observation,
    noise: Array,
    labels: dict[str, Array],
    regions: dict[str, Array] | None,
    from_bank: tuple[dict[str, Array] | None, dict[str, Array] | None],
    valid: dict[str, Array],
    prompts: dict[str, tuple[Array, Array, Array]],
    set_keys: Array,
    *,
    players: int,
    config: EffectsConfig,
    mesh: jax.sharding.Mesh | None,
    views: tuple[str, ...],
    image_size: int,
    sampling: Sampling,
) -> Any:
    given, obs = obs, preprocess(obs, image_size)
    picture = picture_pixels(given.images, valid, views, image_size) or {}
    batch = noise.shape[0]
    frames = {view: obs.images[view] for view in views}
    present = {view: obs.image_masks[view] for view in views}
    everywhere = jnp.ones((batch, image_size, image_size), bool)
    inside = {v: picture.get(v, everywhere) & present[v][:, None, None] for v in views}
    donors, donor_regions = from_bank
    if donors is not None:
        donors = {view: donor_pixels(own, image_size) for view, own in donors.items()}
    if donor_regions is not None:
        # No frame has the label of a donor's padding.
        donor_regions = {
            view: fitted_labels(own, image_size, image_size, -1)
            for view, own in donor_regions.items()
        }
    nobody = jnp.full((batch, image_size, image_size), -1, jnp.int32)
    scene = make_scene(
        frames,
        {view: labels.get(view, nobody) for view in views},
        inside,
        donors,
        config,
        regions=regions,
        donor_regions=donor_regions,
    )
    tokens, masks = obs.tokenized_prompt, obs.tokenized_prompt_mask
    assert tokens is not None and masks is not None
    tokens = jnp.concatenate([tokens[:, None], *(own[0] for own in prompts.values())], 1)
    masks = jnp.concatenate([masks[:, None], *(own[1] for own in prompts.values())], 1)
    states = None
    if model.reads_state(params):
        of_draws = (own[2].reshape(-1, own[2].shape[-1]) for own in prompts.values())
        first = model.state_of(params, obs.state, batch)
        read = (first, *(model.state_of(params, own) for own in of_draws))
        rows = [own.reshape(batch, -1, own.shape[-1]) for own in read if own is not None]
        states = jnp.concatenate(rows, 1)
    if sampling.savings.embed_prompt_once:
        tokens = model.embed_prompt(params, tokens, sampling)
    run = partial(actions_of_runs, views=views, sampling=sampling)
    runs = run_players(
        run,
        params,
        Shared(tokens, masks, present, noise, states),
        scene,
        players,
        set_keys,
        config,
        prompts=tuple(prompts),
        mesh=mesh,
    )
    return runs, frames, scene.labels


def donor_pixels(donors: Array, size: int) -> Float[Array, "b draws h w 3"]:
    """Each draw's donor as the policy takes frames: in [-1, 1], at the model's size.

    Args:
        donors: [b, draws, h, w, 3], uint8 or in [-1, 1].
        size: The model's, pixels.
    """
    flat = to_unit_range(donors.reshape(-1, *donors.shape[2:]))
    flat = resize_with_pad(flat, size, size)
    return flat.reshape(*donors.shape[:2], *flat.shape[1:])


def actions_of_runs(
    params: Any,
    example: Shared,
    rows: dict[str, Float[Array, "n h w 3"]],
    draws: Int[Array, " n"],
    prompts: Int[Array, " n"],
    *,
    views: tuple[str, ...],
    sampling: Sampling,
) -> Float[Array, "n horizon dims"]:
    """The policy on copies of one observation's frames, each with its draw's noise and a prompt.

    Args:
        params: nested dict.
        example: what the copies choose from: c prompts, and noise a draw.
        rows: copies of each view.
        draws: of each row.
        prompts: of each row.
        views: those that take tokens, in the model's order.
        sampling: How the policy is run.
    """
    prompt, prompt_mask, present, noise, state = example
    states = None if state is None else state[prompts]
    cache, mask = prefilled_rows(
        params, rows, present, prompt[prompts], prompt_mask[prompts], states, views, sampling
    )
    return model.denoise(params, cache, mask, noise[draws], sampling)


def _prompts(prompts: Prompts | None, obs: Observation, draws: int, vocab: int) -> Prompts:
    """What replaces prompt and state in each draw, by name in order, as arrays.

    Raises:
        ValueError: Tokens or states of another shape than the observation's in each draw, not
            finite or beyond the table; or neither a pair nor three of them.
    """
    assert obs.tokenized_prompt is not None
    batch, length = obs.tokenized_prompt.shape
    found: dict[str, Any] = {}
    for name, own in sorted((prompts or {}).items()):
        if not isinstance(own, tuple | list) or len(own) not in (2, 3):
            raise ValueError(
                f"prompts[{name!r}] must be tokens, mask and perhaps states, got "
                f"{type(own).__name__}"
            )
        tokens, mask, *given = (jnp.asarray(one) for one in own)
        state = jnp.asarray(obs.state)[:, None]
        states = given[0] if given else jnp.broadcast_to(state, (batch, draws, state.shape[-1]))
        if states.ndim != 3 or states.shape[:2] != (batch, draws):
            raise ValueError(
                f"prompts[{name!r}]: states must be [{batch}, {draws} draws, s], got "
                f"{list(states.shape)}"
            )
        check_finite(f"prompts[{name!r}]: states", states)
        if tokens.shape != (batch, draws, length) or mask.shape != tokens.shape:
            raise ValueError(
                f"prompts[{name!r}] must be [{batch}, {draws} draws, {length}] twice, got "
                f"{list(tokens.shape)} and {list(mask.shape)}"
            )
        check_tokens(f"prompts[{name!r}]", tokens, mask, vocab)
        found[name] = (tokens, mask.astype(bool), states)
    return found
