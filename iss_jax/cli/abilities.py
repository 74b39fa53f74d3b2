"""Which kinds of explanation work with which kind of policy."""

from typing import NamedTuple

from iss_jax.policies.checkpoint_facts import LEROBOT

SERVED = "served"


class Abilities(NamedTuple):
    """What works with one kind of policy.

    Attributes:
        maps: Saliency.
        players: Effects of players.
        gradients: Estimators that differentiate the policy (`--iss.estimator auto`).
        kl: Whether the effect is the KL of the policy's own distribution of actions.
        batching: How masked copies run.
        cost: Of one map of 100 masks, in runs of the policy.
    """

    maps: str
    players: str
    gradients: str
    kl: str
    batching: str
    cost: str


_TRACED = Abilities("yes", "yes", "yes", "no", "one program", "100 runs and one")

KINDS: dict[str, Abilities] = {
    "π0.5": _TRACED,
    "π0": _TRACED,
    "π0-FAST": Abilities("yes", "yes", "yes", "yes", "one program", "100 runs and one answer"),
    LEROBOT: Abilities("yes", "yes", "no", "no", "rows of a batch", "100 runs and 8"),
    SERVED: Abilities("yes", "yes", "no", "no", "where the server does", "100 calls and 8"),
}
"""Kind of policy -> what works."""


def abilities_of(model: str) -> Abilities:
    """What works with a model.

    >>> abilities_of("LeRobot act").gradients
    'no'

    Args:
        model: As `CheckpointFacts.model` says it, or `served`.
    """
    return KINDS[LEROBOT if model.startswith(LEROBOT) else model]


def abilities_table(model: str) -> str:
    """What works, a line each."""
    names = {"kl": "KL of actions", "cost": "cost, 100 masks"}
    return "\n".join(
        f"{names.get(name, name):<15} {value}"
        for name, value in abilities_of(model)._asdict().items()
    )
