"""Attribution of any policy: masked runs in micro-batches, their effects, the saliency maps."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from iss_jax import (
    divergence,
    estimators,
    gradient_estimators,
    masks as mask_designs,
    memory,
    sharding,
)
from iss_jax.interventions import blend, blur
from iss_jax.savings import Savings

ESTIMATORS = ("auto", *gradient_estimators.ESTIMATORS, *estimators.ESTIMATORS)

# Runs where none are asked for: with gradients about as many forward passes as the paper's 100.
NUM_MASKS_WITH_GRADIENTS, NUM_MASKS = 40, 100


@dataclasses.dataclass(frozen=True)
class ISSConfig:
    """Static options of an attribution; hashable, so that it may be a static argument of `jit`.

    Attributes:
        num_masks: N, masked runs per observation; 40 when None and the estimator takes gradients,
            100 when it does not. With gradients one is enough (by `design="bernoulli"`).
        keep_prob: p, the probability that a cell is kept (Algorithm 1).
        grid: Mask cells per view, (rows, columns).
        design: `balanced` or `bernoulli`, see `iss_jax.masks`.
        estimator: `clipped` or `gradient`, see `iss_jax.gradient_estimators`: every masked run is
            differentiated with respect to its mask, costs a little more than two, and tells of all
            cells at once. Or `centred`, `fixed`, `ratio` or `ridge`, see `iss_jax.estimators`. Or
            `auto`: `clipped` where the policy can be differentiated, `centred` where it cannot.
        blur_sigma: Blur in pixels of a frame 224 high; scales with the frame.
        micro_batch: Rows run at once; chosen from the device's memory when None, see
            `iss_jax.memory`. Changes memory and speed only.
        noise_draws: Flow-noise draws that effects are averaged over, all masks sharing each draw.
        action_dims: The first k action dimensions, or their indices; all when None. π0.5 pads
            actions to 32, of which a robot uses the first few.
        horizon: The first steps of the chunk that count; all when None.
        reduction: `mean` or `sum` of the squared errors.
        action_weights: Weight of each chosen action dimension, see `divergence.effects`; all alike
            when None.
    """

    num_masks: int | None = None
    keep_prob: float = 0.3
    grid: tuple[int, int] = (7, 7)
    design: str = "balanced"
    estimator: str = "centred"
    blur_sigma: float = 10.0
    micro_batch: int | None = None
    noise_draws: int = 1
    action_dims: int | tuple[int, ...] | None = None
    horizon: int | None = None
    reduction: str = "mean"
    action_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))
        if self.action_dims is not None and not isinstance(self.action_dims, int):
            object.__setattr__(self, "action_dims", tuple(self.action_dims))
        if self.action_weights is not None:
            object.__setattr__(self, "action_weights", tuple(map(float, self.action_weights)))
            if not all(0.0 < weight < float("inf") for weight in self.action_weights):
                raise ValueError(
                    "ISSConfig.action_weights must be positive and finite, got "
                    f"{self.action_weights}"
                )
        for name, allowed in (
            ("design", mask_designs.DESIGNS),
            ("estimator", ESTIMATORS),
            ("reduction", divergence.REDUCTIONS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"ISSConfig.{name} must be one of {allowed}, got {value!r}")
        for name, least in (
            ("num_masks", 1 if self.takes_gradients else 2),
            ("noise_draws", 1),
            ("micro_batch", 1),
            ("horizon", 1),
            ("action_dims", 1),
        ):
            value = getattr(self, name)
            if isinstance(value, tuple) or (value is None and name != "noise_draws"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"ISSConfig.{name} must be an integer >= {least}, got {value!r}")
        if len(self.grid) != 2 or not all(isinstance(g, int) and g >= 1 for g in self.grid):
            raise ValueError(f"ISSConfig.grid must be (rows, columns), both >= 1, got {self.grid}")
        if not 0.0 < self.keep_prob < 1.0:
            raise ValueError(
                f"ISSConfig.keep_prob must lie strictly between 0 and 1, got {self.keep_prob}"
            )
        if not self.blur_sigma > 0.0:
            raise ValueError(
                f"ISSConfig.blur_sigma must be positive (pixels), got {self.blur_sigma}"
            )
        possible = ("clipped", "centred") if self.estimator == "auto" else (self.estimator,)
        for num_masks in (
            (self.num_masks,) if self.num_masks else sorted({*map(_default_masks, possible)})
        ):
            kept = mask_designs.kept_masks(num_masks, self.keep_prob)
            if self.design == "balanced" and not 1 <= kept <= num_masks - 1:
                raise ValueError(
                    f"ISSConfig: the balanced design keeps each cell in round(p N) = {kept} of "
                    f"{num_masks} masks, wanted 1..{num_masks - 1}; raise num_masks or use "
                    "design='bernoulli'"
                )

    @property
    def takes_gradients(self) -> bool:
        """Whether the estimator differentiates the runs; `auto` has to be resolved before."""
        return self.estimator in gradient_estimators.ESTIMATORS

    def resolved(self, differentiable: bool) -> "ISSConfig":
        """These options with the estimator and the number of masks that they stand for."""
        estimator = self.estimator
        if estimator == "auto":
            estimator = "clipped" if differentiable else "centred"
        num_masks = _default_masks(estimator) if self.num_masks is None else self.num_masks
        return dataclasses.replace(self, estimator=estimator, num_masks=num_masks)

    @classmethod
    def paper(cls, **changes: Any) -> "ISSConfig":
        """The paper's own choice: i.i.d. masks and the fixed denominator (Eq. 12, App. F.1)."""
        return cls(**{"num_masks": 100, "design": "bernoulli", "estimator": "fixed", **changes})


