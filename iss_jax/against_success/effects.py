"""NMR by effect of the study's frames: donors, what was measured, and what is read off it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax import Background, EffectsConfig, Groups, Region, Sampling, player_effects
from iss_jax.data.dataset import Dataset, digest
from iss_jax.effect_estimators import mean_and_covariance, shares
from iss_jax.nmr_effect import shifted
from iss_jax.players import from_regions
from iss_jax.policies.donors import background, donor_frames, groups, task_of
from iss_jax.policies.frames import FrameOptions, Seen
from iss_jax.policies.restored import Policy


@dataclasses.dataclass(frozen=True)
class EffectOptions:
    """The key `effects` of a config.

    Attributes:
        draws: Of each region; 0 leaves NMR by effect out.
        like_for_like: Whether a pixel is replaced by donor pixels of its own region.
        donors: Frames of the bank, spread over the dataset's tasks.
        chance: Whether the chance level, the labels shifted within the frame, is run too.
        anything: Whether the regions are replaced by whatever a donor shows there, too, beside
            donor pixels of their own region.

    Raises:
        ValueError: A number below 0.
    """

    draws: int = 4
    like_for_like: bool = True
    donors: int = 128
    chance: bool = True
    anything: bool = False

    def __post_init__(self) -> None:
        if self.draws < 0 or self.donors < 1:
            raise ValueError(
                f"config.effects: draws {self.draws} and donors {self.donors} given, at least 0 "
                "and 1 wanted"
            )
        if self.anything and not self.like_for_like:
            raise ValueError(
                "config.effects: anything asks for a second form beside like_for_like, which is "
                "False: the only form is that one already"
            )

    def check(self, dataset: Dataset) -> None:
        """Says that no frame would have donors, before anything is computed.

        Raises:
            ValueError: All episodes are of one task.
        """
        tasks = {task_of(dataset.metadata(episode)) for episode in range(len(dataset))}
        if self.draws and len(tasks) == 1:
            raise ValueError(
                f"config.effects: all {len(dataset)} episodes of {dataset.root} are of one task, "
                f"{' '.join(tasks.pop()).strip()!r}, and a frame draws donors of other tasks; "
                "effects.draws=0 leaves NMR by effect out"
            )

    @property
    def fill(self) -> str:
        """What replaces a region, in words."""
        own = "its own region of " if self.like_for_like else ""
        return f"background: {own}frames of other tasks of the dataset"

    def config(self, action_dims: int | tuple[int, ...] | None) -> EffectsConfig:
        """As the library takes them."""
        return EffectsConfig(
            draws=self.draws, like_for_like=self.like_for_like, action_dims=action_dims
        )

    def key(self, dataset: Dataset) -> dict[str, Any]:
        """What a work item says of them: nothing where there is no NMR by effect."""
        if not self.draws:
            return {}
        chosen = donor_frames(dataset, self.donors)
        files = dict.fromkeys(path for episode, _ in chosen for path in dataset.files(episode))
        own = dataclasses.asdict(self)
        if not self.anything:
            # Items from before there was a choice say nothing of it.
            del own["anything"]
        return {"effects": {**own, "bank": digest(files)}}


class Bank(NamedTuple):
    """Donors, and the dataset whose episodes and tasks stay out of their own frames' draws."""

    donors: Background
    dataset: Dataset

    def groups(self, episode: int, frames: int) -> Groups:
        """Of frames of one episode."""
        return groups(self.dataset, self.donors, [episode] * frames)


def load_bank(
    options: EffectOptions, dataset: Dataset, policy: Policy, frames: FrameOptions
) -> Bank | None:
    """The donors; None where there is no NMR by effect."""
    if not options.draws:
        return None
    return Bank(background(dataset, policy.image_size, frames, most=options.donors), dataset)


