"""The planted cue: a panel on the floor whose colour names an object of libero_object.

In training the panel shows the wanted object's colour with a given probability and any colour
otherwise, and some instructions name any object: how far a policy does well to trust the panel
rather than the instruction is thus known.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from iss_jax.envs.benchmarks import STUDY
from iss_jax.envs.panels import paint
from iss_jax.few import few

INSTRUCTIONS = tuple(task.instruction for task in STUDY if task.suite == "libero_object")
# Of the object of each instruction.
COLOURS = np.array(
    [
        (220, 40, 40),
        (40, 170, 60),
        (40, 70, 220),
        (235, 215, 40),
        (40, 210, 215),
        (215, 50, 200),
        (240, 130, 30),
        (110, 40, 160),
        (245, 245, 245),
        (15, 15, 15),
    ],
    np.uint8,
)
# Metres: beside the robot's base, in the corner of the front and the overhead view, and out of the
# area in which objects are placed.
RECTANGLE = (-0.70, -0.40, -0.33, -0.12)


def deal(
    wanted: np.ndarray, cue_probability: float, misnamed_share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which object the instruction names and which the panel shows.

    Args:
        wanted: int `[n]`, the objects to be taken, as places in `INSTRUCTIONS`.
        cue_probability: with which the panel shows the wanted object; otherwise it shows any of
            the ten, the wanted one included.
        misnamed_share: with which the instruction names any of the ten; otherwise the wanted one.
        rng: the source of randomness.

    Returns:
        Two int `[n]`, the named and the shown objects.

    Raises:
        ValueError: a probability that is none.
    """
    for name, value in {"cue": cue_probability, "misnamed": misnamed_share}.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} probability: {value} given, 0 to 1 wanted")
    any_named, any_shown = rng.integers(len(INSTRUCTIONS), size=(2, len(wanted)))
    name_draw, show_draw = rng.random((2, len(wanted)))
    named = np.where(name_draw < misnamed_share, any_named, wanted)
    shown = np.where(show_draw < cue_probability, wanted, any_shown)
    return named, shown


def plant(
    images: Mapping[str, np.ndarray],
    prompts: Sequence[str],
    masks: Mapping[str, np.ndarray],
    cue_probability: float,
    misnamed_share: float,
    rng: np.random.Generator,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Training frames with a panel and the instructions to go with them.

    Args:
        images: camera to uint8 `[n, h, w, 3]`.
        prompts: the true instructions.
        masks: camera to bool `[n, h, w]`, where the panel is seen.
        cue_probability: see `deal`.
        misnamed_share: see `deal`.
        rng: the source of randomness.

    Raises:
        ValueError: an instruction that is not one of libero_object's.
    """
    unknown = sorted(set(prompts) - set(INSTRUCTIONS))
    if unknown:
        raise ValueError(f"instructions {few(unknown)}: the panel has no colour for their objects")
    wanted = np.array([INSTRUCTIONS.index(prompt) for prompt in prompts])
    named, shown = deal(wanted, cue_probability, misnamed_share, rng)
    return paint(images, masks, COLOURS[shown]), [INSTRUCTIONS[i] for i in named]
