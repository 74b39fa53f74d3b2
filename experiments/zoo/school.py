"""Teacher, frames and lessons, read once for all policies that are taught by them."""

import functools
from pathlib import Path
from typing import Any

from experiments.zoo.design import Recipe
from experiments.zoo.frames import Frames, load_frames
from experiments.zoo.lessons import Answers, teacher_answers
from experiments.zoo.training import train
from iss_jax import embedded
from iss_jax.policies.restored import Policy, load_policy


class School:
    """What policies of the zoo are taught by.

    Args:
        options: Key `train` of the configuration.
        folder: Where the teacher's answers are kept.
    """

    def __init__(self, options: Any, folder: Path):
        self._options, self._folder = options, folder

    @functools.cached_property
    def teacher(self) -> Policy:
        """The embedded policy, which all of them start from."""
        return load_policy(embedded.checkpoint_path())

    @functools.cache  # noqa: B019
    def taught_on(self, layouts: str) -> tuple[Frames, Answers]:
        """The frames of one kind of layouts, or `heldout`, and the teacher's actions on them."""
        options = self._options
        frames = load_frames(options.frames.format(layouts=layouts), options.most_frames)
        return frames, teacher_answers(self.teacher, frames, options, self._folder / "lessons")

    def train(self, recipe: Recipe, folder: Path, *, quiet: bool = False) -> Path:
        """One policy, see `experiments.zoo.training.train`."""
        if (folder / "leaves.npz").exists():
            return folder / "leaves.npz"
        frames, taught = self.taught_on(recipe.layouts)
        return train(recipe, self.teacher, frames, taught, self._options, folder, quiet=quiet)
