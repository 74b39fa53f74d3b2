"""Does a policy use its images at all?

What other frames' images do to the actions, everything else the frame's own, over what all of
another frame's inputs do. A policy that goes by its instruction and state alone has 0.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iss_jax.background import Background
from iss_jax.effect_reasons import REASONS
from iss_jax.effects_config import EffectsConfig
from iss_jax.modalities import Texts, modality_effects
from iss_jax.records import Record, is_concrete, record, static
from iss_jax.share_intervals import share_intervals

__all__ = ["ImageUse", "image_use"]

CONFIG = EffectsConfig(draws=8)


@record
class ImageUse(Record):
    """What other images do to the actions, beside what everything of another frame does.

    Attributes:
        images: Mean squared change of the actions by other images, of each draw.
        everything: By other images, instruction and state.
        reason: 0 where the ratio is known, else the number of
            `iss_jax.effect_reasons.REASONS`.
        level: How often an interval is to hold the ratio that endless draws would give.
    """

    images: Float[Array, "*b draws"]
    everything: Float[Array, "*b draws"]
    reason: Int[Array, "*b"]
    level: float = static(default=0.95)

    @property
    def valid(self) -> Bool[Array, "*b"]:
        """Whether the ratio is known; `reason` says why not."""
        return jnp.asarray(self.reason) == 0

    @property
    def ratio(self) -> Float[Array, "*b"]:
        """The images' effect over that of everything; 0 where it is not known.

        Above 1 where another frame's instruction and state undo some of what its images do.
        """
        return jnp.where(self.valid, self._parts()[0], 0.0)

    @property
    def stderr(self) -> Float[Array, "*b"]:
        """Standard error of the ratio over draws; infinite of one draw."""
        return self._parts()[1]

    @property
    def interval(self) -> Float[Array, "*b 2"]:
        """Ends of the ratio's interval: Student's t on the jackknife over draws."""
        ends = share_intervals(
            jnp.asarray(self.images)[..., None],
            jnp.asarray(self.everything),
            self.level,
            bounded=False,
        )
        known = self.valid[..., None]
        both = jnp.concatenate(ends, -1)
        return jnp.where(known, both, jnp.array([-jnp.inf, jnp.inf], both.dtype))

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: a title, and a row a frame."""
        if not is_concrete(self) or jnp.ndim(self.reason) > 1 or jnp.size(self.reason) > 8:
            return super().summary()
        if jnp.ndim(self.images) != jnp.ndim(self.reason) + 1:
            return super().summary()
        reasons = np.ravel(self.reason).tolist()
        ratio, stderr = (np.ravel(own).tolist() for own in (self.ratio, self.stderr))
        ends = np.reshape(self.interval, (-1, 2)).tolist()
        rows = []
        for i, reason in enumerate(reasons):
            text = f"not known: {REASONS[reason]}"
            if not reason:
                low, high = ends[i]
                text = f"{ratio[i]:.3f} ± {stderr[i]:.3f} [{low:.3f}, {high:.3f}]"
            rows.append((f"frame {i}", text))
        return "What other images do over what other inputs do, ± one standard error", rows

    def _parts(self) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
        """The ratio and its error, by the delta method on paired draws."""
        images, everything = jnp.asarray(self.images), jnp.asarray(self.everything)
        draws, total = images.shape[-1], everything.mean(-1)
        safe = jnp.where(total > 0, total, 1.0)
        ratio = jnp.where(total > 0, images.mean(-1) / safe, 0.0)
        rest = images - ratio[..., None] * everything
        if draws < 2:
            return ratio, jnp.full_like(ratio, jnp.inf)
        spread = jnp.sqrt(jnp.square(rest).sum(-1) / (draws - 1) / draws)
        return ratio, jnp.where(total > 0, spread / safe, jnp.inf)


def image_use(
    params: Any,
    obs: Any,
    background: Background,
    texts: Texts,
    *,
    config: EffectsConfig = CONFIG,
    level: float = 0.95,
    **options: Any,
) -> ImageUse:
    """How much of what another frame's inputs do to the actions its images do alone.

    Images, instruction and state of a draw come from one donor, with one flow noise. A draw takes
    twelve runs: each input alone, and every combination of them.

    >>> from iss_jax import EffectsConfig, Sampling, embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> from iss_jax.policies.donors import background, donor_texts, groups
    >>> from iss_jax.policies.frames import FrameOptions, read_frames, see
    >>> from iss_jax.policies.restored import load_policy
    >>> policy = load_policy(embedded.checkpoint_path())
    >>> dataset = open_dataset(embedded.episodes_path())
    >>> options = FrameOptions(max_token_len=40)
    >>> bank = background(dataset, policy.image_size, options, most=4)
    >>> seen = see(read_frames(dataset, 160, [0], options), policy, options)
    >>> texts = donor_texts(policy, bank, [seen.episode.prompt], seen.episode.state, options)
    >>> found = image_use(
    ...     policy.params,
    ...     seen.obs,
    ...     bank,
    ...     texts,
    ...     config=EffectsConfig(draws=2),
    ...     groups=groups(dataset, bank, [160]),
    ...     action_horizon=16,
    ...     sampling=Sampling(num_steps=1),
    ... )
    >>> found.ratio.shape, bool(found.ratio[0] > 0.05)
    ((1,), True)

    Args:
        params: openpi's parameter tree of a π0.5 or π0.
        obs: Batched object with openpi's `Observation` attributes.
        background: Donor frames.
        texts: Their instructions and states.
        config: Draws, and which actions count. Its estimator is not read.
        level: Of the interval.
        options: Of `modality_effects`: key, groups, noise, mesh, valid, action_horizon, sampling.

    Raises:
        ValueError: As `modality_effects`, or a level that is no probability.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"image_use: level must lie in (0, 1), got {level}")

    def effects(estimator: str) -> Any:
        own = dataclasses.replace(config, estimator=estimator)
        return modality_effects(
            params, obs, background, texts, config=own, together=True, **options
        )

    # Of the same key, hence of the same donors and noise: values of a draw add up to everything's.
    alone, all_sets = effects("one_at_a_time"), effects("shapley")
    return ImageUse(
        images=alone.by_draw[..., 0],
        everything=all_sets.by_draw.sum(-1),
        reason=all_sets.reason,
        level=level,
    )
