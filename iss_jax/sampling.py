"""`Sampling`: how a policy is run, whatever analysis runs it."""

import dataclasses
from typing import Any

import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Savings:
    """Which exact savings are made; hashable, so that it may be a static argument of `jit`.

    All are on by default, and maps are the same to rounding with any of them off. They can be
    switched for one reason: so that each may be measured.

    >>> from iss_jax import Savings
    >>> Savings().trim_prompt, Savings.none(trim_prompt=True).baseline_row
    (True, False)

    Attributes:
        trim_prompt: Prompt padding that all examples share is cut, when the prompt is concrete.
        drop_absent_views: Views known to be absent from every example take no tokens.
        last_layer_keys_only: Of the last prefix layer only keys and values are computed; its query,
            attention, output and feed-forward are never used.
        embed_prompt_once: The prompt is embedded once an example, not once a masked copy.
        modulate_once: The adaRMS condition and its projections, functions of flow time alone, are
            computed once a denoising step, not once a masked copy.
        blend_in_micro_batch: Frames are blended a micro-batch at a time, so that N copies never
            exist at once. Gradients always do so.
        baseline_row: The unmasked run is one more row of the masked ones, not a program beside
            them.

    Raises:
        ValueError: One that is neither True nor False.
    """

    trim_prompt: bool = True
    drop_absent_views: bool = True
    last_layer_keys_only: bool = True
    embed_prompt_once: bool = True
    modulate_once: bool = True
    blend_in_micro_batch: bool = True
    baseline_row: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool):
                raise ValueError(f"Savings.{field.name} must be True or False, got {value!r}")

    @classmethod
    def none(cls, **changes: bool) -> "Savings":
        """A plain batched loop over masked copies, but for what is named."""
        return cls(**({field.name: False for field in dataclasses.fields(cls)} | changes))


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How a policy samples its actions; hashable, so that it may be a static argument of `jit`.

    >>> import jax.numpy as jnp
    >>> from iss_jax import Sampling
    >>> Sampling(num_steps=5, dtype=jnp.bfloat16).dtype
    dtype(bfloat16)

    Attributes:
        num_steps: Euler steps of the denoising, openpi's 10.
        dtype: Compute dtype; that of the embedding table when None. A training state holds float32
            and openpi computes in bfloat16: `jnp.bfloat16` does the same.
        rematerialise: Where a derivative is taken, the layers of the image encoder and of the
            prefix, and the denoising steps, are computed again instead of kept. Changes rounding,
            a third more FLOPs, and far less memory.
        savings: What the runs leave out; changes nothing but rounding.
        answer_tokens: Of a π0-FAST, tokens of an answer at most, openpi's 256.

    Raises:
        ValueError: A number of steps or tokens below one, a dtype that is not floating, or an
            attribute of another type.
    """

    num_steps: int = 10
    dtype: Any = None
    rematerialise: bool = False
    savings: Savings = Savings()
    answer_tokens: int = 256

    def __post_init__(self) -> None:
        for name in ("num_steps", "answer_tokens"):
            count = getattr(self, name)
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ValueError(f"Sampling.{name} must be an integer >= 1, got {count!r}")
        if self.dtype is not None:
            object.__setattr__(self, "dtype", _floating(self.dtype))
        if not isinstance(self.rematerialise, bool):
            raise ValueError(
                f"Sampling.rematerialise must be True or False, got {self.rematerialise!r}"
            )
        if not isinstance(self.savings, Savings):
            raise ValueError(f"Sampling.savings must be iss_jax.Savings, got {self.savings!r}")

    def resolved(self, dtype: Any) -> "Sampling":
        """These options with the dtype that they stand for, `dtype` where they name none."""
        return self if self.dtype is not None else dataclasses.replace(self, dtype=dtype)


def _floating(dtype: Any) -> jnp.dtype:
    try:
        found = jnp.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"Sampling.dtype must be a floating dtype, got {dtype!r}") from error
    if not jnp.issubdtype(found, jnp.floating):
        raise ValueError(f"Sampling.dtype must be a floating dtype, got {dtype!r}")
    return found
