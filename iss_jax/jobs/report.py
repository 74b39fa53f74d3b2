"""One self-contained page of a run directory, which answers first.

The question is its title, the answer stands beneath, then a figure with the controls' table beside
it. The other figures follow with their captions; raw rows, configuration and environment are folded
away.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from etils import epath

from iss_jax.data.atomic import write_bytes
from iss_jax.jobs import answer as answers
from iss_jax.jobs.captions import caption_of

NAME = "report.html"
MOST_ROWS = 60  # of a table; the page says how many are left out
MOST_BYTES = 12_000_000  # of a figure that is taken into the page; larger ones are named
_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0.2rem; }
h2 { font-size: 1.1rem; border-bottom: 1px solid var(--line); margin-top: 2.2rem; }
figure { display: inline-block; margin: 0.6rem 1rem 0.6rem 0; max-width: 100%; }
figure { vertical-align: top; }
figcaption { max-width: 42rem; }
.verdict { border-left: 4px solid #0b62a8; font-size: 1.1rem; margin: 0.8rem 0; }
.verdict { padding-left: 0.8rem; }
.answer { display: flex; flex-wrap: wrap; gap: 0 1.5rem; align-items: flex-start; }
.answer figure { flex: 2 1 34rem; margin-right: 0; min-width: 0; }
.answer .table { flex: 1 1 20rem; margin-top: 0.6rem; min-width: 0; }
.answer td:not(:first-child) { white-space: nowrap; }
summary { cursor: pointer; padding: 0.2rem 0; }
@media (max-width: 640px) { .answer th, .answer td { padding: 0.15rem; } }
figure img, figure video { max-width: min(100%, 60rem); max-height: 60rem; background: white; }
figcaption, .note { font-size: 0.85rem; opacity: 0.75; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.6rem; border-bottom: 1px solid var(--soft); text-align: left; }
td.number { text-align: right; }
th { vertical-align: bottom; }
pre { font-size: 0.8rem; background: var(--soft); padding: 0.6rem; overflow-x: auto; }
"""


def write_report(folder: str | os.PathLike, *, title: str | None = None) -> Path:
    """Writes `report.html` into a run directory, from nothing but what lies in it.

    What `answer.json` holds comes first (`iss_jax.jobs.answer`): question, answer, and the table of
    controls beside a figure. Then the other pictures and videos, wherever they lie, with captions.
    CSV tables, the JSON results, configuration and environment are folded away beneath. Of folders
    `episode_<number>` those are left out that `folders` in `results.json` does not list, where it
    is there. Nothing is loaded from elsewhere, so the page can be mailed; what a link points to
    stays out.

    Args:
        folder: the run directory.
        title: of the page; the question when None, else the configuration's `name`, else the
            folder's.

    Returns:
        The page's path.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a JSON or CSV file cannot be read; the message names it.
    """
    # A bucket's path stays what it is; it has the methods of a local one.
    folder = cast(Path, folder if isinstance(folder, epath.Path) else Path(folder))
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no run directory here")
    config, environment, results, stored = (
        _json(folder / name) if _is_own(folder, folder / name) else None
        for name in ("config.json", "environment.json", "results.json", answers.NAME)
    )
    answer = answers.answer_from(stored, str(folder / answers.NAME))
    if title is None:
        named = str((config or {}).get("name") or folder.resolve().name)
        title = named if answer is None else answer.question
    others = {folder / name for name in folders_of_others(folder)}
    files = [path for path in _files(folder) if others.isdisjoint(path.parents)]
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if answer is not None and answer.verdict:
        parts.append(f'<p class="verdict">{html.escape(answer.verdict)}</p>')
    parts.append(_subtitle(environment))
    parts += [_link(path.name) for path in files if path.parent == folder and _is_page(path)]
    figures = [path for path in files if path.suffix.lower() in _TYPES]
    captions = {} if answer is None else answer.captions
    if answer is not None and answer.controls:
        first = _first(figures, answer.figure)
        beside = [_figure(folder, path, captions) for path in first]
        parts.append(f'<div class="answer">{"".join(beside)}{_controls(answer.controls)}</div>')
        figures = [path for path in figures if path not in first]
    if figures:
        parts.append("<h2>Figures</h2>")
        parts += [_figure(folder, path, captions) for path in figures]
    folded = [_table(folder, path) for path in files if path.suffix == ".csv"]
    for name, content in (
        ("results.json", results),
        ("Configuration", config),
        ("Environment", environment),
    ):
        if content is not None:
            folded.append(_folded(name, f"<pre>{_pretty(content)}</pre>"))
    if folded:
        parts += ["<h2>Raw rows and options</h2>", *folded]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    write_bytes(folder / NAME, page.encode())
    return folder / NAME


