"""What the site needs beyond its pages (a hook of MkDocs).

- The README is its first page, so that no sentence of it stands twice; so are other pages that lie
  outside `docs/` and are linked to.
- A notebook of `docs/notebooks/` is a page, with the outputs that it holds.
- A public name without a place in `docs/api/`, or without a docstring, ends the build.
"""

import importlib.util
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

# Page outside docs/ -> its place on the site.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "third_party/README.md": "third_party/README.md",
}

# The package's own list, and those of the modules that it names.
SUBMODULES = ("baselines", "faithfulness", "perturbations", "strides", "tokens")

# A link or a picture: its text, its target, its anchor.
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")


def relinked(text: str, source: str, place: str) -> str:
    """Markdown of a file of this checkout, its relative links as they are on the site.

    Args:
        text: Markdown.
        source: The file's path in the checkout.
        place: The page's path on the site, from the site's root.
    """

    def target(match: re.Match) -> str:
        linked = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        on_site = OUTSIDE.get(linked) or linked.removeprefix("docs/")
        if linked.startswith("docs/notebooks/") and posixpath.dirname(place) != "notebooks":
            # In the checkout a notebook is the file; on the site a page, which links to its file.
            on_site = re.sub(r"\.ipynb$", ".md", on_site)
        if linked not in OUTSIDE and not linked.startswith("docs/"):
            return match[0]  # MkDocs says that there is no such page.
        relative = posixpath.relpath(on_site, posixpath.dirname(place) or ".")
        return f"{match[1]}{relative}{match[3] or ''}{match[4]}"

    return LINK.sub(target, text)


def documented(folder: Path = DOCS / "api") -> set[str]:
    """The names that the pages of a folder hold a `:::` line for."""
    pages = sorted(folder.glob("*.md"))
    lines = (line for page in pages for line in page.read_text().splitlines())
    return {line.removeprefix("::: ").strip() for line in lines if line.startswith("::: ")}


def public(package: Any) -> dict[str, Any]:
    """Public names of the package and of its public modules, by griffe's reading of the source.

    They are those of `__all__`, or where a module has none what it defines without an underscore.

    Args:
        package: griffe's module `iss_jax`.
    """
    names = {}
    for module in (package, *(package[name] for name in SUBMODULES)):
        for name, member in module.members.items():
            if member.is_public and (member.is_function or member.is_class):
                names[f"{module.path}.{name}"] = member
    return names


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that lie outside `docs/`, and those of notebooks."""
    from mkdocs.structure.files import File

    for source, place in OUTSIDE.items():
        text = relinked((ROOT / source).read_text(), source, place)
        files.append(File.generated(config, place, content=text))
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")):
        place = path.relative_to(DOCS).with_suffix(".md").as_posix()
        files.append(File.generated(config, place, content=notebooks().page(path)))
    return files


def notebooks() -> Any:
    """The module that reads notebooks, which lies beside this file."""
    path = Path(__file__).with_name("notebooks.py")
    spec = importlib.util.spec_from_file_location("notebooks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links that leave `docs/` lead to where their page is on the site."""
    place = page.file.src_uri
    if place in OUTSIDE.values():
        return markdown
    return relinked(markdown, f"docs/{place}", place)


def on_pre_build(config: Any) -> None:
    """Ends the build where the package has a public name that the site does not show."""
    import griffe
    from mkdocs.exceptions import Abort

    del config
    names = public(griffe.load("iss_jax", search_paths=[str(ROOT)]))
    missing = sorted(set(names) - documented())
    if missing:
        raise Abort(f"public names without a place in docs/api: {', '.join(missing)}")
    silent = sorted(name for name, member in names.items() if not member.has_docstring)
    if silent:
        raise Abort(f"public names without a docstring: {', '.join(silent)}")
