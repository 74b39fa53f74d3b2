"""Which of a cluster's processes this is, by `jax.distributed`: a program of its own.

    python -P iss_jax/jobs/cluster.py '{"coordinator_address": "10.0.0.1:1234", ...}'

Its argument holds those of `jax.distributed.initialize`. The last line that it prints is JSON: the
number of processes, which one this is, and the devices that the cluster leaves to it.

It imports nothing of this package, and is run by its path.
"""

import json
import sys
from typing import Any

import jax

# One process a GPU is what Slurm and Open MPI mean, and what `initialize` makes of them.
VISIBLE_DEVICES = ("jax_cuda_visible_devices", "jax_rocm_visible_devices")


def meet(options: dict[str, Any]) -> dict[str, Any]:
    """Waits for all processes, and parts from them again.

    Args:
        options: Of `jax.distributed.initialize`.

    Raises:
        RuntimeError: No cluster is detected, or not all came.
        ValueError: The cluster leaves number or index open.
    """
    jax.distributed.initialize(**options)
    found: dict[str, Any] = {"count": jax.process_count(), "index": jax.process_index()}
    found["devices"] = {name: jax.config.values[name] for name in VISIBLE_DEVICES}
    jax.distributed.shutdown()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(meet(json.loads(sys.argv[1]))) + "\n")
