"""What an experiment would compute, said without computing it; for `experiments.plan`."""

from typing import NamedTuple

from iss_jax import ISSConfig


class PlannedItem(NamedTuple):
    """A work item that would be computed.

    Attributes:
        kind: what the plan's table puts it under, such as its split.
        frames: observations that it explains.
        runs: policy runs on one observation each, in forward equivalents (a gradient run is about
            `GRADIENT_RUN` of them).
        stage: items of a stage begin when all of the stages before are computed.
    """

    kind: str
    frames: int
    runs: float
    stage: int = 0


GRADIENT_RUN = 2.2
"""A run and its gradient with respect to the masks, in forward runs: counted FLOPs of the embedded
policy, where `estimator_accuracy` finds 2.19. The parameters' gradients are not computed."""


def iss_runs(iss: ISSConfig) -> float:
    """Runs of one map in forward equivalents, the unmasked one included."""
    iss = iss.resolved(differentiable=True)
    assert iss.num_masks is not None
    runs = (iss.num_masks + 1) * iss.noise_draws
    return runs * GRADIENT_RUN if iss.takes_gradients else runs
