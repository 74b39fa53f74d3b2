"""One self-contained page of a run directory: figures, tables, configuration, environment."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from etils import epath

from iss_jax.data.atomic import write_bytes

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
figure img, figure video { max-width: min(100%, 60rem); max-height: 60rem; background: white; }
figcaption, .note { font-size: 0.85rem; opacity: 0.75; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.6rem; border-bottom: 1px solid var(--soft); text-align: left; }
td.number { text-align: right; }
th { position: sticky; top: 0; }
pre { font-size: 0.8rem; background: var(--soft); padding: 0.6rem; overflow-x: auto; }
"""


def write_report(folder: str | os.PathLike, *, title: str | None = None) -> Path:
    """Writes `report.html` into a run directory, from nothing but what lies in it.

    Pictures and videos, wherever they lie in it, come first; then every CSV table, the JSON results
    and configuration and environment. Of folders `episode_<number>` those are left out that
    `folders` in `results.json` does not list, where it is there. Nothing is loaded from elsewhere,
    so the page can be mailed; what a link points to stays out.

    Args:
        folder: the run directory.
        title: of the page; the configuration's `name`, else the folder's, when None.

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
    config, environment, results = (
        _json(folder / name) if _is_own(folder, folder / name) else None
        for name in ("config.json", "environment.json", "results.json")
    )
    if title is None:
        title = str((config or {}).get("name") or folder.resolve().name)
    parts = [f"<h1>{html.escape(title)}</h1>", _subtitle(environment)]
    others = {folder / name for name in folders_of_others(folder)}
    files = [path for path in _files(folder) if others.isdisjoint(path.parents)]
    parts += [_link(path.name) for path in files if path.parent == folder and _is_page(path)]
    figures = [path for path in files if path.suffix.lower() in _TYPES]
    if figures:
        parts.append("<h2>Figures</h2>")
        parts += [_figure(folder, path) for path in figures]
    for path in files:
        if path.suffix == ".csv":
            parts.append(_table(folder, path))
    if results is not None:
        parts.append("<h2>results.json</h2>" + _details(results))
    for name, content in (("Configuration", config), ("Environment", environment)):
        if content is not None:
            parts.append(f"<h2>{name}</h2><pre>{_pretty(content)}</pre>")
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


def _figure(folder: Path, path: Path) -> str:
    name = html.escape(path.relative_to(folder).as_posix())
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        size = len(content) / 1e6
        return f'<p class="note">{name}: {size:.1f} MB, not taken into this page</p>'
    kind = _TYPES[path.suffix.lower()]
    source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    shown = (
        f'<video controls loop muted src="{source}"></video>'
        if kind.startswith("video")
        else f'<img alt="{name}" src="{source}">'
    )
    return f"<figure>{shown}<figcaption>{name}</figcaption></figure>"


def _table(folder: Path, path: Path) -> str:
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    name = html.escape(path.relative_to(folder).as_posix())
    if not rows:
        return f"<h2>{name}</h2><p>empty</p>"
    head, *body = rows
    left_out = len(body) - MOST_ROWS
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    lines += ["".join(map(_cell, row)) for row in body[:MOST_ROWS]]
    note = f'<p class="note">{left_out} more rows in the file</p>' if left_out > 0 else ""
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<h2>{name}</h2><div class="table"><table>{table}</table></div>{note}'


def _cell(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return f"<td>{html.escape(text)}</td>"
    shown = text if len(text) <= 8 else f"{number:.4g}"
    return f'<td class="number">{html.escape(shown)}</td>'


def _details(content: Any) -> str:
    return f"<details><summary>show</summary><pre>{_pretty(content)}</pre></details>"


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
