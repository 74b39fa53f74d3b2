"""Which features of a LeRobot dataset are what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.data.lerobot_columns import image_shape
from iss_jax.data.lerobot_info import ACTION, IMAGES, INSTANCES, REGIONS, STATE
from iss_jax.few import few

# Where a dataset has no state as a whole: these side by side, as openpi's DROID examples have them.
_PARTS = ("joint_position", "gripper_position")


@dataclasses.dataclass(frozen=True)
class Keys:
    """Which features of a dataset are what, where they have other names than here.

    >>> Keys(cameras={"front": "image"}, state=["joints", "gripper"]).state
    ['joints', 'gripper']

    Attributes:
        cameras: camera to image or video feature; when None all of three channels, under their
            names without `observation.images.`, but for the labels.
        regions: camera to the image feature of its labels; when None those under
            `observation.regions.`.
        state: the state, or its parts side by side; when None `observation.state`, else `state`,
            else all parts `observation.state.<part>`, else `joint_position` and `gripper_position`.
        action: the action, or its parts; when None `action`, else `actions`, else there is none.
        instances: camera to the image feature of its instance labels; when None those under
            `observation.instances.` of these cameras.
        timestamps: whether time stamps say which picture of a video a frame has; when False the
            number of the frame does.
    """

    cameras: Mapping[str, str] | None = None
    regions: Mapping[str, str] | None = None
    state: str | Sequence[str] | None = None
    action: str | Sequence[str] | None = None
    instances: Mapping[str, str] | None = None
    timestamps: bool = True


@dataclasses.dataclass(frozen=True)
class Found:
    """All features by name; see `Keys`."""

    cameras: Mapping[str, str]
    regions: Mapping[str, str]
    state: tuple[str, ...]
    action: tuple[str, ...]
    instances: Mapping[str, str]
    timestamps: bool


def find(root: Path, info: Mapping[str, Any], keys: Keys) -> Found:
    """The features that `keys` names or leaves to its defaults.

    Args:
        root: the dataset's folder, for messages.
        info: its `info.json`.
        keys: which features are what.

    Raises:
        KeyError: the dataset lacks a feature that `keys` names, or a state.
        ValueError: a feature is of another kind than `keys` says.
    """
    features = info["features"]
    images = [name for name, entry in features.items() if entry["dtype"] in ("image", "video")]
    coloured = [name for name in images if is_colour(features[name])]
    regions, instances, cameras = keys.regions, keys.instances, keys.cameras
    if regions is None:
        regions = {n.removeprefix(REGIONS): n for n in images if n.startswith(REGIONS)}
    if instances is None:
        instances = {n.removeprefix(INSTANCES): n for n in images if n.startswith(INSTANCES)}
    if cameras is None:
        taken = {*regions.values(), *instances.values()}
        cameras = {n.removeprefix(IMAGES): n for n in coloured if n not in taken}
    if keys.instances is None:
        # Of cameras that are not asked for there is nothing to name.
        instances = {camera: name for camera, name in instances.items() if camera in cameras}
    for camera, name in (*cameras.items(), *regions.items(), *instances.items()):
        if name not in images:
            raise KeyError(
                f"{root}: camera {camera!r} is to be the feature {name!r}, but the image features "
                f"are {few(images)}"
            )
        if name not in coloured:
            raise ValueError(
                f"{root}: camera {camera!r} is to be the feature {name!r} of shape "
                f"{list(features[name]['shape'])}, pictures of three channels are wanted"
            )
    state, action = _state(features, keys), _names(keys.action)
    if not action:
        action = next(((n,) for n in (ACTION, "actions") if n in features), ())
    for what, names in (("state", state), ("action", action)):
        for name in names:
            if name not in features:
                raise KeyError(
                    f"{root}: the {what} is to be the feature {name!r}, the dataset has "
                    f"{few(sorted(features))}"
                )
            if not is_number(features[name]):
                raise ValueError(
                    f"{root}: the {what} is to be the feature {name!r} of dtype "
                    f"{features[name]['dtype']!r}, numbers are wanted"
                )
    return Found(cameras, regions, state, action, instances, keys.timestamps)


def is_number(feature: Mapping[str, Any]) -> bool:
    """Whether a feature is of numbers or booleans."""
    try:
        return np.dtype(feature["dtype"]).kind in "biuf"
    except (TypeError, ValueError, SyntaxError):
        return False


def is_colour(feature: Mapping[str, Any]) -> bool:
    """Whether an image feature has three channels: no depth, no fourth channel."""
    about = feature.get("info") or feature.get("video_info") or {}
    depth = isinstance(about, Mapping) and (
        about.get("is_depth_map") or about.get("video.is_depth_map")
    )
    shape = image_shape(feature)
    return not depth and len(shape) == 3 and shape[-1] == 3


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _state(features: Mapping[str, Any], keys: Keys) -> tuple[str, ...]:
    if keys.state:
        return _names(keys.state)
    for name in (STATE, "state"):
        if name in features:
            return (name,)
    parts = [n for n, entry in features.items() if n.startswith(f"{STATE}.") and is_number(entry)]
    for prefix in ("", "observation.", "observation/"):
        names = [prefix + part for part in _PARTS]
        if not parts and all(name in features for name in names):
            parts = names
    return tuple(parts) or (STATE,)
