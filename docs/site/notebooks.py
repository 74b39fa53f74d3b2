"""Notebooks: run from top to bottom, and shown as pages of the site.

    python docs/site/notebooks.py docs/notebooks/first_map.ipynb

runs one and stores its outputs in it. A notebook is read as the JSON that it is.
"""

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

Output = dict[str, Any]


def cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook, their text as one string.

    Args:
        path: The `.ipynb` file.

    Raises:
        ValueError: It is of another version than 4.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("nbformat") != 4:
        raise ValueError(f"{path}: nbformat {content.get('nbformat')}, 4 wanted")
    return [{**cell, "source": "".join(cell["source"])} for cell in content["cells"]]


def executed(path: Path) -> list[list[Output]]:
    """Runs a notebook's cells in one namespace; the outputs of each cell of code.

    Args:
        path: The `.ipynb` file.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    code = [cell["source"] for cell in cells(path) if cell["cell_type"] == "code"]
    return [_run(text, namespace, f"{path.name}, cell {i}") for i, text in enumerate(code, 1)]


def _run(code: str, namespace: dict[str, Any], name: str) -> list[Output]:
    """What a cell prints, and what its last expression is worth."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
    found: list[Output] = []
    if text := printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        data = {"text/plain": repr(value)}
        if hasattr(value, "_repr_png_"):
            data = {"image/png": _smaller(value._repr_png_()), "text/plain": "a figure"}
        found.append(
            {
                "output_type": "execute_result",
                "data": data,
                "metadata": {},
                "execution_count": None,
            }
        )
    return found


def _smaller(png: bytes) -> str:
    """A picture of few colours, in base 64: a checkout holds it for good."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((1100, 1100))
    buffer = io.BytesIO()
    picture.quantize(96).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def store(path: Path) -> None:
    """Runs a notebook and writes its outputs into it.

    Args:
        path: The `.ipynb` file.
    """
    outputs = iter(executed(path))
    content = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        cell["outputs"], cell["execution_count"] = next(outputs), number
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def page(path: Path) -> str:
    """A notebook as Markdown, with the outputs that it holds.

    Args:
        path: The `.ipynb` file.
    """
    parts = []
    for cell in cells(path):
        if cell["cell_type"] == "markdown":
            parts.append(cell["source"])
            continue
        parts.append(f"```python\n{cell['source']}\n```")
        parts += [_shown(output) for output in cell["outputs"]]
    note = f"This page is a notebook, which runs from top to bottom: [{path.name}]({path.name})."
    return "\n\n".join([*parts, note]) + "\n"


def _shown(output: Output) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f"![output of the cell above](data:image/png;base64,{data['image/png']})"
    text = "".join(data.get("text/plain", output.get("text", "")))
    return f"```text\n{text.rstrip()}\n```"


if __name__ == "__main__":
    for given in sys.argv[1:]:
        store(Path(given))
