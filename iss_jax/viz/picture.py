"""Figures whose texts are texts, and those that a notebook shows by themselves."""

import io

import numpy as np
from jaxtyping import UInt8

from iss_jax.extras import imports_of

with imports_of("viz"):
    from matplotlib import figure as plain
    from matplotlib.backend_bases import RendererBase
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text


# Of what matplotlib writes at ticks as a formula.
_OWN = r"\mathdefault"


class Figure(plain.Figure):
    """A figure in which a `$` of a task, a label or a path is a dollar, not the start of a formula.

    Formulae that matplotlib itself puts on an axis, such as powers of ten, stay what they are.
    """

    def draw(self, renderer: RendererBase) -> None:
        """As matplotlib's, once no text of others is read as a formula."""
        for text in self.findobj(Text):
            # Of matplotlib's own ticks are those that are meant as formulae.
            if isinstance(text, Text) and "$" in text.get_text() and _OWN not in text.get_text():
                text.set_parse_math(False)
        super().draw(renderer)


class Picture(Figure):
    """A figure that is shown where a cell of a notebook ends with it, without pyplot.

    >>> Picture(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def pixels(figure: plain.Figure) -> UInt8[np.ndarray, "h w 3"]:
    """A figure as an array, for loggers and videos.

    >>> pixels(Picture(figsize=(1, 2), dpi=50)).shape
    (100, 50, 3)
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
