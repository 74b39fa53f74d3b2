"""What is measured on its own: whole programs of a policy, that lower from shapes alone."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

import iss_jax
from experiments.timing.subject import Subject
from iss_jax.pi05.model import sample_actions
from iss_jax.pi05.observation import preprocess
from iss_jax.pi05.prepare import policy_observation
from iss_jax.sampling import Sampling


class Program(NamedTuple):
    """A function of a policy's parameters and of arrays that it makes itself.

    Attributes:
        fn: `fn(params, *rest)`.
        rest: makes the other arguments; traceable, so that their shapes can be had without them.
        whole: whether it is compiled as one program; otherwise it is called as it is written.
    """

    fn: Callable[..., Any]
    rest: Callable[[], tuple[Any, ...]]
    whole: bool = True

    def traced(self, params: Any) -> Any:
        """The traced program, of parameters or their shapes; nothing is computed."""
        return jax.jit(self.fn).trace(params, *jax.eval_shape(self.rest))


def single_pass(subject: Subject, sampling: Sampling) -> Program:
    """One inference: openpi's plain pass with `Savings.none()`, else on the trimmed prompt."""
    obs = policy_observation(subject.obs, subject.sizes.vocab, trim=sampling.savings.trim_prompt)
    prepared = preprocess(obs, subject.sizes.image.image_size)

    def fn(params: Any, images: Any, noise: jax.Array) -> jax.Array:
        seen = dataclasses.replace(prepared, images=images)
        return sample_actions(params, seen, noise, sampling)

    return Program(fn, lambda: (prepared.images, subject.noise))


def saliency_map(
    subject: Subject,
    config: Mapping[str, Any],
    *,
    micro_batch: int = 0,
    sampling: Sampling = Sampling(),
    whole: bool = True,
) -> Program:
    """A map with its masks drawn; frames, noise and key are arguments, the prompt is known.

    Args:
        subject: policy and observation.
        config: options of `ISSConfig`.
        micro_batch: rows at once; 0 lets the library choose.
        sampling: what the runs leave out, and whether gradients compute activations again.
        whole: whether the call is compiled as one program.
    """
    chosen = iss_jax.ISSConfig(**{"micro_batch": micro_batch or None, **config})

    def fn(params: Any, images: Any, noise: jax.Array, key: jax.Array) -> iss_jax.Saliency:
        return iss_jax.saliency(
            params,
            dataclasses.replace(subject.obs, images=images),
            key=key,
            noise=noise,
            config=chosen,
            sampling=sampling,
        )

    return Program(fn, lambda: (subject.obs.images, subject.noise, jax.random.key(0)), whole)