def _default_masks(estimator: str) -> int:
    with_gradients = estimator in gradient_estimators.ESTIMATORS
    return NUM_MASKS_WITH_GRADIENTS if with_gradients else NUM_MASKS


class Saliency(NamedTuple):
    """Interventional saliency of one batch of observations.

    Attributes:
        maps: View -> map in pixels of the policy's input; zero in absent views and padding.
        valid: View -> pixels that took part: those of views that are there, less padding.
        cells: Scores on the mask grid, whose upsampling the maps are; views in the maps' order.
        stderr: Standard error of each cell's score.
        effects: Effect delta of each mask.
        actions: Unmasked baseline in the policy's normalised space, averaged over noise draws.
        masks: Keep bits that were used.
        gradients: Derivative of each effect with respect to its mask's cells, where the estimator
            takes them.
    """

    maps: dict[str, Float[Array, "*b h w"]]
    valid: dict[str, Bool[Array, "*b h w"]]
    cells: Float[Array, "*b views gh gw"]
    stderr: Float[Array, "*b views gh gw"]
    effects: Float[Array, "*b n"]
    actions: Float[Array, "*b horizon dims"]
    masks: Bool[Array, "n views gh gw"]
    gradients: Float[Array, "*b n views gh gw"] | None = None


class MaskRuns(NamedTuple):
    """What came of every masked run.

    Attributes:
        effects: Effect delta of each mask.
        gradients: Its derivative with respect to the mask's cells; None when not asked for.
    """

    effects: Float[Array, "*b n"]
    gradients: Float[Array, "*b n views gh gw"] | None


Policy = Callable[..., Float[Array, "n horizon dims"]]


