"""Figures that a notebook shows by themselves."""

import io

import numpy as np
from jaxtyping import UInt8

from iss_jax.extras import imports_of

with imports_of("viz"):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that is shown where a cell of a notebook ends with it, without pyplot.

    >>> Picture(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def pixels(figure: Figure) -> UInt8[np.ndarray, "h w 3"]:
    """A figure as an array, for loggers and videos.

    >>> pixels(Picture(figsize=(1, 2), dpi=50)).shape
    (100, 50, 3)
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
