"""`attribute_players(policy, images, players, background)`: what any JAX policy acts on."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from iss_jax import sharding
from iss_jax.attribution import Policy, as_batch
from iss_jax.background import Background, Groups, as_background
from iss_jax.checks import check_actions, check_labels, check_masks, check_options
from iss_jax.compact import back, spread_out, to_run
from iss_jax.effect_reasons import NO_DONOR
from iss_jax.effects import Effects, example
from iss_jax.effects_config import EffectsConfig
from iss_jax.few import few
from iss_jax.keys import batch_key
from iss_jax.player_runs import beside_names, run_players
from iss_jax.players import Players, as_players
from iss_jax.results import Cameras, effect_unit
from iss_jax.scenes import donor_frames, drawn, make_scene


def attribute_players(
    policy: Policy,
    images: Mapping[str, Float[Array, "*b h w 3"]],
    players: Players | Mapping[str, Int[Array, "*b h w"]],
    background: Background | Mapping[str, Float[Array, "r h w 3"]] | None = None,
    *,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: EffectsConfig = EffectsConfig(),
    groups: Groups | None = None,
    regions: Mapping[str, Int[Array, "*b h w"]] | None = None,
    present: Mapping[str, Bool[Array, "*b"]] | None = None,
    valid: Mapping[str, Bool[Array, "*b h w"]] | None = None,
    noise: Any = None,
    mesh: jax.sharding.Mesh | None = None,
) -> Effects:
    """Effects of players on any JAX policy, for one frame of every view or a batch.

    >>> import jax.numpy as jnp
    >>> import iss_jax
    >>> def policy(images):  # looks at the left half
    ...     return images["front"][:, :, :4].mean((1, 2))[:, None, :]
    >>> frame = {"front": jnp.zeros((8, 8, 3))}
    >>> halves = {"front": jnp.zeros((8, 8), jnp.int32).at[:, 4:].set(1)}
    >>> donors = {"front": jnp.ones((2, 8, 8, 3)) * jnp.array([1.0, 3.0])[:, None, None, None]}
    >>> found = iss_jax.attribute_players(
    ...     policy, frame, halves, donors, config=iss_jax.EffectsConfig(draws=2)
    ... )
    >>> found.effects.tolist(), found.share.tolist()
    ([5.0, 0.0], [1.0, 0.0])

    Args:
        policy: As for `attribute`. With `noise` it is called `policy(images, draw)`, for one row at
            a time under `vmap`.
        images: One frame of each view, [h, w, 3], or a batch [b, h, w, 3].
        players: Labels at the images' size.
        background: Donors in the images' range and size.
        key: Of donors and sets, see `player_effects`.
        config: Static options.
        groups: Episode and task of each frame.
        regions: Region labels, for `like_for_like`.
        present: Views that are there; a missing entry means present.
        valid: Pixels that belong to the picture.
        noise: Draws for a policy that samples: a pytree with leading axis `config.draws`.
        mesh: Devices over which runs and frames are split.

    Returns:
        `Effects`, without the batch axis when the images have none.

    Raises:
        ValueError: Names, shapes or options that do not fit together, or a policy that does not
            answer one action chunk a row.
        TypeError: `config` is no `EffectsConfig`.
    """
    config = check_options("config", config, EffectsConfig)
    frames, batched = as_batch(images)
    frames = {view: frame.astype(jnp.float32) for view, frame in frames.items()}
    views = tuple(frames)
    batch = frames[views[0]].shape[0]
    players = as_players(players)
    for name, given in (
        ("players", players.labels),
        ("regions", regions),
        ("present", present),
        ("valid", valid),
    ):
        unknown = sorted(set(given or {}) - set(views))
        if unknown:
            raise ValueError(f"{name} name views {few(unknown)}, images hold {few(views)}")
    check_masks("present", present)
    check_masks("valid", valid)
    check_labels("regions", regions or {}, {})
    shapes = {view: frames[view].shape[:3] for view in views}
    own = {view: jnp.full(shape, -1, jnp.int32) for view, shape in shapes.items()}
    own |= _fitting("players", players.labels, shapes)
    marked = None if regions is None else _fitting("regions", regions, shapes)
    inside = {
        view: jnp.broadcast_to(jnp.asarray((valid or {}).get(view, True), bool), shapes[view])
        & jnp.broadcast_to(jnp.asarray((present or {}).get(view, True), bool), (batch,))[
            :, None, None
        ]
        for view in views
    }
    if noise is not None:
        lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(noise)}
        if lengths != {(config.draws,)}:
            raise ValueError(f"noise must have leading axis draws = {config.draws}, got {lengths}")
    keys = jnp.broadcast_to(batch_key(key, batch), (batch,))
    donor_keys, set_keys = (
        jax.vmap(jax.random.fold_in, (0, None))(keys, number) for number in (0, 2)
    )
    bank = None if background is None else as_background(background, views)
    if bank is not None:
        bank_sizes = {view: jnp.shape(bank.images[view])[1:3] for view in views}
        wrong = {view: s for view, s in bank_sizes.items() if s != shapes[view][1:]}
        if wrong:
            raise ValueError(f"background: images must be as large as the frames, got {few(wrong)}")
    donors, has_donors = drawn(donor_keys, bank, groups, batch, config)
    from_bank = donor_frames(bank, donors, views)
    if jax.tree_util.all_leaves([policy]):
        policy = jax.tree_util.Partial(policy)
    own, count, kept = to_run(own, len(players), config.estimator)
    arrays = (policy, frames, own, inside, marked, from_bank, noise, set_keys)
    if mesh is not None:
        arrays = sharding.replicate(arrays, mesh)
    runs, labels = _attribute_players(*arrays, players=count, config=config, mesh=mesh)
    by_draw, moved = runs.by_draw, runs.moved
    if kept is not None:
        labels = back(labels, kept)
        by_draw, moved = (spread_out(found, kept, len(players)) for found in (by_draw, moved))
    names = beside_names(config, views, ())
    centres = players.centres
    if centres is not None and not batched:
        centres = centres[None]
    found = Effects(
        by_draw=by_draw,
        moved=moved,
        beside={name: runs.beside[..., i] for i, name in enumerate(names)},
        floor=runs.floor,
        reason=jnp.where(has_donors, runs.reason, NO_DONOR),
        players=dataclasses.replace(players, labels=labels, centres=centres),
        actions=runs.actions,
        frames=frames,
        donors=donors,
        cameras=Cameras({view: view for view in views}),
        config=config,
        unit=effect_unit(config, "the policy's own actions"),
    )
    return found if batched else example(found)


def _fitting(
    name: str, labels: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Int[Array, "b h w"]]:
    found = {}
    for view, own in labels.items():
        own = jnp.asarray(own).astype(jnp.int32)
        own = own[None] if own.ndim == 2 else own
        if own.shape != shapes[view]:
            raise ValueError(
                f"{name} of {view!r} must be {list(shapes[view])} like its images, got "
                f"{list(own.shape)}"
            )
        found[view] = own
    return found


@partial(jax.jit, static_argnames=("players", "config", "mesh"))
def _attribute_players(
    policy: Any,
    frames: dict[str, Array],
    labels: dict[str, Array],
    inside: dict[str, Array],
    regions: dict[str, Array] | None,
    from_bank: tuple[dict[str, Array] | None, dict[str, Array] | None],
    noise: Any,
    set_keys: Array,
    *,
    players: int,
    config: EffectsConfig,
    mesh: jax.sharding.Mesh | None,
) -> Any:
    def run(
        shared: Any, example: Any, rows: dict[str, Array], draws: Array, prompts: Array
    ) -> Array:
        del example, prompts
        policy, noise = shared
        if noise is None:
            return check_actions(policy(rows), draws.shape[0])

        def single(row: dict[str, Array], draw: Array) -> Array:
            own = jax.tree.map(lambda leaf: leaf[draw], noise)
            alone = {view: image[None] for view, image in row.items()}
            return check_actions(policy(alone, own), 1)[0]

        return jax.vmap(single)(rows, draws)

    donors, donor_regions = from_bank
    if donors is not None:
        donors = {view: own.astype(jnp.float32) for view, own in donors.items()}
    scene = make_scene(
        frames,
        labels,
        inside,
        donors,
        config,
        regions=regions,
        donor_regions=donor_regions,
    )
    examples = jnp.arange(next(iter(frames.values())).shape[0])
    runs = run_players(run, (policy, noise), examples, scene, players, set_keys, config, mesh=mesh)
    return runs, scene.labels
