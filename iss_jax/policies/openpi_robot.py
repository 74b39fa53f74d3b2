"""A robot from openpi's own training configuration: what can be read of it, read by attributes."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from iss_jax.few import few
from iss_jax.policies.configs import PI05_ALOHA, PI05_DROID, PI05_LIBERO, PolicyConfig

# openpi's transforms of a robot's dict -> the robot of ours with the same keys.
ROBOTS = {"LiberoInputs": PI05_LIBERO, "DroidInputs": PI05_DROID, "AlohaInputs": PI05_ALOHA}
MODELS = {"pi05": "π0.5", "pi0": "π0", "pi0_fast": "π0-FAST"}


def robot_of_openpi(name: str) -> PolicyConfig:
    """The robot of one of openpi's training configurations.

    Args:
        name: Of the configuration.

    Raises:
        ModuleNotFoundError: openpi cannot be imported.
        ValueError: It knows no such name, or the configuration does not say all of it; the message
            names what is missing.
    """
    configs = importlib.import_module("openpi.training.config")
    try:
        train = configs.get_config(name)
    except ValueError as error:
        raise ValueError(
            f"--robot: {name!r} is no name of ours, and openpi says: {error}"
        ) from None
    return robot_of_train_config(train)


def robot_of_train_config(train: Any) -> PolicyConfig:
    """The robot that a training configuration of openpi's describes.

    Read are the model's kind, chunk and prompt length, whether the prompt tells the state, which
    statistics, how they are used, the robot's keys by openpi's transform, a dataset's cameras by
    its repacking, and what makes the robot's actions of the policy's.

    Args:
        train: openpi's `TrainConfig`.

    Raises:
        ValueError: A model or a transform of another kind than openpi's own.
    """
    model, where = train.model, f"openpi's configuration {train.name!r}"
    kind = str(getattr(model.model_type, "value", model.model_type))
    if kind not in MODELS:
        raise ValueError(f"{where}: its model is a {kind!r}, one of {sorted(MODELS)} wanted")
    data = train.data.create(train.assets_dirs, model)
    inputs = list(data.data_transforms.inputs)
    known = [one for one in inputs if type(one).__name__ in ROBOTS]
    if not known:
        own = [type(one).__name__ for one in inputs]
        raise ValueError(
            f"{where}: cameras, state and action dimensions cannot be read, its transforms are "
            f"{few(own)} and none of {sorted(ROBOTS)}. It says action_horizon="
            f"{model.action_horizon}, max_token_len={model.max_token_len}: give a robot file with "
            "these and the rest"
        )
    robot = ROBOTS[type(known[0]).__name__]
    cameras = dict(robot.cameras)
    if kind == "pi0_fast" and robot is PI05_DROID:
        cameras["wrist_0_rgb"] = cameras.pop("left_wrist_0_rgb")
    repacked = _repacked(data.repack_transforms.inputs)
    recorded = {
        view: repacked[key]
        for view, camera in cameras.items()
        if (key := f"{robot.images}/{camera}" if robot.images else camera) in repacked
    }
    if recorded:
        # The policy has learned without the cameras that its dataset lacks.
        cameras = {view: cameras[view] for view in recorded}
    decoded = getattr(known[0], "adapt_to_pi", True)
    return dataclasses.replace(
        robot,
        name=str(train.name),
        model=MODELS[kind],
        cameras=cameras,
        dataset_cameras=recorded,
        optional=tuple(view for view in robot.optional if view in cameras),
        action_horizon=int(model.action_horizon),
        max_token_len=int(model.max_token_len),
        discrete_state_input=bool(getattr(model, "discrete_state_input", kind != "pi0")),
        normalisation="quantiles" if data.use_quantile_norm else "mean_std",
        asset_id=str(data.asset_id or ""),
        decode_state=robot.decode_state if decoded else _as_it_is,
        encode_actions=partial(_through, tuple(data.data_transforms.outputs)),
    )


def _as_it_is(state: np.ndarray) -> np.ndarray:
    return state


def _through(
    outputs: Sequence[Callable[[dict[str, Any]], Mapping[str, Any]]],
    actions: np.ndarray,
    state: np.ndarray,
) -> np.ndarray:
    """The robot's actions, as openpi's output transforms make them one after the other."""
    data: dict[str, Any] = {"actions": np.array(actions), "state": np.array(state)}
    for transform in outputs:
        data = {**data, **transform(data)}
    return np.asarray(data["actions"])


def _repacked(transforms: Sequence[Any]) -> dict[str, str]:
    """Key of the robot's dict, "/" where it is nested -> feature of the dataset."""
    found: dict[str, str] = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                walk(value, f"{path}/{key}" if path else str(key))
        else:
            found[path] = str(node)

    for transform in transforms:
        walk(getattr(transform, "structure", {}), "")
    return found
