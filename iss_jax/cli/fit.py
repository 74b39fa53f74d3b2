"""One table: a robot beside its checkpoint and its dataset, and what does not fit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from iss_jax.data.dataset import Dataset
from iss_jax.few import few
from iss_jax.policies.checkpoint_facts import CheckpointFacts
from iss_jax.policies.chunks import disagreement, robot_dims, told_by
from iss_jax.policies.configs import PolicyConfig
from iss_jax.policies.robot_cameras import matched

YES, NO, DIFFERS, UNKNOWN = "yes", "NO", "differs", "?"
"""`differs`: frames can be explained all the same, and the user should know."""

CAMERA = "camera "
"""What rows of cameras begin with; their view follows."""

HEAD = ("what", "robot", "checkpoint", "dataset", "fits")


class Row(NamedTuple):
    """One thing that three sides say.

    Attributes:
        what: It is.
        robot: What the robot's description says.
        checkpoint: What the checkpoint says.
        dataset: What the dataset says.
        fits: `yes`, `NO`, `differs` or `?`.
    """

    what: str
    robot: str
    checkpoint: str
    dataset: str
    fits: str


def fit_rows(
    robot: PolicyConfig,
    checkpoint: CheckpointFacts | None,
    dataset: Dataset | None,
    cameras: Mapping[str, str] | None = None,
) -> list[Row]:
    """What fits and what does not.

    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> from iss_jax.policies.checkpoint_facts import checkpoint_facts
    >>> from iss_jax.policies.configs import EMBEDDED
    >>> facts = checkpoint_facts(embedded.checkpoint_path())
    >>> rows = fit_rows(EMBEDDED, facts, open_dataset(embedded.episodes_path()))
    >>> sorted({row.fits for row in rows})
    ['?', 'yes']

    Args:
        robot: Its description.
        checkpoint: The policy's; left out when None, as behind a server.
        dataset: Of the frames; left out when None.
        cameras: View -> camera of the dataset, where the user names them.
    """
    rows = []
    if checkpoint is not None:
        rows += _model(robot, checkpoint)
    rows += [_camera(robot, view, dataset, cameras) for view in robot.cameras]
    if dataset is not None or checkpoint is not None:
        rows += [_state(robot, checkpoint, dataset), *_actions(robot, checkpoint, dataset)]
    return rows


def misfits(rows: Iterable[Row]) -> list[Row]:
    """The rows that do not fit."""
    return [row for row in rows if row.fits == NO]


def fit_table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    lines = [HEAD, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def require_fit(rows: Sequence[Row], name: str) -> None:
    """Refuses what cannot be explained.

    Args:
        rows: What fits and what does not.
        name: Of the robot.

    Raises:
        ValueError: Something does not fit; the message holds the whole table.
    """
    wrong = misfits(rows)
    if wrong:
        raise ValueError(
            f"robot {name!r} does not fit: {', '.join(row.what for row in wrong)}\n"
            f"{fit_table(rows)}\ngive another --robot, or mend its file"
        )


def _model(robot: PolicyConfig, checkpoint: CheckpointFacts) -> list[Row]:
    model, held = checkpoint.model, list(checkpoint.stats)
    rows = [Row("model", robot.model or "any", model, "-", _yes(robot.model in ("", model)))]
    asset = robot.asset_id
    rows.append(
        Row(
            "statistics",
            asset or "the only ones",
            few(held) if held else "none under assets/",
            "-",
            _yes(asset in held if asset and held else len(held) <= 1),
        )
    )
    if model in ("π0.5", "π0", "π0-FAST"):
        how = "mean_std" if model == "π0" else "quantiles"
        fits = _yes(robot.normalisation == how)
        rows.append(Row("normalisation", robot.normalisation, how, "-", fits))
        told = "no" if model == "π0" else "yes" if model == "π0-FAST" else "either"
        own = "yes" if robot.discrete_state_input else "no"
        rows.append(Row("state in prompt", own, told, "-", _yes(told in ("either", own))))
    return rows


def _camera(
    robot: PolicyConfig,
    view: str,
    dataset: Dataset | None,
    cameras: Mapping[str, str] | None,
) -> Row:
    what, wanted, given = f"{CAMERA}{view}", robot.recorded[view], cameras or {}
    if dataset is None:
        return Row(what, wanted, "-", "-", UNKNOWN)
    named = given.get(view)
    if named == "":
        return Row(what, wanted, "-", "left out", YES)
    found = named or matched(robot.recorded, dataset.cameras, given).get(view, "")
    if found in dataset.cameras:
        return Row(what, wanted, "-", found, YES)
    there = f"{named or 'none'} of {few(list(dataset.cameras))}"
    optional = view in robot.optional and not named
    return Row(what, wanted, "-", "absent" if optional else there, YES if optional else NO)


def _state(robot: PolicyConfig, checkpoint: CheckpointFacts | None, dataset: Dataset | None) -> Row:
    own = sum(robot.state.values())
    known = _stats_of(robot, checkpoint).get("state")
    there = None if dataset is None else dataset.state_size
    most = None if known is None else len(known.mean)
    fits = (there in (None, own)) and (most is None or own <= most)
    unknown = there is None and most is None
    return Row("state", str(own), _said(most), _said(there), UNKNOWN if unknown else _yes(fits))


def _actions(
    robot: PolicyConfig, checkpoint: CheckpointFacts | None, dataset: Dataset | None
) -> list[Row]:
    own, horizon = robot.action_dims, robot.action_horizon
    stats = _stats_of(robot, checkpoint)
    dims = robot_dims(stats) if "actions" in stats else ()
    model = 0 if checkpoint is None else checkpoint.action_dim
    held = f"{dims[-1]}" if dims else "-"
    held += f", model {model}" if model else ""
    fits = _yes((not dims or own <= dims[-1]) and (not model or own <= model))
    told = [] if dataset is None else told_by(dataset)
    there = [one.dims for one in told if one.dims is not None]
    if dataset is not None and fits == YES and disagreement(dataset, None, [own]):
        fits = DIFFERS
    if not (dims or model or there):
        fits = UNKNOWN
    rows = [Row("action", str(own), held, _said(there[0] if there else None), fits)]
    chunks = [one.horizon for one in told if one.horizon is not None]
    fits = UNKNOWN if not chunks else YES if chunks[0] == horizon else DIFFERS
    chunk = _said(chunks[0] if chunks else None)
    return [*rows, Row("chunk", str(horizon), "-", chunk, fits)]


def _stats_of(robot: PolicyConfig, checkpoint: CheckpointFacts | None) -> Mapping:
    if checkpoint is None or not checkpoint.stats:
        return {}
    return checkpoint.stats.get(robot.asset_id) or next(iter(checkpoint.stats.values()))


def _said(value: object) -> str:
    return "-" if value is None else str(value)


def _yes(fits: bool) -> str:
    return YES if fits else NO
