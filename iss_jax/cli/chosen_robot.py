"""The robot of a command: the one that is given, else what checkpoint and dataset tell.

Nothing is guessed in silence: what was inferred is said, and where it cannot be, the error holds a
robot file that can be copied.
"""

from typing import NamedTuple

from iss_jax.cli.fit import fit_rows, misfits
from iss_jax.data.dataset import Dataset
from iss_jax.few import few
from iss_jax.pi05.observation import DEFAULT_CAMERAS, VIEWS
from iss_jax.policies.checkpoint_facts import CheckpointFacts
from iss_jax.policies.chunks import robot_dims, told_by
from iss_jax.policies.configs import CONFIGS, PolicyConfig
from iss_jax.policies.robots import robot_of


class Chosen(NamedTuple):
    """A robot and how it was found.

    Attributes:
        robot: Its description.
        given: What `robot_of` finds it by again; empty for one that was made up of the defaults.
        note: How it was inferred; empty where it was given.
    """

    robot: PolicyConfig
    given: str
    note: str


def choose_robot(
    given: str,
    checkpoint: CheckpointFacts | None,
    dataset: Dataset | None,
    *,
    action_horizon: int = 0,
) -> Chosen:
    """The robot of a policy and a dataset.

    Args:
        given: A file or a name, as `robot_of` takes it; inferred when empty.
        checkpoint: What the policy says of itself; None where it is behind a server.
        dataset: Of the frames; None where there is none.
        action_horizon: H where the user says it, else 0.

    Raises:
        ValueError: Nothing is given, and no robot follows from the others; the message holds a
            robot file. Or what `robot_of` refuses.
    """
    if given:
        return Chosen(robot_of(given), given, "")
    if checkpoint is not None and checkpoint.sizes is not None:
        known = _of_ours(checkpoint, dataset)
        if len(known) == 1:
            note = f"--robot {known[0].name}: the one of ours that checkpoint and dataset fit"
            return Chosen(known[0], known[0].name, note)
        made = _of_defaults(checkpoint, dataset, action_horizon)
        if made is not None:
            return Chosen(made, "", _note(made))
    what = "the policy behind a server" if checkpoint is None else f"{checkpoint.path}"
    raise ValueError(
        f"--robot: none given, and {what} does not say which robot it is of. Give one of "
        f"{few(sorted(CONFIGS))}, or a file such as\n\n{skeleton(checkpoint, dataset)}"
    )


def _of_ours(checkpoint: CheckpointFacts, dataset: Dataset | None) -> list[PolicyConfig]:
    """Robots of ours that leave no dimension of the statistics over."""
    found = []
    for robot in CONFIGS.values():
        if misfits(fit_rows(robot, checkpoint, dataset)):
            continue
        stats = checkpoint.stats.get(robot.asset_id) or next(iter(checkpoint.stats.values()), None)
        if stats is None or robot.model != checkpoint.model:
            continue
        own = (sum(robot.state.values()), robot.action_dims)
        if own[0] == len(stats["state"].mean) and own[1] in robot_dims(stats):
            found.append(robot)
    # A name of statistics tells a robot apart from others of the same dimensions.
    by_asset = [robot for robot in found if robot.asset_id in checkpoint.stats]
    return by_asset or found


def _of_defaults(
    checkpoint: CheckpointFacts, dataset: Dataset | None, action_horizon: int
) -> PolicyConfig | None:
    """A robot of the default cameras, where the dataset has them and the rest is known."""
    if dataset is None or len(checkpoint.stats) != 1:
        return None
    cameras = {view: c for view, c in DEFAULT_CAMERAS.items() if c in dataset.cameras}
    horizon = action_horizon or _horizon(dataset)
    if not cameras or not horizon or DEFAULT_CAMERAS["base_0_rgb"] not in dataset.cameras:
        return None
    pi0 = checkpoint.model == "π0"
    return PolicyConfig(
        name="inferred",
        cameras=cameras,
        state={"state": dataset.state_size},
        action_horizon=horizon,
        action_dims=_action_dims(checkpoint, dataset),
        discrete_state_input=not pi0,
        normalisation="mean_std" if pi0 else "quantiles",
        model=checkpoint.model,
    )


def _note(robot: PolicyConfig) -> str:
    return (
        f"no --robot given: cameras {dict(robot.cameras)} by their names, chunks of "
        f"{robot.action_horizon}, state {'in' if robot.discrete_state_input else 'not in'} the "
        "prompt"
    )


def _horizon(dataset: Dataset | None) -> int:
    told = [] if dataset is None else told_by(dataset)
    return next((one.horizon for one in told if one.horizon is not None), 0)


def _action_dims(checkpoint: CheckpointFacts | None, dataset: Dataset | None) -> int:
    stats = {} if checkpoint is None else next(iter(checkpoint.stats.values()), {})
    held = robot_dims(stats) if "actions" in stats else ()
    told = [] if dataset is None else told_by(dataset)
    there = next((one.dims for one in told if one.dims is not None), 0)
    return there if there in held or not held else held[0]


def skeleton(checkpoint: CheckpointFacts | None, dataset: Dataset | None) -> str:
    """A robot file, filled with what checkpoint and dataset say; the rest is marked.

    >>> print(skeleton(None, None).splitlines()[0])
    # my_robot.py
    """
    there = [] if dataset is None else list(dataset.cameras)
    lines = ["# my_robot.py", "from iss_jax.policies.configs import PolicyConfig", ""]
    lines += ["robot = PolicyConfig(", '    name="my_robot",']
    lines.append("    cameras={  # view of the policy: camera that it had in training")
    for number, view in enumerate(VIEWS):
        if there and number >= len(there):
            continue
        camera = there[number] if there else f"camera_{number}"
        lines.append(f'        "{view}": "{camera}",')
    lines.append("    },")
    if there[len(VIEWS) :]:
        lines.append(f"    # further cameras of the dataset: {', '.join(there[len(VIEWS) :])}")
    state = 8 if dataset is None else dataset.state_size
    unsure = "  # how many numbers its state has" if dataset is None else ""
    lines.append(f'    state={{"state": {state}}},{unsure}')
    horizon = _horizon(dataset)
    lines.append(
        f"    action_horizon={horizon or 16},"
        + ("" if horizon else "  # as in training: nothing here tells it")
    )
    if checkpoint is None:
        lines.append('    images="",  # key that the server looks for cameras under; none here')
    dims = _action_dims(checkpoint, dataset)
    lines.append(f"    action_dims={dims or 7},{'' if dims else '  # of the robot'}")
    if checkpoint is not None and checkpoint.model in ("π0.5", "π0", "π0-FAST"):
        lines.append(f'    model="{checkpoint.model}",')
        if checkpoint.model == "π0":
            lines += ["    discrete_state_input=False,", '    normalisation="mean_std",']
        if len(checkpoint.stats) > 1:
            held = list(checkpoint.stats)
            lines.append(f'    asset_id="{held[0]}",  # one of {", ".join(held)}')
    return "\n".join([*lines, ")"])
