"""The axes along which trials depart from what a policy was taught, after LIBERO-Plus.

    cue           the cue shows another object of the scene
    layout        objects elsewhere: shuffled, and moved together (metres)
    looks         objects of other looks: other colours (share of them)
    distractors   coloured discs on the floor (how many)
    texture       a pattern on the floor (share of it)
    light         brighter or darker, of another colour, from elsewhere (strength)
    camera        cameras moved and turned (metres)
    noise         of the sensor (standard deviation, of the whole range)

The first two and the camera, and where light comes from, are the simulator's
(`experiments.zoo.scene`). What is here is painted where things of the scene are seen, so that it
agrees between cameras and stays in its place as the hand moves.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from experiments.planted.cue import COLOURS
from experiments.zoo.cues import Images, scaled

UNSHIFTED = "none"
AXES = ("cue", "layout", "looks", "distractors", "texture", "light", "camera", "noise")

DISC_RADIUS = 0.035
"""Metres: about an object's width."""
STRIPE = 0.06
"""Metres."""
PERMUTATIONS = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
"""Of the channels, but for the one that changes nothing."""


class Scene(NamedTuple):
    """What the cameras see, and what of it is where.

    Attributes:
        images: Camera -> frame.
        floor: Camera -> pixels that show the floor and no cue that lies over it.
        objects: Camera -> which object each pixel shows, 0 where none.
        points: Camera -> where each pixel's ray meets the floor, metres; NaN where it does not.
        area: x low, y low, x high, y high of the floor that the objects stand on, metres.
    """

    images: Images
    floor: Mapping[str, Bool[np.ndarray, "h w"]]
    objects: Mapping[str, Int[np.ndarray, "h w"]]
    points: Mapping[str, Float[np.ndarray, "h w 2"]]
    area: tuple[float, float, float, float]


def shifted(scene: Scene, axis: str, strength: float, seed: int, frame: int) -> Images:
    """The frames under a shift of the picture; as they are under the simulator's own.

    Args:
        scene: Before it.
        axis: Of `AXES`, or `none`.
        strength: Of the shift.
        seed: Of all that stays the same in a trial.
        frame: Number of the frame, for what does not.
    """
    rng = np.random.default_rng([seed, AXES.index(axis)]) if axis in AXES else None
    if rng is None or strength == 0:
        return dict(scene.images)
    if axis == "looks":
        return looks(scene, strength, rng)
    if axis == "distractors":
        return distractors(scene, round(strength), rng)
    if axis == "texture":
        return texture(scene, strength, rng)
    if axis == "light":
        return light(scene.images, strength, rng)
    if axis == "noise":
        return noise(scene.images, strength, np.random.default_rng([seed, frame, 1]))
    return dict(scene.images)


def looks(scene: Scene, strength: float, rng: np.random.Generator) -> Images:
    """Every object's channels dealt anew, mixed with its own colours."""
    most = max(int(labels.max(initial=0)) for labels in scene.objects.values())
    dealt = rng.integers(len(PERMUTATIONS), size=max(most, 32) + 1)
    found = {}
    for camera, image in scene.images.items():
        labels = scene.objects[camera]
        order = np.asarray(PERMUTATIONS)[dealt[labels]]
        other = np.take_along_axis(image, order, axis=-1)
        mixed = np.round((1 - strength) * image + strength * other)
        found[camera] = np.where(labels[..., None] > 0, mixed, image).astype(np.uint8)
    return found


def distractors(scene: Scene, count: int, rng: np.random.Generator) -> Images:
    """Discs in the colours that cues have, anywhere on the floor around the objects."""
    low, high = np.array(scene.area[:2]), np.array(scene.area[2:])
    middles = rng.uniform(low - 0.1, high + 0.1, (count, 2))
    colours = COLOURS[rng.integers(len(COLOURS), size=count)]
    found = {camera: image.copy() for camera, image in scene.images.items()}
    for camera, image in found.items():
        for middle, colour in zip(middles, colours, strict=True):
            near = np.linalg.norm(scene.points[camera] - middle, axis=-1) <= DISC_RADIUS
            image[near & scene.floor[camera]] = colour
    return found


def texture(scene: Scene, strength: float, rng: np.random.Generator) -> Images:
    """Checkers of two colours on the floor, turned by any angle, in the floor's own light."""
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tones = rng.uniform(30, 225, (2, 3))
    found = {}
    for camera, image in scene.images.items():
        points = np.nan_to_num(scene.points[camera])
        fields = np.floor(points @ turn / STRIPE).astype(int).sum(-1) % 2
        mixed = np.round((1 - strength) * image + strength * tones[fields])
        found[camera] = np.where(scene.floor[camera][..., None], mixed, image).astype(np.uint8)
    return found


def light(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """All views brighter or darker and of another colour."""
    brightness = rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.0) * 0.7
    colour = rng.uniform(-1, 1, 3) * 0.5
    gains = np.exp(strength * (brightness + colour - colour.mean()))
    return {camera: scaled(image, gains) for camera, image in images.items()}


def noise(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Gaussian noise of every pixel and channel, new in each frame."""
    found = {}
    for camera, image in images.items():
        drawn = image + 255 * strength * rng.standard_normal(image.shape)
        found[camera] = np.clip(np.round(drawn), 0, 255).astype(np.uint8)
    return found
