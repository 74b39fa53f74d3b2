"""TensorBoard event files, written by tensorboardX (the `tensorboard` extra)."""

from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.extras import imports_of


class TensorboardLog:
    """A writer with wandb's `log(dict, step=)`: numbers become scalars, arrays [h, w, 3] pictures.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TensorboardLog(folder) as log:
    ...         log.log({"iss/nmr_at_10": 0.3}, step=0)
    """

    def __init__(self, folder: str | Path):
        with imports_of("tensorboard"):
            from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def log(self, data: dict[str, Any], /, step: int) -> None:
        """Writes numbers and uint8 pictures by name.

        Raises:
            ValueError: Something that is neither.
        """
        for name, value in data.items():
            array = np.asarray(value)
            if array.ndim == 0 and array.dtype.kind in "fiu":
                self._writer.add_scalar(name, float(array), step)
            elif array.ndim == 3 and array.dtype == np.uint8:
                self._writer.add_image(name, array, step, dataformats="HWC")
            else:
                raise ValueError(f"{name}: wanted a number or uint8 [h, w, 3], got {array.dtype}")
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def __enter__(self) -> "TensorboardLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
