"""Which policy a command explains, on which frames: its keys, and what the robot makes of them."""

import dataclasses
from typing import Any, NamedTuple

import ml_collections
from ml_collections import config_dict

from iss_jax.cli.chosen_robot import choose_robot
from iss_jax.cli.fit import Row, fit_rows, require_fit
from iss_jax.cli.lerobot_fit import lerobot_cameras, lerobot_rows
from iss_jax.cli.served_robot import served_robot
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.jobs.packaged import located
from iss_jax.pi0_fast.observation import FAST_VIEWS
from iss_jax.pi05.observation import VIEWS
from iss_jax.policies.checkpoint_facts import CheckpointFacts, checkpoint_facts
from iss_jax.policies.configs import PolicyConfig
from iss_jax.policies.robot_cameras import matched

NO_CAMERA = "none"


def set_keys(config: ml_collections.ConfigDict) -> None:
    """Adds the keys that `policy_options` reads, with their defaults.

    >>> config = ml_collections.ConfigDict()
    >>> set_keys(config)
    >>> config.checkpoint, config.num_steps
    ('', 10)

    Args:
        config: Of a command.
    """
    # A step's folder, or "embedded".
    config.checkpoint = ""
    # A folder of any format that is read, or "embedded".
    config.dataset = ""
    # A Python file with a PolicyConfig, a name of ours, or openpi's name of a configuration.
    config.robot = ""
    # The checkpoint's own when empty, else PaliGemma's where openpi caches it.
    config.tokenizer = ""
    # bfloat16 as openpi infers when empty, float32 for the embedded policy.
    config.dtype = ""
    # View of the policy to camera of the dataset: by name when empty, left out when "none".
    views: dict[str, str] = dict.fromkeys((*VIEWS, *FAST_VIEWS), "")
    config.cameras = ml_collections.ConfigDict(views)
    # The same of a LeRobot policy: its cameras and the dataset's, as in "top=front,hand=wrist".
    config.renamed = ""
    # These are the robot's where they are not given.
    config.discrete_state_input = config_dict.placeholder(bool)
    config.max_token_len = 0
    config.action_horizon = 0
    # Frames mirrored left to right, as openpi's LIBERO policies were trained.
    config.mirror = False
    config.num_steps = 10


class Described(NamedTuple):
    """What a command was given, opened and checked.

    Attributes:
        robot: With what the flags say in its place; None of a LeRobot policy, which says it all.
        given: What `robot_of` finds it by again; empty where it was inferred from defaults.
        cameras: View -> camera of the dataset, "" where a view is absent.
        checkpoint: What the checkpoint says; None behind a server.
        dataset: Of the frames; None where none is given.
        note: How the robot was inferred; empty where it was given.
        rows: What fits.
    """

    robot: PolicyConfig | None
    given: str
    cameras: dict[str, str]
    checkpoint: CheckpointFacts | None
    dataset: Dataset | None
    note: str
    rows: list[Row]


def describe(config: ml_collections.ConfigDict) -> Described:
    """Opens what a config names, chooses the robot and puts the three side by side.

    Args:
        config: With the keys of `set_keys`. An empty checkpoint or dataset is left out.

    Raises:
        FileNotFoundError: Checkpoint, dataset or robot file is not there.
        ValueError: One of them cannot be read, or no robot follows from them.
        ConnectionError: The server that the robot is asked of does not answer.
    """
    dataset = open_dataset(located(config.dataset, "dataset")) if config.dataset else None
    facts = None
    if config.checkpoint:
        facts = checkpoint_facts(located(config.checkpoint, "checkpoint"))
    if facts is not None and facts.is_lerobot:
        cameras = lerobot_cameras(facts, dataset, config.renamed)
        note = "--robot is not read: a LeRobot policy says itself what it takes"
        rows = lerobot_rows(facts, dataset, cameras)
        return Described(None, "", cameras, facts, dataset, note if config.robot else "", rows)
    given = config.robot
    if not given and config.checkpoint == "embedded":
        given = "embedded"
    said = ""
    if not given and facts is None and config.get("server"):
        given = served_robot(config.server)
        said = f"--robot {given}: the server names it" if given else ""
    chosen = choose_robot(given, facts, dataset, action_horizon=config.action_horizon)
    robot = with_flags(chosen.robot, config)
    named = {view: camera for view, camera in config.cameras.items() if camera}
    named = {view: "" if camera == NO_CAMERA else camera for view, camera in named.items()}
    extra = sorted(view for view in set(named) - set(robot.cameras) if named[view])
    if extra:
        raise ValueError(
            f"--cameras: {extra} given, the robot {robot.name!r} has the views "
            f"{sorted(robot.cameras)}"
        )
    found = {} if dataset is None else matched(robot.recorded, dataset.cameras, named)
    cameras = {view: named.get(view, found.get(view, "")) for view in robot.cameras}
    rows = fit_rows(robot, facts, dataset, named)
    return Described(robot, chosen.given, cameras, facts, dataset, chosen.note or said, rows)


def with_flags(robot: PolicyConfig, config: ml_collections.ConfigDict) -> PolicyConfig:
    """A robot with what the flags say of it in its place."""
    changes: dict[str, Any] = {}
    if config.discrete_state_input is not None:
        changes["discrete_state_input"] = config.discrete_state_input
    for name in ("max_token_len", "action_horizon"):
        if config[name]:
            changes[name] = config[name]
    return dataclasses.replace(robot, **changes)


def policy_options(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The keys of `iss_jax.jobs.options.PolicyOptions`, of a checkpoint, a dataset and a robot.

    >>> config = ml_collections.ConfigDict()
    >>> set_keys(config)
    >>> config.checkpoint = config.dataset = "embedded"
    >>> policy_options(config)["cameras"]["base_0_rgb"]
    'front'

    Args:
        config: With the keys of `set_keys`.

    Raises:
        FileNotFoundError: Checkpoint, dataset or robot file is not there.
        ValueError: One is missing or cannot be read, no robot follows from them, or they do not
            fit; the message then holds the table of what does.
    """
    for name in ("checkpoint", "dataset"):
        if not config[name]:
            raise ValueError(f"--{name}: none given; wanted a folder, or embedded")
    return options_of(describe(config), config)


def options_of(found: Described, config: ml_collections.ConfigDict) -> dict[str, Any]:
    """As `policy_options`, of what was opened already.

    Raises:
        ValueError: They do not fit.
    """
    if found.robot is None or found.checkpoint is None or found.checkpoint.sizes is None:
        model = "a policy behind a server" if found.checkpoint is None else found.checkpoint.model
        raise ValueError(
            f"--checkpoint: {model} given, a π0.5 or π0 wanted; iss-jax explain takes the others"
        )
    require_fit(found.rows, found.robot.name)
    return {
        "checkpoint": config.checkpoint,
        "dataset": config.dataset,
        "tokenizer": config.tokenizer,
        "dtype": config.dtype or ("float32" if config.checkpoint == "embedded" else "bfloat16"),
        "cameras": found.cameras,
        "discrete_state_input": found.robot.discrete_state_input,
        "mirror": config.mirror,
        "max_token_len": found.robot.max_token_len,
        "action_horizon": found.robot.action_horizon,
        "num_steps": config.num_steps,
        "robot": found.given,
    }
