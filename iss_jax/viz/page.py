"""One page of a template, its style, its script and its content; it loads nothing from afar."""

import json
from pathlib import Path
from typing import Any

from iss_jax.extras import imports_of

with imports_of("viz"):
    import jinja2


def page_html(folder: str, content: Any, **texts: str) -> str:
    """The page as text.

    Args:
        folder: Beside this file, with `page.html`, `page.css` and `page.js`.
        content: What the script reads, as JSON.
        texts: Further names of the template.

    Raises:
        ValueError: A number of the content is not finite.
    """
    root = Path(__file__).with_name(folder)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(root), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html").render(
        # Nothing in a string may end the element that the content stands in.
        content=json.dumps(content, allow_nan=False).replace("<", "\\u003c"),
        style=(root / "page.css").read_text(encoding="utf-8"),
        script=(root / "page.js").read_text(encoding="utf-8"),
        **texts,
    )
