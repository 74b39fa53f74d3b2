r"""Is this installation sound, and do a policy, a robot and a dataset fit?

    iss-jax doctor
    iss-jax doctor --checkpoint CHECKPOINT --dataset DATASET --robot my_robot.py
    iss-jax doctor --server ws://HOST:PORT --robot my_robot.py

Says what is installed, computes one tiny saliency and compares it with stored values, reads what is
given, puts robot, checkpoint and dataset side by side, and says which kinds of explanation work.
Ends with 0 when everything works, else with 1. Extras that are not installed are no fault.
"""

from pathlib import Path

import ml_collections

from iss_jax import doctor, embedded
from iss_jax.cli.abilities import SERVED, abilities_table
from iss_jax.cli.chosen_robot import skeleton
from iss_jax.cli.fit import CAMERA, Row, fit_table, misfits
from iss_jax.cli.options import Described, describe, set_keys
from iss_jax.cli.plainly import MISTAKES
from iss_jax.few import few

SUMMARY = "whether all is installed, and whether policy, robot and dataset fit"


def get_config() -> ml_collections.ConfigDict:
    """Keys and defaults."""
    config = ml_collections.ConfigDict()
    set_keys(config)
    # Address of a policy behind a server, ws://HOST:PORT.
    config.server = ""
    # Seconds for its greeting.
    config.connect_timeout = 10.0
    return config


def run(config: ml_collections.ConfigDict, workdir: str | None) -> int:
    """Runs every check.

    Args:
        config: With the keys of `get_config`.
        workdir: Not used.

    Returns:
        0 when everything works, else 1.
    """
    del workdir
    checks = doctor.standard_checks(_checkpoint(config.checkpoint))
    if config.dataset:
        checks["dataset"] = lambda: check_dataset(config.dataset)
    if config.server:
        checks["server"] = lambda: check_server(config.server, config.connect_timeout)
    failed = doctor.report(checks)
    if any((config.checkpoint, config.dataset, config.robot, config.server)):
        failed += _fit(config)
    print("\nall is well" if not failed else f"\n{failed} of {len(checks) + 1} checks failed")
    return int(failed > 0)


def check_dataset(given: str) -> str:
    """Opens a dataset and reads one frame of it.

    Args:
        given: A folder, or "embedded".

    Raises:
        FileNotFoundError: There is none.
        ValueError: It cannot be read.
    """
    from iss_jax.data.dataset import num_frames, open_dataset
    from iss_jax.jobs.packaged import located

    dataset = open_dataset(located(given, "dataset"))
    frame = dataset.read(0, [0])
    sizes = ", ".join(f"{c} {i.shape[2]}x{i.shape[1]}" for c, i in frame.images.items())
    labels = "region labels" if frame.regions else "no region labels, hence no NMR"
    return (
        f"{dataset.root}: {len(dataset)} episodes, {num_frames(dataset)} frames, cameras {sizes}, "
        f"state of {dataset.state_size}, {labels}"
    )


def check_server(address: str, timeout: float) -> str:
    """What a server says of itself.

    Args:
        address: `ws://host:port`.
        timeout: Seconds.

    Raises:
        ConnectionError: None answers.
    """
    from iss_jax.policies.client import PolicyClient

    with PolicyClient(address, connect_timeout=timeout, retries=0) as client:
        client.connect()
        return f"{address} greets with {client.metadata}"


def _checkpoint(given: str) -> Path:
    return embedded.checkpoint_path() if given in ("", "embedded") else Path(given)


def _fit(config: ml_collections.ConfigDict) -> int:
    """Prints the table of what fits, and what works; returns whether something does not fit."""
    try:
        found = describe(config)
    except MISTAKES as error:
        print(f"FAIL  fit: {error}")
        return 1
    if found.note:
        print(f"\n{found.note}")
    print(f"\n{fit_table(found.rows)}")
    if found.checkpoint is not None or config.server:
        model = SERVED if found.checkpoint is None else found.checkpoint.model
        print(f"\nWhat works with {model}:\n{abilities_table(model)}")
    wrong = misfits(found.rows)
    if wrong:
        print(f"\nFAIL  fit: {_advice(found, wrong)}")
    return int(bool(wrong))


def _advice(found: Described, wrong: list[Row]) -> str:
    """What does not fit, and what can be given instead."""
    what = few([row.what for row in wrong])
    if found.robot is None:
        return f"the policy does not fit {what}; --renamed POLICY=DATASET matches cameras"
    lines = [f"robot {found.robot.name!r} does not fit {what}"]
    cameras = [row.what.removeprefix(CAMERA) for row in wrong if row.what.startswith(CAMERA)]
    if cameras and found.dataset is not None:
        there = few(list(found.dataset.cameras))
        named = ", ".join(f"--cameras.{view}" for view in cameras)
        lines.append(f"{named} names one of {there}, or none; or describe your robot in a file:")
    else:
        lines.append("describe your robot in a file:")
    return "\n".join([*lines, "", skeleton(found.checkpoint, found.dataset)])
