"""A LeRobot policy beside a dataset: its own configuration says what it takes."""

from collections.abc import Mapping

from iss_jax.cli.fit import DIFFERS, NO, UNKNOWN, YES, Row
from iss_jax.data.dataset import Dataset
from iss_jax.few import few
from iss_jax.policies.checkpoint_facts import CheckpointFacts
from iss_jax.policies.chunks import told_by
from iss_jax.policies.robot_cameras import matched

IMAGES, STATE, ACTION = "observation.images.", "observation.state", "action"


def policy_cameras(facts: CheckpointFacts) -> tuple[str, ...]:
    """The cameras of a LeRobot policy, as `iss_jax.policies.lerobot` names them."""
    features = facts.says.get("input_features") or {}
    return tuple(
        name.removeprefix(IMAGES)
        for name, feature in features.items()
        if isinstance(feature, Mapping) and feature.get("type") == "VISUAL"
    )


def lerobot_cameras(
    facts: CheckpointFacts, dataset: Dataset | None, renamed: str = ""
) -> dict[str, str]:
    """Camera of the policy -> camera of the dataset, "" where none is found.

    Args:
        facts: Of the policy.
        dataset: Of the frames.
        renamed: Pairs that go before the names, as in `top=front,hand=wrist`.

    Raises:
        ValueError: A pair without "=", or a camera that the policy lacks.
    """
    own = policy_cameras(facts)
    given = {}
    for pair in filter(None, renamed.split(",")):
        mine, equals, there = pair.partition("=")
        if not equals or mine not in own:
            raise ValueError(
                f"--renamed: {pair!r} given, CAMERA=CAMERA of the policy's {few(own)} wanted"
            )
        given[mine] = there
    same = {name: name for name in own}
    found = {} if dataset is None else matched(same, dataset.cameras, given)
    return {name: given.get(name, found.get(name, "")) for name in own}


def lerobot_rows(
    facts: CheckpointFacts, dataset: Dataset | None, cameras: Mapping[str, str]
) -> list[Row]:
    """What fits and what does not, as `iss_jax.cli.fit.fit_rows` has it.

    Args:
        facts: Of the policy.
        dataset: Of the frames; left out when None.
        cameras: As `lerobot_cameras` gives them.
    """
    rows = [Row("model", "-", facts.model, "-", YES)]
    for name, there in cameras.items():
        if dataset is None:
            rows.append(Row(f"camera {name}", "-", name, "-", UNKNOWN))
        elif there in dataset.cameras:
            rows.append(Row(f"camera {name}", "-", name, there, YES))
        else:
            none = f"{there or 'none'} of {few(list(dataset.cameras))}"
            rows.append(Row(f"camera {name}", "-", name, none, NO))
    for what, feature, group in (("state", STATE, "input"), ("action", ACTION, "output")):
        said = (facts.says.get(f"{group}_features") or {}).get(feature)
        own = None if said is None else said["shape"][0]
        told = None
        if dataset is not None and what == "state":
            told = dataset.state_size
        elif dataset is not None:
            told = next((one.dims for one in told_by(dataset) if one.dims is not None), None)
        wrong = NO if what == "state" else DIFFERS
        fits = UNKNOWN if None in (own, told) else YES if own == told else wrong
        rows.append(Row(what, "-", _said(own), _said(told), fits))
    chunk = facts.says.get("chunk_size", facts.says.get("n_action_steps"))
    return [*rows, Row("chunk", "-", _said(chunk), "-", UNKNOWN)]


def _said(value: object) -> str:
    return "-" if value is None else str(value)
