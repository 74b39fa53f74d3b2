"""Where the donors of a command's frames come from, and what stands in where there are none."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from iss_jax import Background, fills
from iss_jax.background import Groups
from iss_jax.data.dataset import Dataset, digest, open_dataset
from iss_jax.explain.frame_players import PLAYERS
from iss_jax.few import few
from iss_jax.jobs.options import PolicyOptions, at_least_one
from iss_jax.jobs.packaged import located
from iss_jax.policies.donors import background, donor_frames, groups, task_of
from iss_jax.policies.frames import FrameOptions
from iss_jax.policies.restored import Policy

AUTO = "auto"
"""Donors where there are some of other tasks, else a wide blur, which needs none."""

WITHOUT_DONORS = "blur"


@dataclasses.dataclass(frozen=True)
class Donors:
    """A fill, and the donors that it needs.

    Attributes:
        fill: a name of `iss_jax.fills`.
        bank: the donors; None where the fill needs none.
        source: the dataset that they come from.
        files: tells their files apart.
        reason: why none are drawn although donors are what `auto` looks for first; else empty.
    """

    fill: str
    bank: Background | None = None
    source: Dataset | None = None
    files: str = ""
    reason: str = ""

    def groups(self, dataset: Dataset, episode: int, frames: int = 1) -> Groups | None:
        """Episode and task of some frames, which then draw no donor of their own.

        Args:
            dataset: of the frames.
            episode: of all of them.
            frames: how many.
        """
        if self.bank is None or self.source is None:
            return None
        found = groups(dataset, self.bank, [episode] * frames)
        # Another dataset counts its episodes anew.
        same = str(dataset.root) == str(self.source.root)
        return found if same else found._replace(episode=found.episode * 0 - 1)

    def keys(self) -> dict[str, Any]:
        """What a work item holds of them."""
        return {"fill": self.fill, "donors": self.files}


@dataclasses.dataclass(frozen=True)
class PlayersAsked:
    """What configs say of players and of what replaces them.

    Attributes:
        players: One of `frame_players.PLAYERS`, or empty.
        draws: Of each player.
        fill: A name of `iss_jax.fills`, or `auto`.
        donors: Most of them.
        donors_from: Dataset that they come from; see `load_donors`.
    """

    players: str
    draws: int
    fill: str
    donors: int
    donors_from: str

    def check_players(self) -> None:
        """Says what cannot be.

        Raises:
            ValueError: Players or a fill that are not known, or counts below one.
        """
        at_least_one(self, "draws", "donors")
        if self.players and self.players not in PLAYERS:
            wanted = ("", *PLAYERS)
            raise ValueError(f"config.players: {self.players!r} given, one of {wanted} wanted")
        if self.fill != AUTO:
            fills.named(self.fill)


@dataclasses.dataclass(frozen=True)
class PlayerOptions(PolicyOptions, PlayersAsked):
    """A policy, its players and their donors."""

    def load_donors(self, policy: Policy, dataset: Dataset) -> "Donors":
        """The donors that they name."""
        root, most = self.donors_from, self.donors
        return load_donors(self, policy, dataset, fill=self.fill, root=root, most=most)


def _lacking(dataset: Dataset, shown: FrameOptions) -> list[str]:
    """The cameras of explained frames that donors would not show."""
    first = dataset.read(0, [0], regions=False)
    return sorted(set(shown.used.values()) - set(first.images))


def load_donors(
    options: PolicyOptions, policy: Policy, dataset: Dataset, *, fill: str, root: str, most: int
) -> Donors:
    """The donors of a dataset's frames, as a policy sees them.

    Args:
        options: of the policy that is shown them.
        policy: whose image size counts.
        dataset: of the frames that are explained.
        fill: a name of `iss_jax.fills`, or `auto`.
        root: dataset of the donors; when empty the embedded episodes for the embedded policy, and
            the explained dataset for any other.
        most: donors, spread over the tasks.
    """
    root = root or ("embedded" if options.checkpoint == "embedded" else "")
    bank = partial(background, image_size=policy.image_size, options=options.frame_options)
    shown = options.frame_options
    return find_donors(bank, dataset, shown, fill=fill, root=root, most=most)


def find_donors(
    bank_of: Callable[..., Background],
    dataset: Dataset,
    shown: FrameOptions,
    *,
    fill: str,
    root: str,
    most: int,
) -> Donors:
    """The donors of a dataset's frames, and what stands in where there are none.

    Args:
        bank_of: Dataset and `most=` -> donors, at the size at which frames are explained.
        dataset: of the frames that are explained.
        shown: the cameras that are used.
        fill: a name of `iss_jax.fills`, or `auto`.
        root: dataset of the donors; the explained one when empty.
        most: donors, spread over the tasks.

    Raises:
        ValueError: The fill wants donors, and their dataset lacks cameras of the explained frames.
    """
    if fill != AUTO and not fills.needs_donors(fill):
        return Donors(fill)
    source = open_dataset(located(root, "dataset")) if root else dataset
    lacking = _lacking(source, shown)
    if lacking:
        # Cameras of other names: nobody says which are which.
        lacks = f"donors: {source.root} lacks the cameras {few(lacking)}"
        if fill == AUTO:
            return Donors(WITHOUT_DONORS, reason=f"{lacks} of the explained frames")
        raise ValueError(
            f"{lacks} of the explained frames, it has {few(list(source.cameras))}; --donors_from "
            "names a dataset that has them, --fill blur needs none"
        )
    if fill == AUTO:
        tasks = {task_of(source.metadata(index)) for index in range(len(source))}
        own = {task_of(dataset.metadata(index)) for index in range(len(dataset))}
        if any(tasks <= {task} for task in own):
            reason = (
                f"one task: no donors of other tasks in {source.root}; --donors_from names some"
            )
            return Donors(WITHOUT_DONORS, reason=reason)
    bank = bank_of(source, most=most)
    read = dict.fromkeys(episode for episode, _ in donor_frames(source, most))
    files = digest([file for episode in read for file in source.files(episode)])
    return Donors("background" if fill == AUTO else fill, bank, source, files)
