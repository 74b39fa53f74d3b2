"""`Background`: a bank of donor frames, and which of them a frame may draw."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key, Shaped

from iss_jax.checks import check_finite, check_labels
from iss_jax.few import few
from iss_jax.records import Record, record, static


class Groups(NamedTuple):
    """Where explained frames come from, so that their own kind stays out of the draw.

    >>> import jax.numpy as jnp
    >>> groups = Groups(episode=jnp.array([3, 8]), task=jnp.array([0, 1]))
    >>> groups.task.tolist()
    [0, 1]

    Attributes:
        episode: Number of each frame's episode.
        task: Number of its task, as `Background.task` counts tasks.
    """

    episode: Int[Array, " b"]
    task: Int[Array, " b"]


@record
class Background(Record):
    """A bank of r donor frames (SHAP's background, Captum's baselines).

    >>> import jax.numpy as jnp
    >>> bank = Background({"front": jnp.zeros((4, 8, 8, 3))}, task=jnp.array([0, 0, 1, 1]))
    >>> len(bank), bank.allowed(Groups(jnp.array([9]), jnp.array([1])))[0].tolist()
    (4, [True, True, False, False])

    Attributes:
        images: View -> donor frames, in the range of the frames that are explained. All views of a
            draw are taken from one donor.
        regions: View -> their region labels, where known.
        episode: Number of each donor's episode; a frame of that episode does not draw it.
        task: Number of each donor's task; a frame of that task does not draw it.
        state: Robot states.
        tasks: Names of the tasks.
        prompts: Instruction of each donor.
    """

    images: dict[str, Shaped[Array, "r h w 3"]]
    regions: dict[str, Shaped[Array, "r h w"]] | None = None
    episode: Int[Array, " r"] | None = None
    task: Int[Array, " r"] | None = None
    state: Float[Array, "r s"] | None = None
    tasks: tuple[str, ...] = static(default=())
    prompts: tuple[str, ...] = static(default=())

    def __len__(self) -> int:
        return next(iter(self.images.values())).shape[0]

    def allowed(self, groups: Groups) -> Bool[Array, "b r"]:
        """Which donors each frame may draw: those of other episodes and tasks."""
        batch = np.shape(groups.episode)[0]
        free = jnp.ones((batch, len(self)), bool)
        for own, donors in ((groups.episode, self.episode), (groups.task, self.task)):
            if donors is not None:
                free = free & (jnp.asarray(own)[:, None] != jnp.asarray(donors)[None])
        return free

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `facts`."""
        return {name: tuple(value) for name, value in facts.items()}


def as_background(
    background: "Background | Mapping[str, Any]", views: tuple[str, ...]
) -> Background:
    """A bank of the views that are wanted, from a bank or from bare frames.

    Raises:
        ValueError: Views that it lacks, frames of different number or that are not finite, labels
            that are no region's, or facts of other shapes.
    """
    if not isinstance(background, Background):
        background = Background({v: jnp.asarray(i) for v, i in background.items()})
    missing = [view for view in views if view not in background.images]
    if missing:
        raise ValueError(
            f"background: no images of {few(missing)}, only of {few(background.images)}"
        )
    shapes = {view: np.shape(background.images[view]) for view in views}
    if any(len(shape) != 4 or shape[-1] != 3 for shape in shapes.values()):
        raise ValueError(f"background: images must be [r, h, w, 3], got {shapes}")
    counts = {view: shape[0] for view, shape in shapes.items()}
    if len(set(counts.values())) != 1 or not all(counts.values()):
        raise ValueError(f"background: views must have as many donors, one at least, got {counts}")
    r = next(iter(counts.values()))
    for view in views:
        check_finite(f"background: images of {view!r}", background.images[view])
    own = {v: labels for v, labels in (background.regions or {}).items() if v in shapes}
    check_labels("background.regions", own, {})
    for view, labels in (background.regions or {}).items():
        if view in shapes and np.shape(labels) != shapes[view][:3]:
            raise ValueError(
                f"background.regions of {view!r} must be {list(shapes[view][:3])} like its images, "
                f"got {list(np.shape(labels))}"
            )
    for name in ("episode", "task"):
        value = getattr(background, name)
        if value is not None and np.shape(value) != (r,):
            raise ValueError(f"background.{name} must be [{r}], got {list(np.shape(value))}")
    return background


def draw_donors(
    key: Key[Array, ""] | Key[Array, " b"],
    allowed: Bool[Array, "b r"],
    draws: int,
) -> Int[Array, "b draws"]:
    """Donors of each frame's draws, different ones while there are enough.

    Frames under one key that may draw the same donors draw the same ones.

    Args:
        key: One key, or one a frame.
        allowed: Donors that each frame may draw.
        draws: How many.
    """
    keys = jnp.broadcast_to(key, (allowed.shape[0],)) if jnp.ndim(key) == 0 else key

    def one(key: Array, free: Array) -> Array:
        rank = jnp.where(free, jax.random.uniform(key, free.shape), 2.0)
        order = jnp.argsort(rank)
        count = jnp.maximum(free.sum(), 1)
        return order[jnp.arange(draws) % count]

    return jax.vmap(one)(keys, allowed)


def require_donors(allowed: Any) -> None:
    """Says which frames have no donor, where that is known.

    Raises:
        ValueError: A frame may draw none; the message names it.
    """
    if isinstance(allowed, Tracer):
        return
    lonely = np.flatnonzero(~np.asarray(allowed).any(-1)).tolist()
    if lonely:
        raise ValueError(
            f"background: frames {lonely} may draw none of {np.shape(allowed)[-1]} donors: all are "
            "of their own episode or task. Give donors of other tasks, or fill='blur'"
        )
