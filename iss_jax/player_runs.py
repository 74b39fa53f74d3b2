"""The engine of players: frames with sets of players replaced, run in micro-batches.

A row is one run: its draw, which says donor and flow noise, and what is replaced in it. Frames are
composed inside the micro-batch, and only the actions leave it, so that peak memory does not depend
on the number of runs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from iss_jax import divergence, effect_estimators, fills, memory, sharding
from iss_jax.effect_reasons import NOT_FINITE, SILENT
from iss_jax.effects import ROUNDING
from iss_jax.effects_config import EffectsConfig
from iss_jax.masked_runs import micro_batch_rows

# run(shared, example, {view: rows}, draws [n], prompts [n]) -> actions [n, H, A]
Run = Callable[[Any, Any, dict[str, Array], Array, Array], Float[Array, "rows horizon dims"]]


class Scene(NamedTuple):
    """What is known of b frames, view by view.

    Attributes:
        frames: The frames.
        labels: Number of each pixel's player, -1 for none.
        valid: Pixels that are picture, of views that are there.
        donors: The donor of each draw.
    """

    frames: dict[str, Float[Array, "b h w 3"]]
    labels: dict[str, Int[Array, "b h w"]]
    valid: dict[str, Bool[Array, "b h w"]]
    donors: dict[str, Float[Array, "b draws h w 3"]]


class PlayerRuns(NamedTuple):
    """What came of the runs.

    Attributes:
        by_draw: Effect of every player in every draw.
        beside: Effects of what lies beside the players, in the order of `beside_names`.
        moved: How much the donors change each player.
        floor: Effect of running the frame itself again.
        reason: 0 where the effects exceed the floor, else `SILENT`, or `NOT_FINITE`.
        actions: Baseline, a mean over draws.
    """

    by_draw: Float[Array, "b draws players"]
    beside: Float[Array, "b draws things"]
    moved: Float[Array, "b players"]
    floor: Float[Array, " b"]
    reason: Int[Array, " b"]
    actions: Float[Array, "b horizon dims"]


def beside_names(
    config: EffectsConfig, views: tuple[str, ...], prompts: tuple[str, ...]
) -> tuple[str, ...]:
    """What is replaced beside the players: tint, whole views, prompts."""
    tint = ("tint",) if config.tint else ()
    return (*tint, *(views if config.views else ()), *prompts)


def run_players(
    run: Run,
    shared: Any,
    examples: Any,
    scene: Scene,
    players: int,
    keys: Key[Array, " b"],
    config: EffectsConfig,
    *,
    prompts: tuple[str, ...] = (),
    mesh: jax.sharding.Mesh | None = None,
) -> PlayerRuns:
    """Runs every draw's baseline and its sets of players; call it under `jit`.

    Args:
        run: The policy on rows; it is told the draw of each row and which prompt it gets: 0 the
            frame's own, 1 + p * draws + d the p-th other prompt's draw d.
        shared: What all frames share, such as parameters.
        examples: Pytree with leading axis b; `run` gets one slice.
        scene: The frames.
        players: How many.
        keys: Of the sets of `banzhaf`, one a frame.
        config: Static options.
        prompts: Names of the prompts that replace the frame's own.
        mesh: Devices over which rows and frames are split.
    """
    views = tuple(scene.frames)
    sets = jax.vmap(lambda key: effect_estimators.replaced_sets(key, players, config))(keys)
    names = beside_names(config, views, prompts)
    draws, count, things = config.draws, sets.shape[2], len(names)
    # Columns of a row: its draw, its set, then what is replaced beside the players. Set 0 is empty.
    a_draw = 1 + count + things
    replaced = jnp.zeros((draws, a_draw, 1 + things), jnp.int32)
    replaced = replaced.at[:, 1 : 1 + count, 0].set(jnp.arange(1, 1 + count))
    replaced = replaced.at[:, 1 + count :, 1:].set(jnp.eye(things, dtype=jnp.int32))
    which = jnp.broadcast_to(jnp.arange(draws, dtype=jnp.int32)[:, None, None], (draws, a_draw, 1))
    rows = jnp.concatenate([which, replaced], -1).reshape(draws * a_draw, -1)

    def local(shared: Any, batch: Any, rows: Array) -> tuple[Array, Array]:
        def one(args: Any) -> tuple[Array, Array]:
            example, scene, sets = args
            return run_rows(run, shared, example, scene, rows, sets, names, views, config)

        return jax.lax.map(one, batch)

    split = local if mesh is None else sharding.split_runs(local, mesh)
    actions, again = split(shared, (examples, scene, sets), rows)
    batch = actions.shape[0]
    actions = actions.reshape(batch, draws, a_draw, *actions.shape[2:])
    baseline = actions[:, :, 0]

    def effect(changed: Array, baseline: Array) -> Array:
        return divergence.effects(changed, baseline[..., None, :, :], **config.divergence)

    values = effect(actions[:, :, 1:], baseline)
    estimate = partial(effect_estimators.effects_by_draw, estimator=config.estimator)
    by_draw = jax.vmap(estimate)(values[..., :count], sets)
    floor = divergence.effects(again, baseline[:, 0], **config.divergence)
    scale = divergence.effects(baseline, jnp.zeros_like(baseline), **config.divergence).mean(-1)
    least = jnp.maximum(floor * players, ROUNDING * scale)
    exceeds = by_draw.mean(1).sum(-1) > least
    reason = jnp.where(exceeds, 0, SILENT)
    finite = jnp.isfinite(by_draw).all((1, 2))
    reason = jnp.where(finite, reason, NOT_FINITE).astype(jnp.int32)
    return PlayerRuns(
        by_draw=by_draw,
        beside=values[..., count:],
        # Roots of zero have no derivative, and nobody wants this one's.
        moved=jax.lax.map(
            lambda one: changes(one, players, config).mean(0), jax.lax.stop_gradient(scene)
        ),
        floor=floor,
        reason=reason,
        actions=baseline.mean(1),
    )


def run_rows(
    run: Run,
    shared: Any,
    example: Any,
    scene: Scene,
    rows: Int[Array, "n columns"],
    sets: Bool[Array, "draws sets players"],
    names: tuple[str, ...],
    views: tuple[str, ...],
    config: EffectsConfig,
) -> tuple[Float[Array, "n horizon dims"], Float[Array, "horizon dims"]]:
    """Actions of all rows of one frame, and of its first row once more.

    Args:
        run: As for `run_players`.
        shared: What all frames share.
        example: The frame's own slice.
        scene: One frame.
        rows: Draw, number of the set from 1 on (0 for none), and what is replaced beside it.
        sets: Players that each draw's sets replace.
        names: What lies beside them.
        views: The views.
        config: Static options.
    """
    frames, labels, valid, donors = scene
    instead = fills.named(config.fill)(frames, valid)
    whole = {view: names.index(view) for view in views if view in names}
    prompts = [i for i, name in enumerate(names) if name != "tint" and name not in views]
    # An empty set before the others, and a last entry for the pixels of no player.
    sets = jnp.pad(sets, ((0, 0), (1, 0), (0, 1)))

    def composed(row: Array) -> dict[str, Array]:
        draw, gone = row[0], row[2:].astype(bool)
        missing = sets[draw, row[1]]
        removed = {}
        for view in views:
            removed[view] = missing[labels[view]] & valid[view]
            if view in whole:
                removed[view] |= gone[whole[view]] & valid[view]
        donor = {view: donors[view][draw] for view in views}
        other = instead(removed, donor)
        copies = {
            view: jnp.where(removed[view][..., None], other[view], frames[view]) for view in views
        }
        if config.tint:
            tinted = fills.tinted(frames, donor, valid)
            is_tint = gone[names.index("tint")]
            copies = {v: jnp.where(is_tint, tinted[v], copy) for v, copy in copies.items()}
        return copies

    def prompt_of(row: Array) -> Array:
        chosen = jnp.zeros((), jnp.int32)
        for number, place in enumerate(prompts):
            own = 1 + number * config.draws + row[0]
            chosen = jnp.where(row[2 + place] > 0, own, chosen)
        return chosen

    def step(rows: Array) -> Array:
        return run(shared, example, jax.vmap(composed)(rows), rows[:, 0], jax.vmap(prompt_of)(rows))

    n, most = rows.shape[0], memory.MOST_ROWS
    if config.micro_batch is None:
        row_bytes = memory.bytes_a_row(
            step, lambda count: jax.ShapeDtypeStruct((count, rows.shape[1]), rows.dtype)
        )
        most = memory.rows_that_fit(row_bytes, memory.device_bytes(), most)
    size = micro_batch_rows(n + 1, config.micro_batch, most)
    steps = -(-(n + 1) // size)
    # The frame itself once more, which tells what a policy's own noise does; then filling.
    blank = jnp.zeros((steps * size - n, rows.shape[1]), rows.dtype)
    padded = jnp.concatenate([rows, blank]).reshape(steps, size, -1)
    step = jax.checkpoint(step, prevent_cse=False)
    _, actions = jax.lax.scan(lambda carry, rows: (carry, step(rows)), None, padded)
    actions = actions.reshape(-1, *actions.shape[2:])
    return actions[:n], actions[n]


def changes(scene: Scene, players: int, config: EffectsConfig) -> Float[Array, "draws players"]:
    """How much each draw changes each player of one frame, when all are replaced.

    The root of the mean squared change of a player's mean colour and of its spread, channel by
    channel, over the spread of all pixels.
    """
    frames, labels, valid, donors = scene
    instead = fills.named(config.fill)(frames, valid)
    place = jnp.concatenate([jnp.where(labels[v] < 0, players, labels[v]).ravel() for v in frames])
    removed = {view: (labels[view] >= 0) & valid[view] for view in frames}
    inside = jnp.concatenate([removed[view].ravel() for view in frames]).astype(jnp.float32)
    count = jax.ops.segment_sum(inside, place, players + 1)

    def pixels(frames: dict[str, Array]) -> Float[Array, "pixels 3"]:
        return jnp.concatenate([frames[view].reshape(-1, 3) for view in scene.frames])

    weight = inside[:, None] / jnp.maximum(inside.sum(), 1.0)
    centre = (pixels(frames) * weight).sum(0, keepdims=True)
    spread = jnp.sqrt((jnp.square(pixels(frames) - centre) * weight).sum(0).mean())

    def mean_of(colours: Array) -> Float[Array, "players+1 3"]:
        total = jax.ops.segment_sum(colours * inside[:, None], place, players + 1)
        return total / jnp.maximum(count, 1.0)[:, None]

    def moments(frames: dict[str, Array]) -> Float[Array, "players 6"]:
        colours = pixels(frames)
        mean = mean_of(colours)
        spread = jnp.sqrt(mean_of(jnp.square(colours - mean[place])))
        return jnp.concatenate([mean, spread], -1)[:players]

    own = moments(frames)

    def one(donor: dict[str, Array]) -> Array:
        change = jnp.square(moments(instead(removed, donor)) - own)
        return jnp.sqrt(2.0 * change.mean(-1)) / jnp.maximum(spread, 1e-6)

    return jax.lax.map(one, donors)