def measure_effects(
    policy: Policy,
    seen: Seen,
    bank: Bank,
    episode: int,
    keys: jax.Array,
    config: EffectsConfig,
    *,
    chance: bool,
    anything: bool = False,
    action_horizon: int,
    sampling: Sampling,
) -> dict[str, np.ndarray]:
    """Effects of the regions in every draw of every frame, and with the labels shifted.

    Args:
        policy: The policy.
        seen: b frames of the episode.
        bank: Donors.
        episode: Number of the episode in the bank's dataset.
        keys: [b], one a frame.
        config: Static options.
        chance: Whether the labels are shifted, too.
        anything: Whether regions are replaced by anything, too (`EffectOptions`).
        action_horizon: H.
        sampling: How the policy is run.

    Returns:
        `effects` [b, draws, 3], `effects_reason` [b], `effects_moved` [b, 3], and
        `effects_chance` [b, draws, 3]; likewise `effects_anything` and its reason.
    """
    own = {view: jnp.asarray(labels) for view, labels in seen.regions.items()}
    moved = {view: shifted(labels, jnp.asarray(seen.valid[view])) for view, labels in own.items()}
    by_anything = dataclasses.replace(config, like_for_like=False)
    asked = {"shown": (own, config)}
    asked |= {"chance": (moved, config)} if chance else {}
    asked |= {"anything": (own, by_anything)} if anything else {}
    found = {
        name: player_effects(
            policy.params,
            seen.obs,
            from_regions(labels),
            bank.donors,
            key=keys,
            config=form,
            groups=bank.groups(episode, len(keys)),
            regions=own,
            action_horizon=action_horizon,
            sampling=sampling,
        )
        for name, (labels, form) in asked.items()
    }
    measured = {
        "effects": found["shown"].by_draw,
        "effects_reason": found["shown"].reason,
        "effects_moved": found["shown"].moved,
    }
    if chance:
        measured["effects_chance"] = found["chance"].by_draw
    if anything:
        measured["effects_anything"] = found["anything"].by_draw
        measured["effects_anything_reason"] = found["anything"].reason
    return {name: np.asarray(value) for name, value in measured.items()}


def effect_rows(results: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Measures of a row from its frames, and their standard errors.

    NMR by effect is a mean of the frames' nuisance shares (Eq. 10 is a mean over observations),
    over the frames that have one.

    Args:
        results: Of each of the row's episodes, as `measure_effects` returns them.
    """
    if any("effects" not in result for result in results):
        return {}, {}
    measures: dict[str, float] = {}
    errors: dict[str, float] = {}
    for name, source, reasons in (
        ("nmr_effect", "effects", "effects_reason"),
        ("nmr_effect_chance", "effects_chance", "effects_reason"),
        ("nmr_effect_anything", "effects_anything", "effects_anything_reason"),
    ):
        if any(source not in result for result in results):
            continue
        known = np.concatenate([np.asarray(r[reasons]) == 0 for r in results])
        by_draw = np.concatenate([np.asarray(r[source], np.float64) for r in results])
        share, stderr = nuisance_share(by_draw)
        measures[name] = float(share[known].mean()) if known.any() else float("nan")
        count = max(int(known.sum()), 1)
        errors[name] = float(np.sqrt(np.square(stderr[known]).sum()) / count)
    if "nmr_effect_chance" in measures:
        measures["excess_effect"] = measures["nmr_effect"] - measures["nmr_effect_chance"]
    by_draw = np.concatenate([np.asarray(r["effects"], np.float64) for r in results])
    measures["effect"] = float(by_draw.sum(-1).mean())
    measures["support_effect"] = float(by_draw[..., Region.SUPPORT].mean())
    return measures, errors


def nuisance_share(by_draw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nuisance share of each frame and its standard error, [t] each.

    Args:
        by_draw: Effects [t, draws, 3].
    """
    share, stderr = shares(*mean_and_covariance(jnp.asarray(by_draw)))
    return np.asarray(share)[..., Region.NUISANCE], np.asarray(stderr)[..., Region.NUISANCE]
