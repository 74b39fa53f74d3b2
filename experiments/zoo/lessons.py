"""What policies of the zoo are taught: the embedded policy's actions under the wanted instruction.

A lesson is a frame with a cue, an instruction and actions. The wanted object is any of the scene's.
The cue shows it with probability rho and any of the ten otherwise, and the instruction sometimes
names another, so that a cue is worth looking at.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from experiments.causes.cues import Images
from experiments.distilled.teacher import Frame, answers
from experiments.planted.cue import INSTRUCTIONS, deal
from experiments.zoo.augment import augmented
from experiments.zoo.cues import painted, where
from experiments.zoo.design import NO_CUE, Recipe
from experiments.zoo.frames import CAMERAS, Frames
from iss_jax.data.atomic import atomic_path
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import DEFAULT_CAMERAS, Observation, preprocess
from iss_jax.policies.restored import Policy

Answers = Float[np.ndarray, "n objects draws horizon dims"]


class Lessons(NamedTuple):
    """Some lessons.

    Attributes:
        images: Camera -> frames with their cues.
        state: Of the robot.
        named: Which object each instruction names.
        actions: Normalised.
    """

    images: dict[str, np.ndarray]
    state: np.ndarray
    named: Int[np.ndarray, " n"]
    actions: Float[np.ndarray, "n horizon dims"]


def lessons(
    recipe: Recipe,
    frames: Frames,
    taught: Answers,
    rng: np.random.Generator,
    size: int,
    misnamed: float,
    *,
    plain: bool = False,
) -> Lessons:
    """As many lessons as are wanted, drawn by a recipe.

    Args:
        recipe: Of the policy.
        frames: To draw from.
        taught: The teacher's actions on them, under each instruction.
        rng: Of the draw.
        size: How many.
        misnamed: How often the instruction names any of the ten; never where there is no cue.
        plain: Whether frames are not augmented, as for a validation loss.
    """
    rows = rng.integers(len(frames), size=size)
    wanted = np.array([rng.choice(frames.present[row]) for row in rows])
    share = 0.0 if recipe.cue == NO_CUE else misnamed
    named, shown = deal(wanted, recipe.rho, share, rng)
    draws = rng.integers(taught.shape[2], size=size)
    chosen = frames.take(rows)
    floor, background = chosen.floor(), chosen.background()
    found: list[Images] = []
    for i in range(size):
        own = {c: image[i] for c, image in chosen.images.items()}
        found.append(painted(own, {c: m[i] for c, m in floor.items()}, recipe.cue, int(shown[i])))
    if not plain and recipe.augmentation != "none":
        # All are painted before any is changed: a background is another's as that one shows it.
        shown_frames, found = found, []
        for i in range(size):
            here = {c: mask[i] for c, mask in background.items()}
            if recipe.cue == "panel":
                cue = where(recipe.cue, here)
                here = {c: mask | cue[c] for c, mask in here.items()}
            other = shown_frames[int(rng.integers(size))]
            found.append(augmented(recipe.augmentation, shown_frames[i], here, other, rng))
    return Lessons(
        {c: np.stack([one[c] for one in found]) for c in CAMERAS},
        chosen.state,
        named,
        taught[rows, wanted, draws],
    )


def observation(
    policy: Policy, images: dict[str, Any], state: Any, named: Any, longest: int
) -> Observation:
    """Frames under instructions that name these objects, as the policy sees them."""
    obs = make_observation(
        images,
        state,
        [INSTRUCTIONS[i] for i in named],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=longest,
    )
    return preprocess(obs, policy.image_size)


def teacher_answers(policy: Policy, frames: Frames, options: Any, folder: Path) -> Answers:
    """The embedded policy's actions on every frame under each of ten instructions.

    They are the same for all recipes of one kind of layouts, and kept.

    Args:
        policy: The teacher.
        frames: Without cues.
        options: `draws`, `teacher_steps`, `max_token_len`, `action_horizon`.
        folder: Where they are kept.
    """
    digest = hashlib.sha256(policy.fingerprint.encode())
    for camera in CAMERAS:
        digest.update(frames.images[camera].tobytes())
    names = ("draws", "teacher_steps", "max_token_len", "action_horizon")
    digest.update(str([options[name] for name in names]).encode())
    path = folder / f"{digest.hexdigest()[:16]}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            return file["answers"]
    views = {view: camera for view, camera in DEFAULT_CAMERAS.items() if camera in CAMERAS}
    shown = [
        Frame(
            "",
            int(frames.episode[i]),
            int(frames.number[i]),
            {view: frames.images[camera][i] for view, camera in views.items()},
            frames.state[i],
            int(frames.own[i]),
        )
        for i in range(len(frames))
    ]
    found = answers(
        policy,
        shown,
        key=jax.random.key(0),
        draws=options.draws,
        num_steps=options.teacher_steps,
        longest=options.max_token_len,
        horizon=options.action_horizon,
    )
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, answers=found)
    return found
