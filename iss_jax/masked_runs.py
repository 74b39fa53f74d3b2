"""The engine of every map: masked copies blended and run in micro-batches, their effects."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from iss_jax import (
    control as control_variates,
    divergence,
    estimators,
    gradient_estimators,
    masks as mask_designs,
    memory,
    modes,
    sharding,
)
from iss_jax.config import ISSConfig
from iss_jax.interventions import blend, blur
from iss_jax.results import MaskRuns, Saliency
from iss_jax.sampling import Savings


def draw_masks(
    key: Key[Array, ""] | Key[Array, " b"], num_views: int, config: ISSConfig
) -> Bool[Array, "*b n v gh gw"]:
    """The keep bits that `config` asks for, of one key or of each of several.

    The number of masks of `config` is resolved.
    """
    num_masks = config.num_masks
    assert num_masks is not None

    def draw(key: Key[Array, ""]) -> Bool[Array, "n v gh gw"]:
        return mask_designs.sample_masks(
            key,
            num_masks,
            num_views,
            grid=config.grid,
            keep_prob=config.keep_prob,
            design=config.design,
        )

    return jax.vmap(draw)(key) if key.ndim else draw(key)


def check_masks(masks: Array, views: Sequence[str], batch: int, config: ISSConfig) -> None:
    """Says what is wrong with keep bits, which may be shared or each row's own.

    Raises:
        ValueError: Another dtype, or a shape that does not fit views, grid or batch.
    """
    own = masks.ndim == 5
    wanted = (len(views), *config.grid)
    fits = masks.ndim in (4, 5) and masks.shape[-3:] == wanted and (not own or len(masks) == batch)
    if masks.dtype != jnp.bool_ or not fits:
        raise ValueError(
            f"masks must be bool [n, {len(views)} views {list(views)}, {config.grid[0]}, "
            f"{config.grid[1]}], or the same for each of {batch} rows, got {masks.dtype} "
            f"{list(masks.shape)}"
        )


def masked_saliency(
    run: Callable[[Any, Any, dict[str, Array]], Float[Array, "rows draws horizon dims"]],
    shared: Any,
    examples: Any,
    images: dict[str, Float[Array, "b h w 3"]],
    masks: Bool[Array, "*b n views gh gw"],
    present: dict[str, Bool[Array, " b"]] | None,
    valid: dict[str, Bool[Array, "b h w"]] | None,
    config: ISSConfig,
    mesh: jax.sharding.Mesh | None = None,
    savings: Savings = Savings(),
    control: Float[Array, "b views gh gw"] | None = None,
) -> Saliency:
    """Core of `attribute` and `saliency`: call it under `jit`.

    Args:
        run: `run(shared, example, {view: rows}) -> actions`, one action chunk for each row and
            noise draw.
        shared: What all examples share, such as parameters.
        examples: Pytree with leading axis b; `run` gets one slice.
        images: Frames; the order of the views is the masks' order.
        masks: Keep bits, shared or each example's own.
        present: Views that are there, all when None.
        valid: Pixels that are not padding; a view without an entry has none.
        config: Static options.
        mesh: Devices over which masks and frames are split.
        savings: Of the blend and of the baseline.
        control: A predicted map of each example, see `iss_jax.control`.

    Raises:
        ValueError: Masks or a control that do not fit the views, the grid or the options.
    """
    views = list(images)
    batch_size = next(iter(images.values())).shape[0]
    check_masks(masks, views, batch_size, config)
    if control is not None:
        control_variates.check_control(control, batch_size, len(views), config)
    own = masks.ndim == 5
    active = active_cells(images, present, valid, config.grid)

    def local(shared: Any, batch: Any, masks: Array) -> Any:
        def one(args: Any) -> tuple[tuple[MaskRuns, Array | None], Array]:
            (example, frames, active, valid), bits = args
            keep = (masks if bits is None else bits) | ~active[None]
            runs, floor, actions = run_masks(
                partial(run, shared, example), frames, keep, valid, config, savings
            )
            return (runs, None if floor is None else floor[None]), actions

        return jax.lax.map(one, (batch, jnp.swapaxes(masks, 0, 1) if own else None))

    split = local if mesh is None else sharding.split_runs(local, mesh, by_frame=own)
    (runs, floors), actions = split(
        shared, (examples, images, active, valid), jnp.swapaxes(masks, 0, 1) if own else masks
    )
    found = cell_scores(masks, runs, active, config, control)
    took_part = {}
    for view in views:
        inside = jnp.ones(images[view].shape[:3], bool)
        if valid is not None and view in valid:
            inside = inside & valid[view]
        if present is not None:
            inside = inside & present[view][:, None, None]
        took_part[view] = inside
    return Saliency(
        maps=pixel_maps(found.scores, took_part),
        valid=took_part,
        cells=found.scores,
        stderr=found.stderr,
        contrast_stderr=found.contrast_stderr,
        effects=runs.effects,
        actions=actions,
        masks=masks,
        gradients=runs.gradients,
        floor=None if floors is None else floors.mean(-1),
        frames=images,
        config=config,
    )


def cell_scores(
    masks: Bool[Array, "*b n views gh gw"],
    runs: MaskRuns,
    active: Bool[Array, "b views gh gw"],
    config: ISSConfig,
    control: Float[Array, "b views gh gw"] | None = None,
) -> estimators.Estimate:
    """Scores and standard errors of each example by the estimator that `config` names."""
    if control is not None:
        return jax.vmap(
            partial(control_variates.estimate_with_control, keep_prob=config.keep_prob),
            in_axes=(0 if masks.ndim == 5 else None, 0, 0),
        )(masks, runs.effects, control, active=active)
    if runs.gradients is None:
        estimate = partial(estimators.estimate, estimator=config.estimator)
        data = (runs.effects,)
    else:
        estimate = partial(gradient_estimators.estimate_from_gradients, estimator=config.estimator)
        data = runs
    return jax.vmap(
        lambda masks, active, *data: estimate(
            masks, *data, design=config.design, keep_prob=config.keep_prob, active=active
        ),
        in_axes=(0 if masks.ndim == 5 else None, *[0] * (1 + len(data))),
    )(masks, active, *data)


def pixel_maps(
    scores: Float[Array, "b views gh gw"], valid: Mapping[str, Bool[Array, "b h w"]]
) -> dict[str, Float[Array, "b h w"]]:
    """Scores brought to the pixels of each view, in the views' order; zero where nothing is."""
    maps = {}
    for index, (view, inside) in enumerate(valid.items()):
        _, height, width = inside.shape
        pixels = mask_designs.upsample(scores[:, index], (height, width))
        maps[view] = jnp.where(inside, pixels, 0.0)
    return maps


