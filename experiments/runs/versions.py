"""`iss_jax.jobs.versions`, under the name that commands know."""

from iss_jax.jobs.versions import EPISODES, MAPS, TRIALS

__all__ = ["EPISODES", "MAPS", "TRIALS"]
