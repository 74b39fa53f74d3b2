"""Which of several processes this one is.

Work items are dealt by their names, so that a process needs to know only its number and how many
there are: `--num_processes=4 --process_id=1`. Under `--distributed` jax finds both out, from Slurm,
Open MPI, Kubernetes or a TPU pod. The processes meet once, at the start, and then let go of each
other: jax would end all of them when one dies, and nothing that they do later needs a collective.
"""

import dataclasses
import json
import os
import subprocess
import sys

import jax

from iss_jax.jobs import cluster


@dataclasses.dataclass(frozen=True)
class Processes:
    """One of `count` processes, the `index`-th from zero.

    Raises:
        ValueError: the index is not below the count.
    """

    count: int = 1
    index: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"process_id: {self.index} given, 0 to {self.count - 1} wanted")

    @property
    def first(self) -> bool:
        """Whether this one writes the tables."""
        return self.index == 0


ALONE = Processes()
_current = ALONE


def current() -> Processes:
    """What `join` found; a process by itself until it is called."""
    return _current


def join(
    *,
    distributed: bool = False,
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> Processes:
    """Finds out which process this one is, before jax looks for devices.

    Args:
        distributed: have `jax.distributed` find the cluster.
        coordinator_address: `host:port` of process 0, where no cluster can be detected.
        num_processes: how many there are.
        process_id: which one this is.

    Raises:
        ValueError: number and index do not fit together, or are missing.
        RuntimeError: no cluster was detected, or not all processes came.
    """
    global _current
    if (num_processes is None) != (process_id is None):
        raise ValueError(
            f"--num_processes={num_processes} --process_id={process_id}: both wanted or neither"
        )
    if coordinator_address is not None and num_processes is None:
        raise ValueError("--coordinator_address needs --num_processes and --process_id")
    if num_processes is not None and process_id is not None:
        _current = Processes(num_processes, process_id)
    if distributed or coordinator_address is not None:
        _current = _meet(coordinator_address, num_processes, process_id)
    return _current


def _meet(address: str | None, count: int | None, index: int | None) -> Processes:
    # In a process of its own: what has once met counts the others for ever, and orbax would wait
    # for them at every restore. It computes nothing, so that it needs no accelerator.
    options = {"coordinator_address": address, "num_processes": count, "process_id": index}
    done = subprocess.run(
        [sys.executable, "-P", cluster.__file__, json.dumps(options)],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no word of why"]
        raise RuntimeError(
            f"--distributed: {said[-1]} Where no scheduler is detected give --coordinator_address, "
            "--num_processes and --process_id, or the last two alone."
        )
    found = json.loads(done.stdout.splitlines()[-1])
    for name, devices in found["devices"].items():
        jax.config.update(name, devices)
    return Processes(found["count"], found["index"])
