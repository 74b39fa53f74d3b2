"""Episodes and their readers and writers."""

from iss_jax.data.episode import Episode

__all__ = ["Episode"]
