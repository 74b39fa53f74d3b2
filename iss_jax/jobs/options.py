"""Options that commands share: the policy, the frames that it is shown, ISS.

A command's options are a frozen dataclass with one attribute per key of its config.
"""

import dataclasses
from typing import Any, Self, TypeVar

import ml_collections

from iss_jax.config import ISSConfig
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.few import few
from iss_jax.jobs.packaged import located
from iss_jax.pi0_fast.params import is_fast
from iss_jax.policies.chunks import robot_dims, warn_of_chunks
from iss_jax.policies.frames import FrameOptions
from iss_jax.policies.restored import Policy, load_policy
from iss_jax.policies.robot_cameras import matched
from iss_jax.policies.robots import robot_of


@dataclasses.dataclass(frozen=True)
class PolicyOptions:
    """A policy and how it is shown the frames of a dataset; see `configs/parts/policy.py`."""

    checkpoint: str
    dataset: str
    tokenizer: str
    dtype: str
    cameras: dict[str, str]
    discrete_state_input: bool
    mirror: bool
    max_token_len: int
    action_horizon: int
    num_steps: int
    # What `iss_jax.policies.robots.robot_of` finds: its statistics and the space of its state.
    robot: str = dataclasses.field(default="", kw_only=True)

    def load(self) -> tuple[Policy, Dataset]:
        """The policy and the dataset.

        Raises:
            ValueError: A path is empty, the dataset cannot be read, or the policy is a π0-FAST.
            FileNotFoundError: One of them is not there.

        Warns:
            UserWarning: The dataset's actions are of another chunk length than the options say, or
                of other dimensions than the policy's.
        """
        dataset = open_dataset(located(self.dataset, "dataset"))
        path = located(self.checkpoint, "checkpoint")
        robot = robot_of(self.robot) if self.robot else None
        policy = load_policy(path, tokenizer=self.tokenizer, dtype=self.dtype, robot=robot)
        if is_fast(policy.params):
            raise ValueError(f"{path}: a π0-FAST given, a π0.5 or π0 wanted here")
        warn_of_chunks(dataset, self.action_horizon, robot_dims(policy.norm_stats))
        return policy, dataset

    def described(self) -> Self:
        """The same with what the robot says in the place of cameras, prompt and chunk.

        Raises:
            FileNotFoundError: There is no such file, or no dataset.
            ValueError: No such robot, or the dataset lacks one of its cameras.
        """
        if not self.robot:
            return self
        robot = robot_of(self.robot)
        dataset = open_dataset(located(self.dataset, "dataset"))
        found = matched(robot.recorded, dataset.cameras)
        missing = sorted(set(robot.cameras) - set(found) - set(robot.optional))
        if missing:
            wanted = {view: robot.recorded[view] for view in missing}
            raise ValueError(
                f"config.robot: {robot.name!r} wants cameras {wanted}, {dataset.root} has "
                f"{few(list(dataset.cameras))}"
            )
        return dataclasses.replace(
            self,
            cameras=found,
            discrete_state_input=robot.discrete_state_input,
            max_token_len=robot.max_token_len,
            action_horizon=robot.action_horizon,
        )

    @property
    def frame_options(self) -> FrameOptions:
        """How frames are shown."""
        return FrameOptions(
            self.cameras, self.max_token_len, self.discrete_state_input, self.mirror
        )

    @property
    def mirror_key(self) -> dict[str, bool]:
        """What a work item says of mirroring: nothing where there is none."""
        return {"mirror": True} if self.mirror else {}

    def run_keys(self, policy: Policy) -> dict[str, Any]:
        """What a work item holds of the policy and of these options."""
        names = ("dtype", "cameras", "discrete_state_input", "max_token_len", "action_horizon")
        return {
            **{name: getattr(self, name) for name in (*names, "num_steps")},
            **self.mirror_key,
            "checkpoint": policy.fingerprint,
        }


@dataclasses.dataclass(frozen=True)
class ISSOptions:
    """The key `iss` of a config: one entry per attribute of `ISSConfig`."""

    iss: dict[str, Any]

    def iss_config(self, action_dims: int | None) -> ISSConfig:
        """The options of ISS; `action_dims` when they leave the action dimensions open."""
        options = dict(self.iss)
        if options["action_dims"] is None:
            options["action_dims"] = action_dims
        return ISSConfig(**options)


Options = TypeVar("Options")


def from_config(config: ml_collections.ConfigDict, options: type[Options]) -> Options:
    """The config's keys, without its name, as a command's options; lists become tuples.

    Raises:
        TypeError: A key is missing or unknown.
        ValueError: What the options themselves refuse.
    """
    content: dict[str, Any] = {}
    for key, value in config.to_dict().items():
        if key != "name":
            content[key] = tuple(value) if isinstance(value, list | tuple) else value
    return options(**content)


def at_least_one(options: Any, *names: str) -> None:
    """Raises ValueError where one of the options is below 1; the message names it."""
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"config.{name}: {getattr(options, name)} given, at least 1 wanted")