def active_cells(
    images: dict[str, Array],
    present: dict[str, Array] | None,
    valid: dict[str, Array] | None,
    grid: tuple[int, int],
) -> Bool[Array, "b views gh gw"]:
    """Cells that mask something: in a view that is there, over at least one valid pixel."""
    batch = next(iter(images.values())).shape[0]
    active = []
    for view in images:
        cells = jnp.ones((batch, *grid), bool)
        if valid is not None and view in valid:
            cells = mask_designs.touched_cells(valid[view], grid)
        if present is not None:
            cells = cells & present[view][:, None, None]
        active.append(cells)
    return jnp.stack(active, axis=1)


def distances(
    actions: Float[Array, "n draws horizon dims"],
    baseline: Float[Array, "draws horizon dims"],
    config: ISSConfig,
) -> Float[Array, " n"]:
    """How far each run moved from the baseline, by the divergence that `config` names."""
    chosen: dict[str, Any] = {
        "reduction": config.reduction,
        "action_dims": config.action_dims,
        "horizon": config.horizon,
        "weights": config.action_weights,
    }
    if config.divergence == "error":
        return divergence.effects(actions, baseline, **chosen).mean(1)
    if config.divergence == "energy":
        return modes.energy_distance(actions, baseline, **chosen)
    within, weights = modes.mode_split(actions, baseline, **chosen)
    return within if config.divergence == "within" else weights


