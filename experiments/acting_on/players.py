"""A frame's players by the name that a config gives."""

import jax.numpy as jnp

from iss_jax import Players, players
from iss_jax.policies.frames import Seen

PLAYERS = ("names", "regions", "looks", "looks_joined")


def players_of(kind: str, seen: Seen) -> Players:
    """The players of a batch of frames.

    Args:
        kind: `names` (instance labels of the dataset; looks of each view where it has none),
            `regions` (labels that say what is nuisance), `looks` (segments of each view),
            `looks_joined` (segments joined over views).
        seen: the frames.

    Raises:
        ValueError: the dataset has no labels of that kind.
    """
    if kind == "names" and set(seen.views) <= set(seen.instances):
        return seen.players(shown=True)
    images = {view: jnp.asarray(image) for view, image in seen.images.items()}
    valid = {view: jnp.asarray(inside) for view, inside in seen.valid.items()}
    if kind == "regions":
        missing = sorted(set(seen.views) - set(seen.regions))
        if missing:
            raise ValueError(f"players 'regions': no region labels of {missing} in the dataset")
        regions = {view: jnp.asarray(labels) for view, labels in seen.regions.items()}
        return players.from_regions(regions)
    if kind == "names" and set(seen.views) <= set(seen.instances):
        return seen.players()
    return players.by_appearance(images, join=kind == "looks_joined", valid=valid)
