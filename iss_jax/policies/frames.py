"""The one way from a stored episode to what a policy sees, with its labels in the same geometry.

    episode = read_frames(dataset, 3, [0, 8], options)     # of any format, mirrored if asked
    seen = see(episode, policy, options)                   # observation, pictures, labels
    players = seen.players()                               # things by name, to be taken away
    source = source_of(dataset, 3)                         # what tells it apart, for work items

What changes pixels in between (a perturbation, a painted panel) changes the episode's images.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int32, UInt8

from iss_jax.checks import check_finite, check_labels
from iss_jax.data.dataset import Dataset, digest
from iss_jax.data.episode import Episode
from iss_jax.data.regions import fit_regions
from iss_jax.few import few
from iss_jax.option_types import check_types
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import DEFAULT_CAMERAS, VIEWS, Observation, resize_with_pad
from iss_jax.players import NOBODY, Players, from_instances
from iss_jax.policies.restored import Policy

Labels = Literal["required", "optional", "none"]


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """How a policy is shown the frames of a dataset.

    >>> FrameOptions(cameras={"base_0_rgb": "front", "left_wrist_0_rgb": ""}).used
    {'base_0_rgb': 'front'}

    Attributes:
        cameras: View -> camera of the dataset; a view without one, or with "", is absent.
        max_token_len: Prompts are padded or cut to this.
        discrete_state_input: Whether the state stands in a π0.5's prompt.
        mirror: Whether frames and labels are mirrored left to right.

    Raises:
        ValueError: A view that π0.5 does not have, or no camera at all.
    """

    cameras: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(DEFAULT_CAMERAS))
    max_token_len: int = 200
    discrete_state_input: bool = True
    mirror: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        unknown = sorted(set(self.cameras) - set(VIEWS))
        if unknown:
            raise ValueError(f"cameras: views {unknown} given, of {list(VIEWS)} wanted")
        if not self.used:
            raise ValueError(f"cameras: {dict(self.cameras)} given, one camera at least wanted")

    @property
    def used(self) -> dict[str, str]:
        """View -> camera of the views that are there, in the policy's order."""
        return {view: self.cameras[view] for view in VIEWS if self.cameras.get(view)}

    @classmethod
    def of_item(cls, item: Mapping[str, Any]) -> FrameOptions:
        """Those that a work item holds; items name mirroring only where there is some."""
        return cls(
            item["cameras"],
            item["max_token_len"],
            item["discrete_state_input"],
            item.get("mirror", False),
        )


@dataclasses.dataclass(frozen=True)
class Seen:
    """t frames of an episode, as a policy sees them.

    Attributes:
        episode: The frames themselves.
        obs: What the policy takes; views without a camera are absent.
        cameras: View -> camera of the views that are there, in the policy's order.
        regions: View -> labels in the geometry of the policy's input, 0 in the padding; of the
            views whose camera has labels.
        valid: View -> pixels that are picture rather than padding.
        size: Side of the policy's images, pixels.
        instances: View -> which thing each pixel shows, in the same geometry, -1 in the padding; of
            the views whose camera has instance labels.
    """

    episode: Episode
    obs: Observation
    cameras: dict[str, str]
    regions: dict[str, UInt8[np.ndarray, "t h w"]]
    valid: dict[str, Bool[np.ndarray, "t h w"]]
    size: int
    instances: dict[str, Int32[np.ndarray, "t h w"]] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def images(self) -> dict[str, UInt8[np.ndarray, "t h w 3"]]:
        """View -> the picture at the policy's size, for display."""
        return {
            view: np.asarray(
                jax.device_get(resize_with_pad(self.obs.images[view], self.size, self.size))
            )
            for view in self.cameras
        }

    @property
    def views(self) -> tuple[str, ...]:
        """The views that are there, in the policy's order."""
        return tuple(self.cameras)

    def players(self, *, shown: bool = False, rest: str = "") -> Players:
        """The things in the frames by name, as `iss_jax.players.from_instances` joins them.

        Args:
            shown: Whether things that no pixel of these frames shows are left out. Else all frames
                of an episode have the same players.
            rest: Name of a player that all pixels without a name make, the padding apart; none when
                empty.

        Raises:
            ValueError: The frames have no instance labels, or nothing in them has a name.
        """
        if not self.instances:
            raise ValueError(
                "frames: no instance labels; take players from regions, from masks or by appearance"
            )
        names = self.episode.instance_names
        if shown:
            there = {
                int(number) for image in self.instances.values() for number in np.unique(image)
            }
            names = {number: name for number, name in names.items() if number in there}
        found = from_instances(self.instances, names, rest=rest)
        labels = {
            view: jnp.where(self.valid[view], labels, NOBODY)
            for view, labels in found.labels.items()
        }
        return dataclasses.replace(found, labels=labels)


