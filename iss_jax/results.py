"""What an attribution gives back."""

from typing import NamedTuple

import jax
from jaxtyping import Array, Bool, Float


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


def first_example(found: Saliency) -> Saliency:
    """A batch's first map, without the batch axis; masks have none."""
    first = jax.tree.map(lambda leaf: leaf[0], found._replace(masks=None))
    return first._replace(masks=found.masks)