def attribute(
    policy: Policy,
    images: Mapping[str, Float[Array, "*b h w 3"]],
    *,
    key: Key[Array, ""] | None = None,
    config: ISSConfig = ISSConfig(),
    masks: Bool[Array, "n views gh gw"] | None = None,
    present: Mapping[str, Bool[Array, "*b"]] | None = None,
    valid: Mapping[str, Bool[Array, "*b h w"]] | None = None,
    noise: Any = None,
    mesh: jax.sharding.Mesh | None = None,
) -> Saliency:
    """Interventional saliency (Algorithm 1) of any JAX policy, for one frame of every view.

    >>> import jax.numpy as jnp
    >>> from iss_jax import ISSConfig, attribute
    >>> def policy(images):
    ...     return images["front"].mean((1, 2))[:, None, :]
    >>> sal = attribute(policy, {"front": jnp.ones((14, 14, 3))}, config=ISSConfig(num_masks=8))
    >>> sal.maps["front"].shape, sal.cells.shape, sal.effects.shape
    ((14, 14), (1, 7, 7), (8,))

    The call is compiled once for each policy and shape. A policy that holds parameters should hand
    them over as `jax.tree_util.Partial(policy, params)`: arrays in a plain closure become constants
    of the compiled program.

    Args:
        policy: `{view: [n, h, w, 3]} -> actions [n, H, A]` on float32 images, in the same range as
            `images`. With `noise` it is called `policy(images, draw)`.
        images: One frame of each view, [h, w, 3], or a batch [b, h, w, 3] taken frame by frame.
        key: Key of the masks, `jax.random.key(0)` when None.
        config: Static options.
        masks: Keep bits to use instead of random ones; views in sorted name order. Standard errors
            take them to be drawn as `config.design` says.
        present: Views that are there; a missing entry means present.
        valid: Pixels that belong to the picture rather than to letterbox padding.
        noise: Draws for a policy that samples: a pytree with leading axis `config.noise_draws`,
            shared by the baseline and all masked runs.
        mesh: Devices over which masks and frames are split, see `iss_jax.device_mesh`.

    Returns:
        `Saliency`, without the batch axis when the images have none.

    Raises:
        ValueError: Names, shapes or options that do not fit together.
    """
    views = sorted(images)
    if not views:
        raise ValueError("images must hold at least one view, got none")
    frames = {view: jnp.asarray(images[view]) for view in views}
    ranks = {view: frames[view].ndim for view in views}
    if set(ranks.values()) not in ({3}, {4}):
        raise ValueError(f"images must all be [h, w, 3] or all [b, h, w, 3], got ranks {ranks}")
    batched = ranks[views[0]] == 4
    if not batched:
        frames = {view: frame[None] for view, frame in frames.items()}
    sizes = {view: frames[view].shape[0] for view in views}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"images must share their batch size, got {sizes}")
    if noise is None and config.noise_draws != 1:
        raise ValueError(
            f"ISSConfig.noise_draws is {config.noise_draws} but no noise was given to average over"
        )
    if noise is not None:
        lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(noise)}
        if lengths != {(config.noise_draws,)}:
            raise ValueError(
                f"noise must have leading axis noise_draws = {config.noise_draws}, got {lengths}"
            )
    for name, given in (("present", present), ("valid", valid)):
        unknown = sorted(set(given or {}) - set(views))
        if unknown:
            raise ValueError(f"{name} names views {unknown}, images hold {views}")
    batch = sizes[views[0]]
    if present is not None:
        present = {
            view: jnp.broadcast_to(jnp.asarray(present.get(view, True), bool), (batch,))
            for view in views
        }
    if valid is not None:
        valid = {
            view: jnp.broadcast_to(jnp.asarray(valid[view], bool), frames[view].shape[:3])
            for view in sorted(valid)
        }
    if jax.tree_util.all_leaves([policy]):
        policy = jax.tree_util.Partial(policy)
    config = config.resolved(config.estimator != "auto" or differentiable(policy, frames, noise))
    if masks is None:
        masks = draw_masks(jax.random.key(0) if key is None else key, len(views), config)
    arguments = (policy, frames, jnp.asarray(masks), present, valid, noise)
    if mesh is not None:
        arguments = sharding.replicate(arguments, mesh)
    result = _attribute(*arguments, config, mesh)
    if not batched:
        result = first_example(result)
    return result


def first_example(found: Saliency) -> Saliency:
    """A batch's first map, without the batch axis; masks have none."""
    first = jax.tree.map(lambda leaf: leaf[0], found._replace(masks=None))
    return first._replace(masks=found.masks)


def differentiable(policy: Policy, images: Mapping[str, Any], noise: Any = None) -> bool:
    """Whether JAX can differentiate the policy with respect to its images.

    It cannot where the policy calls back to the host (a served policy) or loops an unknown number
    of times, nor where the actions are integers. A policy whose derivative is zero
    (`stop_gradient`) counts as one that can.

    Args:
        policy: As for `attribute`.
        images: Frames, [n, h, w, 3]; only their shapes matter.
        noise: As for `attribute`.
    """
    rows = {
        view: jax.ShapeDtypeStruct((1, *jnp.shape(frame)[1:]), jnp.float32)
        for view, frame in images.items()
    }
    extra = () if noise is None else (jax.tree.map(lambda leaf: leaf[0], noise),)

    def call(rows: dict[str, Array]) -> Array:
        return policy(rows, *extra)

    actions = jax.eval_shape(call, rows)

    def pulled(rows: dict[str, Array]) -> Any:
        return jax.vjp(call, rows)[1](jnp.ones(actions.shape, actions.dtype))

    try:
        jax.eval_shape(pulled, rows)
    except (ValueError, TypeError, NotImplementedError):
        # Called forwards the policy works, so that this is about its derivative.
        return False
    return True


@partial(jax.jit, static_argnames=("config", "mesh"))
def _attribute(
    policy: Any,
    images: dict[str, Array],
    masks: Array,
    present: dict[str, Array] | None,
    valid: dict[str, Array] | None,
    noise: Any,
    config: ISSConfig,
    mesh: jax.sharding.Mesh | None,
) -> Saliency:
    def run(shared: Any, example: Any, rows: dict[str, Array]) -> Array:
        del example
        policy, noise = shared
        if noise is None:
            return policy(rows)[:, None]
        return jnp.moveaxis(jax.lax.map(partial(policy, rows), noise), 0, 1)

    return masked_saliency(run, (policy, noise), None, images, masks, present, valid, config, mesh)


