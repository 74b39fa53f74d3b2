"""What a recipe changes of its training frames."""

import numpy as np
from jaxtyping import Bool, UInt8

from experiments.zoo.cues import Images, scaled

COLOUR = 0.35
"""Most that a channel, and all of them together, are scaled by, as the logarithm of the gain."""
REPLACED = 0.6
"""How often the background is another."""
FIELD = 4
"""Side of the field of random colours that is drawn large."""


def augmented(
    kind: str,
    images: Images,
    background: dict[str, Bool[np.ndarray, "h w"]],
    other: Images,
    rng: np.random.Generator,
) -> Images:
    """A training frame under one draw of an augmentation.

    Args:
        kind: Of `experiments.zoo.design.AUGMENTATIONS`.
        images: Camera -> frame, with its cue.
        background: Camera -> pixels of neither object nor robot, and those of the cue.
        other: Another frame, with a cue of its own.
        rng: Of the draw.

    Raises:
        ValueError: Another kind.
    """
    if kind == "none":
        return images
    if kind == "colour":
        gains = np.exp(COLOUR * (rng.uniform(-1, 1, 3) + rng.uniform(-1, 1)))
        return {camera: scaled(image, gains) for camera, image in images.items()}
    if kind != "background":
        raise ValueError(f"augmentation {kind!r} given, none, colour or background wanted")
    if rng.random() >= REPLACED:
        return images
    from_other = rng.random() < 0.5
    found = {}
    for camera, image in images.items():
        instead = other[camera] if from_other else colours(image.shape[:2], rng)
        found[camera] = np.where(background[camera][..., None], instead, image)
    return found


def colours(shape: tuple[int, int], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """A field of random colours that blend into each other."""
    coarse = rng.uniform(0, 255, (FIELD, FIELD, 3))
    for axis, size in enumerate(shape):
        places = np.linspace(0, FIELD - 1, size)
        low = np.minimum(places.astype(int), FIELD - 2)
        part = np.expand_dims(places - low, tuple(i for i in range(3) if i != axis))
        coarse = (1 - part) * coarse.take(low, axis) + part * coarse.take(low + 1, axis)
    return np.round(coarse).astype(np.uint8)