def folders_of_others(folder: str | os.PathLike) -> list[str]:
    """Folders `episode_<number>` of a run directory that the last run did not write.

    Args:
        folder: the run directory.

    Returns:
        Those that `folders` in `results.json` does not list; none where it lists nothing.

    Raises:
        ValueError: `results.json` cannot be read.
    """
    folder = cast(Path, folder if isinstance(folder, epath.Path) else Path(folder))
    results = _json(folder / "results.json")
    own = results.get("folders") if isinstance(results, dict) else None
    if own is None:
        return []
    found = [path.name for path in folder.iterdir() if re.fullmatch(r"episode_\d+", path.name)]
    return sorted(set(found) - set(own))


def _files(folder: Path) -> list[Path]:
    """All files but work items, datasets, links and what begins with a dot, in natural order."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: _natural(path.relative_to(folder))):
        parts = path.relative_to(folder).parts
        inside = parts[0] in ("items", "checkpoints") or any(part.startswith(".") for part in parts)
        if _is_own(folder, path) and not inside:
            found.append(path)
    return found


def _is_own(folder: Path, path: Path) -> bool:
    """Whether the file itself lies in the folder: what a link points to is not the run's."""
    if "://" in str(folder):
        return path.is_file()
    root = folder.resolve()
    return path.is_file() and path.resolve() == root / path.relative_to(folder)


def _natural(path: Path) -> list[Any]:
    """Files of the folder itself and its `figures` first, and 2 before 10."""
    words = re.split(r"(\d+)", path.as_posix())
    rank = 0 if len(path.parts) == 1 or path.parts[0] == "figures" else 1
    return [rank, *(int(word) if index % 2 else word for index, word in enumerate(words))]


def _json(path: Path) -> Any | None:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error


def _subtitle(environment: Any | None) -> str:
    if not isinstance(environment, dict):
        return ""
    packages = environment.get("packages") or {}
    facts = [f"{name} {packages[name]}" for name in ("iss-jax", "jax", "flax") if name in packages]
    facts += [str(environment.get("backend") or ""), *map(str, environment.get("devices") or [])]
    if commit := environment.get("commit"):
        facts.append(
            f"commit {commit[:10]}{', changed' if environment.get('uncommitted_changes') else ''}"
        )
    return f'<p class="note">{html.escape(" · ".join(filter(None, facts)))}</p>'


def _is_page(path: Path) -> bool:
    return path.suffix == ".html" and path.name != NAME


def _link(name: str) -> str:
    """To another page of the run, which lies beside this one."""
    shown = html.escape(name)
    return f'<p>To click through: <a href="{shown}">{shown}</a>.</p>'


def _first(figures: Sequence[Path], name: str) -> list[Path]:
    """The figure that stands beside the controls, in a list; none where there is none."""
    named = [path for path in figures if path.name == name]
    return (named or list(figures))[:1]


def _figure(folder: Path, path: Path, captions: Mapping[str, str]) -> str:
    name = path.relative_to(folder).as_posix()
    shown = html.escape(name)
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        size = len(content) / 1e6
        return f'<p class="note">{shown}: {size:.1f} MB, not taken into this page</p>'
    kind = _TYPES[path.suffix.lower()]
    source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    said = html.escape(caption_of(name, captions))
    media = (
        f'<video controls loop muted src="{source}"></video>'
        if kind.startswith("video")
        else f'<img alt="{said or shown}" src="{source}">'
    )
    caption = f"{said} ({shown})" if said else shown
    return f"<figure>{media}<figcaption>{caption}</figcaption></figure>"


def _controls(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table beside the figure; what is not known is said."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    lines = [
        "".join(_cell(answers.NOT_KNOWN if v is None else str(v)) for v in row.values())
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'


def _table(folder: Path, path: Path) -> str:
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    name = path.relative_to(folder).as_posix()
    if not rows:
        return _folded(name, "<p>empty</p>")
    head, *body = rows
    left_out = len(body) - MOST_ROWS
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    lines += ["".join(map(_cell, row)) for row in body[:MOST_ROWS]]
    note = f'<p class="note">{left_out} more rows in the file</p>' if left_out > 0 else ""
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    count = f"{len(body)} row{'' if len(body) == 1 else 's'}"
    return _folded(f"{name}, {count}", f'<div class="table"><table>{table}</table></div>{note}')


def _folded(name: str, content: str) -> str:
    return f"<details><summary>{html.escape(name)}</summary>{content}</details>"


def _cell(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return f"<td>{html.escape(text)}</td>"
    shown = text if len(text) <= 8 else f"{number:.4g}"
    return f'<td class="number">{html.escape(shown)}</td>'


def _pretty(content: Any) -> str:
    return html.escape(json.dumps(_short(content), indent=2, ensure_ascii=False))


def _short(content: Any) -> Any:
    """Lists of many entries as their first ones and how many there are."""
    if isinstance(content, dict):
        return {key: _short(value) for key, value in content.items()}
    if isinstance(content, Sequence) and not isinstance(content, str):
        shown = [_short(value) for value in content[:MOST_ROWS]]
        more = len(content) - len(shown)
        return [*shown, f"and {more} more"] if more > 0 else shown
    return content
