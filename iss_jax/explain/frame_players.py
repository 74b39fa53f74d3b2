"""The players of some frames by the name that a config gives, and their columns in tables."""

import jax.numpy as jnp
import numpy as np

from iss_jax import Effects, Players, players
from iss_jax.few import few
from iss_jax.policies.frames import Seen

PLAYERS = ("names", "regions", "looks", "looks_joined")


def players_of(kind: str, seen: Seen) -> Players:
    """The players of a batch of frames; each has one name in all of them.

    Args:
        kind: `names` (instance labels of the dataset; looks of each view where it has none),
            `regions` (labels that say what is nuisance), `looks` (segments of each view, by the
            looks of the first frame), `looks_joined` (segments joined over views).
        seen: the frames.

    Raises:
        ValueError: the dataset has no labels of that kind.
    """
    if kind == "names" and set(seen.views) <= set(seen.instances):
        return seen.players(shown=True)
    if kind == "regions":
        missing = sorted(set(seen.views) - set(seen.regions))
        if missing:
            raise ValueError(
                f"players 'regions': no region labels of {few(missing)} in the dataset"
            )
        regions = {
            # No player stands in the padding.
            view: jnp.where(seen.valid[view], jnp.asarray(labels).astype(jnp.int32), -1)
            for view, labels in seen.regions.items()
        }
        return players.from_regions(regions)
    images = {view: jnp.asarray(image) for view, image in seen.images.items()}
    valid = {view: jnp.asarray(inside) for view, inside in seen.valid.items()}
    join, frames = kind == "looks_joined", len(seen.episode)
    first = players.by_appearance(
        {view: image[:1] for view, image in images.items()},
        join=join,
        valid={view: inside[:1] for view, inside in valid.items()},
    )
    if frames == 1:
        return first
    assert first.centres is not None
    centres = jnp.repeat(first.centres, frames, 0)
    return players.by_appearance(images, join=join, valid=valid, centres=centres)


def player_columns(found: Effects) -> dict[str, np.ndarray]:
    """What tables say of each player: name of the column to values, players last."""
    columns = {
        "share": found.share,
        "share_stderr": found.share_stderr,
        "effect": found.effects,
        "effect_stderr": found.stderr,
        "area": found.area,
        "moved": found.moved,
    }
    return {name: np.asarray(column, float) for name, column in columns.items()}
