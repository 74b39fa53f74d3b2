"""All signals of one inference: shares, the paper's NMR, chunks and features."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.monitored.reader import Reading, reader_effects, reader_nmr
from iss_jax import Background, EffectsConfig, ISSConfig, embedded, nuisance_mass_ratio, saliency
from iss_jax.data.dataset import open_dataset
from iss_jax.monitoring.sampled import action_chunk_entropy, sampled
from iss_jax.monitoring.shares import Shares, SharesProgram, shares_of
from iss_jax.policies.donors import background
from iss_jax.policies.frames import FrameOptions
from iss_jax.policies.openpi import OpenpiPolicy, from_params
from iss_jax.policies.restored import Policy
from iss_jax.sampling import Sampling

SCALARS = ("nuisance_share", "nmr", "entropy", "critical_share", "stderr", "moved", "effect")


@dataclasses.dataclass(frozen=True)
class SignalOptions:
    """What is spent on one inference.

    Attributes:
        draws: Of the shares; four are sixteen runs.
        masks: Of the paper's map.
        chunks: For the entropy.
        num_steps: Denoising steps of the policy and of all signals.
        percent: k of NMR@k.
        donors: In the bank.
        image_size: Side of the policy's frames, pixels.
        action_horizon: H.
    """

    draws: int = 4
    masks: int = 16
    chunks: int = 16
    num_steps: int = 10
    percent: float = 10.0
    donors: int = 82
    image_size: int = 80
    action_horizon: int = 16


@dataclasses.dataclass(frozen=True)
class Signals:
    """The policy that acts, and what is measured beside it (see `signals_of`)."""

    policy: OpenpiPolicy
    program: SharesProgram
    options: SignalOptions

    def act(self, raw: Mapping[str, Any], key: Array) -> np.ndarray:
        """The robot's actions, from the key's first noise."""
        return self.policy.infer(raw, noise=self.noise(key)[0])

    def measure(
        self,
        raw: Mapping[str, Any],
        regions: Mapping[str, np.ndarray],
        key: Array,
        task: str,
        reading: Reading | None = None,
    ) -> dict[str, Any]:
        """Scalars by the names of `SCALARS`, and the features `image` and `hidden`.

        Args:
            raw: What the policy saw.
            regions: View -> labels.
            key: Of the inference.
            task: `suite/task`, whose donors stay out.
            reading: What a panel makes of the policy; None where it reads none.
        """
        obs = self.policy.observe(raw)
        labels = {view: jnp.asarray(own, jnp.int32)[None] for view, own in regions.items()}
        tasks = self.program.background.tasks
        number = tasks.index(task) if task in tasks else -1
        shares, nmr = self._maps(obs, labels, key, number, reading)
        # With the panel in full view the policy is the one under what it shows.
        acted = obs if reading is None else reading.obs
        chunks = sampled(self.policy.params, acted, self.noise(key), self.policy.sampling)
        values = {
            "nuisance_share": shares.nuisance,
            "nmr": float(nmr),
            "entropy": action_chunk_entropy(np.asarray(chunks.actions)),
            "critical_share": shares.players["action-critical"],
            "stderr": shares.stderr,
            "moved": shares.moved["nuisance"],
            "effect": shares.effect,
        }
        rounded = {name: float(f"{value:.5g}") for name, value in values.items()}
        features = {"image": chunks.image, "hidden": chunks.hidden}
        return rounded | {k: np.asarray(v).astype(float).round(4) for k, v in features.items()}

    def _maps(
        self, obs: Any, labels: dict[str, Array], key: Array, task: int, reading: Reading | None
    ) -> tuple[Shares, Array]:
        """The shares of the regions, and the paper's NMR."""
        of_shares, of_map = (jax.random.fold_in(key, number) for number in (1, 2))
        options = self.options
        horizon, sampling = options.action_horizon, self.policy.sampling
        fixed = {"masks": options.masks, "percent": options.percent, "sampling": sampling}
        if reading is None:
            shares = self.program(obs, labels, of_shares, task=task)
            params = self.policy.params
            return shares, _paper_nmr(params, obs, labels, of_map, horizon=horizon, **fixed)
        sizes = {"size": options.image_size, "horizon": horizon}
        found = reader_effects(
            self.policy.params,
            obs,
            reading,
            labels,
            self.program.background,
            of_shares,
            jnp.asarray(task, jnp.int32),
            config=self.program.config,
            sampling=sampling,
            **sizes,
        )
        nmr = reader_nmr(self.policy.params, obs, reading, labels, of_map, **fixed, **sizes)
        return shares_of(found, self.program.nuisance), nmr

    def noise(self, key: Array) -> Array:
        """Flow noise of every chunk of an inference; the first is the one that is acted on."""
        dims = len(self.policy.action_scale(np.zeros(8, np.float32)))
        shape = (self.options.chunks, self.options.action_horizon, dims)
        return jax.random.normal(jax.random.fold_in(key, 0), shape)


@partial(jax.jit, static_argnames=("masks", "percent", "horizon", "sampling"))
def _paper_nmr(
    params: Any,
    obs: Any,
    labels: dict[str, Array],
    key: Array,
    *,
    masks: int,
    percent: float,
    horizon: int,
    sampling: Sampling,
) -> Array:
    config = ISSConfig.paper(num_masks=masks)
    found = saliency(params, obs, key=key, config=config, action_horizon=horizon, sampling=sampling)
    maps = {view: found.maps[view] for view in labels}
    return nuisance_mass_ratio(maps, labels, k=percent)[0]


def signals_of(policy: Policy, bank: Background, options: SignalOptions) -> Signals:
    """The signals of a restored policy."""
    sampling = Sampling(num_steps=options.num_steps)
    acting = from_params(
        policy.params,
        "embedded",
        norm_stats=policy.norm_stats,
        tokenizer=policy.tokenizer,
        sampling=sampling,
    )
    program = SharesProgram(
        acting.params,
        bank,
        config=EffectsConfig(draws=options.draws, like_for_like=True, action_dims=7),
        action_horizon=options.action_horizon,
        sampling=sampling,
    )
    return Signals(acting, program, options)


def donor_bank(options: SignalOptions) -> Background:
    """Donors from the episodes that ship, of all tasks."""
    dataset = open_dataset(embedded.episodes_path())
    return background(dataset, options.image_size, FrameOptions(), most=options.donors)
