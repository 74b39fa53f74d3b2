"""Versions and layouts of what the experiments store; see `iss_jax.jobs.versions`."""

from iss_jax.jobs.versions import EPISODES, MAPS, TRIALS

__all__ = ["EPISODES", "MAPS", "TRIALS"]
