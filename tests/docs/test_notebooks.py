"""The notebooks of the site run as they stand, and say again what they hold."""

import json
import re

import jax
import pytest
from code_blocks import ROOT
from site_modules import load

NOTEBOOKS = load("notebooks")
PATHS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def texts(outputs):
    """What cells print, numbers apart: these differ in their last digits between two versions."""
    found = []
    for output in outputs:
        data = output.get("data", {})
        text = "".join(output.get("text", data.get("text/plain", "")))
        found.append((sorted(data), re.sub(r"\s+", " ", re.sub(r"[-+]?[\d.]+", "#", text))))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_says_again_what_it_holds(path):
    stored = [cell["outputs"] for cell in NOTEBOOKS.cells(path) if cell["cell_type"] == "code"]
    # As a reader has them; the suite itself is stricter.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = NOTEBOOKS.executed(path)
    assert [kinds(texts(one)) for one in found] == [kinds(texts(one)) for one in stored]


def kinds(outputs):
    """Kinds of outputs and the first line's words; which player comes first may be a near thing."""
    return [(data, text.partition("#")[0].partition(":")[0]) for data, text in outputs]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_holds_its_outputs_and_is_a_page(path):
    page = NOTEBOOKS.page(path)
    assert page.startswith("# ") and "data:image/png;base64," in page and "```text" in page
    assert "Error" not in page and path.stat().st_size < 500_000
    assert all(cell["source"].strip() for cell in NOTEBOOKS.cells(path))
    # In its place of the site.
    assert f"notebooks/{path.stem}.md" in (ROOT / "mkdocs.yml").read_text()


def test_there_are_three():
    assert [path.stem for path in PATHS] == ["first_map", "own_robot", "two_checkpoints"]


def written(path, *sources):
    made = [
        {"cell_type": "code", "source": [source], "outputs": [], "metadata": {}}
        for source in sources
    ]
    path.write_text(json.dumps({"cells": made, "nbformat": 4}))
    return path


def test_cells_share_a_namespace_and_their_last_expression_is_shown(tmp_path):
    path = written(tmp_path / "a.ipynb", "x = 2\nprint('two')", "x + 1\n", "y = x")
    first, second, third = NOTEBOOKS.executed(path)
    assert [one["text"] for one in first] == ["two\n"]
    assert [one["data"] for one in second] == [{"text/plain": "3"}]
    assert third == []
    NOTEBOOKS.store(path)
    assert NOTEBOOKS.page(path).startswith(
        "```python\nx = 2\nprint('two')\n```\n\n```text\ntwo\n```"
    )


def test_a_notebook_of_another_version_is_refused(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [], "nbformat": 3}))
    with pytest.raises(ValueError, match="nbformat 3, 4 wanted"):
        NOTEBOOKS.cells(path)


def test_an_error_names_the_cell(tmp_path):
    with pytest.raises(ZeroDivisionError) as caught:
        NOTEBOOKS.executed(written(tmp_path / "a.ipynb", "1", "1 / 0"))
    assert any("a.ipynb, cell 2" in str(entry.path) for entry in caught.traceback)
