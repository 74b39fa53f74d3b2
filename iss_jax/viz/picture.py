"""Figures that a notebook shows by themselves."""

import io

from iss_jax.extras import imports_of

with imports_of("viz"):
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