def run_masks(
    run: Callable[[dict[str, Array]], Float[Array, "rows draws horizon dims"]],
    images: dict[str, Float[Array, "h w 3"]],
    masks: Bool[Array, "n views gh gw"],
    valid: dict[str, Bool[Array, "h w"]] | None,
    config: ISSConfig,
    savings: Savings = Savings(),
) -> tuple[MaskRuns, Float[Array, ""] | None, Float[Array, "horizon dims"]]:
    """Runs the policy on the frame and on all its masked copies, a micro-batch at a time.

    Copies are blended inside the micro-batch and only their effects leave it, so peak memory does
    not depend on the number of masks. The unmasked frame is the first row of the first
    micro-batch: the baseline comes out of the very program that it is compared with.

    Args:
        run: Policy on rows of frames.
        images: One frame of each view.
        masks: Keep bits; all True masks nothing.
        valid: Pixels that are not padding.
        config: Static options.
        savings: Of the blend and of the baseline.

    Returns:
        Effect of each mask, its gradient where the estimator wants one; the mean effect of the
        copies that fill up the last micro-batch, which mask nothing (None where there is none); and
        the baseline action chunk (all averaged over noise draws).
    """
    # Rows before the first mask's.
    head = int(savings.baseline_row)
    n = masks.shape[0]
    frames = {view: image.astype(jnp.float32) for view, image in images.items()}
    blurred = {
        view: blur(frame, sigma=config.blur_sigma, valid=(valid or {}).get(view))
        for view, frame in frames.items()
    }
    early = not savings.blend_in_micro_batch and not config.takes_gradients

    def masked(cells: Array) -> dict[str, Array]:
        copies = {}
        for index, (view, frame) in enumerate(frames.items()):
            height, width, _ = frame.shape
            keep = mask_designs.upsample(cells[..., index, :, :], (height, width))
            copies[view] = blend(frame, blurred[view], keep)
        return copies

    def measure(copies: Any, baseline: Array, first: Array) -> tuple[Array, Array]:
        actions = run(copies if early else masked(copies))
        baseline = jnp.where(first, actions[0], baseline)
        return distances(actions, baseline, config), baseline

    def step(baseline: Array, args: tuple[Array, Any]) -> tuple[Array, MaskRuns]:
        first, cells = args
        if not early:
            cells = cells.astype(jnp.float32)
        if not config.takes_gradients:
            effect, baseline = measure(cells, baseline, first)
            return baseline, MaskRuns(effect, None)
        # Rows do not see each other, so that the gradient of their sum is each one's own; all see
        # the baseline, a row whose own gradient is not wanted.
        effect, pull, baseline = jax.vjp(
            lambda cells: measure(cells, baseline, first), cells, has_aux=True
        )
        return baseline, MaskRuns(effect, pull(jnp.ones_like(effect))[0])

    one_row = {v: jax.ShapeDtypeStruct((1, *f.shape), f.dtype) for v, f in frames.items()}
    shape = jax.eval_shape(run, one_row)
    if shape.ndim != 4 or shape.shape[0] != 1:
        raise ValueError(
            "policy must map n images to actions [n, H, A], got "
            f"{[*shape.shape[:1], *shape.shape[2:]]} for n = 1"
        )
    if savings.baseline_row:
        baseline = jnp.zeros(shape.shape[1:], shape.dtype)
    else:
        baseline = run({view: frame[None] for view, frame in frames.items()})[0]
    most = memory.MOST_ROWS_WITH_GRADIENTS if config.takes_gradients else memory.MOST_ROWS
    if config.micro_batch is None:

        def one_step(bits: Array) -> Any:
            copies = masked(bits.astype(jnp.float32)) if early else bits
            return step(baseline, (jnp.zeros((), bool), copies))

        row_bytes = memory.bytes_a_row(
            one_step, lambda rows: jax.ShapeDtypeStruct((rows, *masks.shape[1:]), bool)
        )
        most = memory.rows_that_fit(row_bytes, memory.device_bytes(), most)
    rows = micro_batch_rows(n + head, config.micro_batch, most)
    steps = -(-(n + head) // rows)
    bits = jnp.ones((steps * rows, *masks.shape[1:]), bool).at[head : n + head].set(masks)
    bits = bits.reshape(steps, rows, *masks.shape[1:])
    firsts = (jnp.arange(steps) == 0) & savings.baseline_row
    copies = masked(bits.astype(jnp.float32)) if early else bits
    # Rematerialised, so that a gradient keeps one micro-batch's activations and not all of them.
    baseline, runs = jax.lax.scan(
        jax.checkpoint(step, prevent_cse=False), baseline, (firsts, copies)
    )
    runs = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), runs)
    filling = runs.effects[n + head :]
    floor = filling.mean() if filling.shape[0] else None
    return jax.tree.map(lambda leaf: leaf[head : n + head], runs), floor, baseline.mean(0)


def micro_batch_rows(total: int, micro_batch: int | None, most: int = memory.MOST_ROWS) -> int:
    """Rows of one micro-batch: as given, or an even split into at most `most` rows."""
    if micro_batch is not None:
        return min(micro_batch, total)
    steps = -(-total // most)
    return -(-total // steps)
