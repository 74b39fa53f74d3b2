"""Examples of docstrings as code (an extension of griffe, which reads the sources for the site)."""

from typing import Any

import griffe


def fenced(docstring: str) -> str:
    """A docstring whose examples, from `>>>` to the next empty line, stand between code fences."""
    lines, inside = [], False
    for line in docstring.splitlines():
        if not inside and line.startswith(">>>"):
            lines.append("```pycon")
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)


class Doctests(griffe.Extension):
    """Puts the examples of every docstring between code fences."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called with each function, class and module that griffe has read."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