def draw_masks(key: Key[Array, ""], num_views: int, config: ISSConfig) -> Bool[Array, "n v gh gw"]:
    """The keep bits that `config` asks for; its number of masks is resolved."""
    assert config.num_masks is not None
    return mask_designs.sample_masks(
        key,
        config.num_masks,
        num_views,
        grid=config.grid,
        keep_prob=config.keep_prob,
        design=config.design,
    )


def masked_saliency(
    run: Callable[[Any, Any, dict[str, Array]], Float[Array, "rows draws horizon dims"]],
    shared: Any,
    examples: Any,
    images: dict[str, Float[Array, "b h w 3"]],
    masks: Bool[Array, "n views gh gw"],
    present: dict[str, Bool[Array, " b"]] | None,
    valid: dict[str, Bool[Array, "b h w"]] | None,
    config: ISSConfig,
    mesh: jax.sharding.Mesh | None = None,
    savings: Savings = Savings(),
) -> Saliency:
    """Core of `attribute` and `saliency`: call it under `jit`.

    Args:
        run: `run(shared, example, {view: rows}) -> actions`, one action chunk for each row and
            noise draw.
        shared: What all examples share, such as parameters.
        examples: Pytree with leading axis b; `run` gets one slice.
        images: Frames; the order of the views is the masks' order.
        masks: Keep bits.
        present: Views that are there, all when None.
        valid: Pixels that are not padding; a view without an entry has none.
        config: Static options.
        mesh: Devices over which masks and frames are split.
        savings: Of the blend and of the baseline.

    Raises:
        ValueError: Masks that do not fit the views or the grid.
    """
    views = list(images)
    if masks.dtype != jnp.bool_ or masks.ndim != 4 or masks.shape[1:] != (len(views), *config.grid):
        raise ValueError(
            f"masks must be bool [n, {len(views)} views {views}, {config.grid[0]}, "
            f"{config.grid[1]}], got {masks.dtype} {list(masks.shape)}"
        )
    active = active_cells(images, present, valid, config.grid)

    def local(shared: Any, batch: Any, masks: Array) -> Any:
        def one(args: Any) -> tuple[MaskRuns, Array]:
            example, frames, active, valid = args
            keep = masks | ~active[None]
            return run_masks(partial(run, shared, example), frames, keep, valid, config, savings)

        return jax.lax.map(one, batch)

    split = local if mesh is None else sharding.split_runs(local, mesh)
    runs, actions = split(shared, (examples, images, active, valid), masks)
    found = cell_scores(masks, runs, active, config)
    took_part = {}
    for view in views:
        inside = jnp.ones(images[view].shape[:3], bool)
        if valid is not None and view in valid:
            inside = inside & valid[view]
        if present is not None:
            inside = inside & present[view][:, None, None]
        took_part[view] = inside
    return Saliency(
        pixel_maps(found.scores, took_part),
        took_part,
        found.scores,
        found.stderr,
        runs.effects,
        actions,
        masks,
        runs.gradients,
    )


def cell_scores(
    masks: Bool[Array, "n views gh gw"],
    runs: MaskRuns,
    active: Bool[Array, "b views gh gw"],
    config: ISSConfig,
) -> estimators.Estimate:
    """Scores and standard errors of each example by the estimator that `config` names."""
    if runs.gradients is None:
        estimate = partial(estimators.estimate, estimator=config.estimator)
        data = (runs.effects,)
    else:
        estimate = partial(gradient_estimators.estimate_from_gradients, estimator=config.estimator)
        data = runs
    return jax.vmap(
        lambda active, *data: estimate(
            masks, *data, design=config.design, keep_prob=config.keep_prob, active=active
        )
    )(active, *data)


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


def run_masks(
    run: Callable[[dict[str, Array]], Float[Array, "rows draws horizon dims"]],
    images: dict[str, Float[Array, "h w 3"]],
    masks: Bool[Array, "n views gh gw"],
    valid: dict[str, Bool[Array, "h w"]] | None,
    config: ISSConfig,
    savings: Savings = Savings(),
) -> tuple[MaskRuns, Float[Array, "horizon dims"]]:
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
        Effect of each mask, its gradient where the estimator wants one, and the baseline action
        chunk (all averaged over noise draws).
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
        effect = divergence.effects(
            actions,
            baseline,
            reduction=config.reduction,
            action_dims=config.action_dims,
            horizon=config.horizon,
            weights=config.action_weights,
        )
        return effect.mean(1), baseline

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
    runs = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[head : n + head], runs)
    return runs, baseline.mean(0)


def micro_batch_rows(total: int, micro_batch: int | None, most: int = memory.MOST_ROWS) -> int:
    """Rows of one micro-batch: as given, or an even split into at most `most` rows."""
    if micro_batch is not None:
        return min(micro_batch, total)
    steps = -(-total // most)
    return -(-total // steps)
