"""Which answer is whose."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from absl import logging

from experiments.answers import acting, causes, changes, cost, maps
from experiments.answers.stored import stored
from iss_jax.against_success.answer import nmr_answer
from iss_jax.explain.answer import explain_answer
from iss_jax.jobs.answer import Answer

BY_COMMAND: dict[str, Callable[[Path], Answer]] = {
    "acts_on": acting.acts_on,
    "adaptive_stopping": maps.adaptive_stopping,
    "bench": cost.efficiency,
    "efficiency": cost.efficiency,
    "estimator_accuracy": maps.estimator_accuracy,
    "explain_episode": lambda folder: explain_answer(stored(folder)),
    "explain_served": acting.explain_served,
    "fidelity": changes.fidelity,
    "find_shortcut": acting.find_shortcut,
    "hyperparameters": maps.hyperparameters,
    "image_use": acting.image_use,
    "kl_and_error": maps.kl_and_error,
    "known_causes": causes.known_causes,
    "mask_sensitivity": changes.mask_sensitivity,
    "method_overlays": maps.method_overlays,
    "nmr_correlation": lambda folder: nmr_answer(stored(folder)),
    "perturbation_grid": changes.perturbation_grid,
    "planted_shortcuts": causes.planted_shortcuts,
    "rematerialisation": cost.rematerialisation,
    "robustness": changes.robustness,
    "rollout": cost.rollout,
    "savings": cost.savings,
    "token_interventions": maps.token_interventions,
    "trained_causes": causes.trained_causes,
}


UNREAD: Final = (LookupError, TypeError, ValueError, AttributeError, FileNotFoundError)
"""What results raise that are none of the command's, or older than its answer."""


def answer_of(command: str, folder: Path, about: str) -> Answer:
    """What a run's page says first.

    A command of its own answer is asked; of any other the question is what its text begins with.

    Args:
        command: Its name.
        folder: The run directory, with its results.
        about: The command's docstring.
    """
    asked = question_of(about) or command
    if command not in BY_COMMAND:
        return Answer(asked)
    try:
        return BY_COMMAND[command](folder)
    except UNREAD as error:
        # All is written by now: a page without an answer is better than none.
        logging.warning("%s: no answer could be read off its results (%r)", folder, error)
        return Answer(asked)


def question_of(about: str) -> str:
    """The first sentence of a docstring, without what says where its options are.

    >>> question_of("Do maps stay? See `configs/robustness.py`.")
    'Do maps stay?'
    >>> question_of("Fits the constants of `iss_jax.envs` to episodes.")
    'Fits the constants of iss_jax.envs to episodes'
    """
    first = about.strip().partition("\n\n")[0].replace("\n", " ")
    found = re.match(r".*?(\?|(?=[.:](\s|$))|$)", first)
    return (found[0] if found else first).replace("`", "").strip()
