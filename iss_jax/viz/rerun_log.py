"""Numbers as lines of a rerun recording (the `rerun` extra)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.extras import imports_of


class RerunLog:
    """A writer with wandb's `log(dict, step=)`: numbers become lines, arrays [h, w, 3] pictures.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from iss_jax.viz.rerun_log import RerunLog
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RerunLog(Path(folder) / "monitor.rrd") as log:  # doctest: +SKIP
    ...         log.log({"monitor/nuisance_share": 0.3}, step=0)

    Args:
        path: Of the recording, with suffix `.rrd`; it grows while it is written.
        name: Of it.

    Raises:
        ModuleNotFoundError: rerun-sdk is not installed.
    """

    def __init__(self, path: str | Path, name: str = "monitor"):
        with imports_of("rerun"):
            import rerun as rr

        self._rr = rr
        self._recording = rr.RecordingStream("iss_jax", recording_id=name)
        self._recording.save(str(path))

    def log(self, data: dict[str, Any], /, step: int) -> None:
        """Writes numbers and uint8 pictures by name, a `/` being a level of the tree.

        Raises:
            ValueError: Something that is neither.
        """
        self._recording.set_time("inference", sequence=step)
        for name, value in data.items():
            array = np.asarray(value)
            if array.ndim == 0 and array.dtype.kind in "fiub":
                self._recording.log(name.split("/"), self._rr.Scalars(float(array)))
            elif array.ndim == 3 and array.dtype == np.uint8:
                self._recording.log(name.split("/"), self._rr.Image(array))
            else:
                raise ValueError(f"{name}: wanted a number or uint8 [h, w, 3], got {array.dtype}")

    def close(self) -> None:
        """Ends the file."""
        self._recording.flush()
        self._recording.disconnect()

    def __enter__(self) -> RerunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
