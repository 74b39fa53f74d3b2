"""A page in a headless Chromium, and what a script that plays a reader finds in it."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync hide-scrollbars "
    "disable-background-networking disable-component-update virtual-time-budget=60000 dump-dom"
)

# What scripts may use: waiting, choosing and keys.
TOOLS = """
const found = [];
const until = async (done) => {
  for (let i = 0; i < 400 && !done(); i++) await new Promise((go) => setTimeout(go, 20));
  if (!done()) throw new Error(`never came: ${done}`);
};
const choose = (id, value, event = "change") => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event(event, { bubbles: true }));
};
const press = (where, key) => {
  where.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
};
"""


def browser() -> str | None:
    """The first Chromium on the path."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def found_in(page: str, script: str, folder: Path, *, width: int = 1400) -> list[Any]:
    """What a script pushes to `found`, once the page is ready.

    Args:
        page: HTML.
        script: The body of an asynchronous function; see `TOOLS`.
        folder: For the page and the browser's profile.
        width: That the page has.

    Raises:
        AssertionError: The script ended in an error, or not at all.
    """
    chromium = browser()
    if chromium is None:
        pytest.skip("no Chromium on the path: not tried in a browser")
    wrapped = f"""<script>(async () => {{ {TOOLS}
      const out = document.createElement("pre");
      try {{
        await until(() => document.body.dataset.ready === "yes");
        {script}
        out.textContent = JSON.stringify(found);
      }} catch (error) {{ out.textContent = JSON.stringify(String(error)); }}
      out.id = "found";
      parent.document.body.append(out);
    }})();</script></body>"""
    path, inner = folder / "page.html", html.escape(page.replace("</body>", wrapped))
    # A window is never narrower than 500 pixels; a frame in it is.
    frame = f'<iframe width="{width}" height="900" style="border:0" srcdoc="{inner}"></iframe>'
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}</body>", encoding="utf-8")
    words = [chromium, *(f"--{flag}" for flag in FLAGS.split())]
    dom = subprocess.run(
        [*words, f"--user-data-dir={folder / 'profile'}", path.as_uri()],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    told = re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)
    assert told, "the script did not end"
    found = json.loads(html.unescape(told[1]))
    assert isinstance(found, list), found
    return found