def read_frames(
    dataset: Dataset,
    index: int,
    frames: slice | Sequence[int] | np.ndarray | None,
    options: FrameOptions,
    *,
    labels: Labels = "required",
) -> Episode:
    """Some frames of a dataset's episode, mirrored where the options say so.

    Args:
        dataset: Of any format that `iss_jax.data.dataset.open_dataset` opens.
        index: The episode's.
        frames: Which; all when None.
        options: Cameras and mirroring.
        labels: `required`: every camera that is used must have region labels; `optional`: those
            that are there are read; `none`: none are. Instance labels are read unless `none`.

    Raises:
        ValueError: A camera that the dataset lacks, or one without labels; a state that is not
            finite, or labels that are no region's. The message names the dataset, the episode and
            the cameras.
    """
    episode = dataset.read(index, frames, regions=labels != "none")
    for what, there in (("images", episode.images), ("region labels", episode.regions)):
        missing = sorted(set(options.used.values()) - set(there))
        if missing and (what == "images" or labels == "required"):
            raise ValueError(
                f"{dataset.root}, episode {index}: no {what} of {few(missing)}, only of "
                f"{few(sorted(there))}"
            )
    where = f"{dataset.root}, episode {index}"
    check_finite(f"{where}: state", episode.state)
    check_labels(f"{where}: region labels", episode.regions, {})
    return mirrored(episode) if options.mirror else episode


def mirrored(episode: Episode) -> Episode:
    """An episode's frames and labels mirrored left to right; nothing else changes."""
    return dataclasses.replace(
        episode,
        images={camera: image[:, :, ::-1] for camera, image in episode.images.items()},
        regions={camera: labels[:, :, ::-1] for camera, labels in episode.regions.items()},
        instances={camera: labels[:, :, ::-1] for camera, labels in episode.instances.items()},
    )


def see(
    episode: Episode, policy: Policy, options: FrameOptions, *, trim_prompt: bool = False
) -> Seen:
    """Frames of an episode as a policy sees them.

    Args:
        episode: As `read_frames` gives it; its images may have been changed since.
        policy: Whose image size, tokenizer and statistics count.
        options: Cameras and prompt. Mirroring is `read_frames`'s.
        trim_prompt: Prompts are cut to the longest of them, hence one compilation for frames whose
            states are written in one to three digits.

    Raises:
        ValueError: A camera has no images.
    """
    used = options.used
    missing = sorted(set(used.values()) - set(episode.images))
    if missing:
        raise ValueError(f"episode: no images of {missing}, only of {few(sorted(episode.images))}")
    obs = make_observation(
        {camera: episode.images[camera] for camera in used.values()},
        policy.states(episode.state),
        [episode.prompt] * len(episode),
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=options.max_token_len,
        cameras={view: used.get(view, "") for view in VIEWS},
        discrete_state_input=options.discrete_state_input and not policy.reads_state,
        normalisation=policy.normalisation,
    )
    if trim_prompt:
        mask, tokens = np.asarray(obs.tokenized_prompt_mask), np.asarray(obs.tokenized_prompt)
        longest = int(mask.sum(-1).max())
        obs = dataclasses.replace(
            obs,
            tokenized_prompt=jnp.asarray(tokens[:, :longest]),
            tokenized_prompt_mask=jnp.asarray(mask[:, :longest]),
        )
    return Seen(episode, obs, used, **geometry(episode, used, policy.image_size))


def geometry(episode: Episode, used: Mapping[str, str], size: int) -> dict[str, Any]:
    """Labels and picture of an episode's frames in the geometry of a policy's input.

    Args:
        episode: With images of all cameras that are used.
        used: View -> camera.
        size: Side of the policy's images, pixels.

    Returns:
        `regions`, `valid`, `size` and `instances` of a `Seen`.
    """
    regions, valid, instances = {}, {}, {}
    for view, camera in used.items():
        image = episode.images[camera]
        labels = episode.regions.get(camera)
        fitted, inside = fit_regions(
            np.zeros(image.shape[:3], np.uint8) if labels is None else labels, size, size
        )
        if labels is not None:
            regions[view] = fitted
        valid[view] = np.broadcast_to(inside, fitted.shape)
        if camera in episode.instances:
            numbers = episode.instances[camera]
            instances[view], _ = fit_regions(numbers, size, size, padding=NOBODY)
    return {"regions": regions, "valid": valid, "size": size, "instances": instances}


def source_key(dataset: Dataset, index: int) -> str:
    """Tells apart what an episode is read from: all its files, videos and masks included.

    16 hexadecimal digits. Episodes that share a file share it, so that a work item names its
    episode beside it. A LeRobot dataset keeps its instructions in other files: see `source_of`.
    """
    return digest(dataset.files(index))


def source_of(dataset: Dataset, index: int) -> dict[str, Any]:
    """What a work item holds of the episode that it is computed from, beside its number.

    Returns:
        `data`, the `source_key` of its files, and `prompts`, its frames' instructions.

    Raises:
        ValueError: A file cannot be read, or a frame has no instruction.
    """
    return {"data": source_key(dataset, index), "prompts": list(dataset.prompts(index))}


def present_views(obs: Observation, views: Sequence[str]) -> Observation:
    """The observation with its masks known at trace time, so that absent views are left out."""
    batch = obs.state.shape[0]
    return dataclasses.replace(
        obs, image_masks={view: np.full(batch, view in views) for view in obs.images}
    )
