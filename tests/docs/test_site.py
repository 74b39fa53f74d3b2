"""The site's own code, without MkDocs: links of pages that move, names that must be shown."""

import re
import sys
import types

import pytest
from code_blocks import PAGES, ROOT
from site_modules import load

import iss_jax

HOOKS = load("hooks")


def test_links_of_the_readme_lead_to_the_same_pages_of_the_site():
    text = "[a](docs/start.md) ![b](docs/pictures/x.png) [c](third_party/README.md#licences)"
    expected = "[a](start.md) ![b](pictures/x.png) [c](third_party/README.md#licences)"
    assert HOOKS.relinked(text, "README.md", "index.md") == expected


def test_links_that_leave_docs_lead_to_where_the_page_is_on_the_site():
    text = "[a](../../third_party/README.md) [b](../method.md#views) [c](../../README.md)"
    expected = "[a](../third_party/README.md) [b](../method.md#views) [c](../index.md)"
    assert HOOKS.relinked(text, "docs/guide/servers.md", "guide/servers.md") == expected


def test_a_notebook_is_its_file_in_the_checkout_and_a_page_on_the_site():
    text = "[a](notebooks/first_map.ipynb) [b](start.md)"
    expected = "[a](notebooks/first_map.md) [b](start.md)"
    assert HOOKS.relinked(text, "docs/start.md", "start.md") == expected
    # The page itself leads to its file.
    own = "[first_map.ipynb](first_map.ipynb)"
    place = "notebooks/first_map.md"
    assert HOOKS.relinked(own, f"docs/{place}", place) == own


@pytest.mark.parametrize("page", PAGES)
def test_pages_that_are_linked_to_are_in_the_checkout(page):
    """A reader of the checkout has no site: what only its build makes is no target."""
    folder = (ROOT / page).parent
    for match in HOOKS.LINK.finditer((ROOT / page).read_text()):
        if match[2].endswith((".md", ".ipynb", ".png", ".gif")):
            assert (folder / match[2]).exists(), f"{page}: {match[2]}"


def test_links_to_what_is_not_on_the_site_stay_for_mkdocs_to_refuse():
    text = "[a](../../Makefile) [b](https://arxiv.org/abs/1806.07421) [c](#here)"
    assert HOOKS.relinked(text, "docs/guide/servers.md", "guide/servers.md") == text


def test_examples_of_docstrings_become_code(monkeypatch):
    monkeypatch.setitem(sys.modules, "griffe", types.SimpleNamespace(Extension=object, Object=None))
    fenced = load("doctests").fenced
    assert fenced("Adds.\n\n>>> 1 + 1\n2\n\nMore.\n\n>>> 3\n3") == (
        "Adds.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nMore.\n\n```pycon\n>>> 3\n3\n```"
    )


def test_every_public_name_has_a_place_in_the_api_pages():
    names = {f"iss_jax.{name}" for name in iss_jax.__all__}
    for module in HOOKS.SUBMODULES:
        names -= {f"iss_jax.{module}"}
        names |= {f"iss_jax.{module}.{name}" for name in public_names(module)}
    names = {name for name in names if not name.split(".")[-1].startswith("__")}
    assert names - HOOKS.documented() == set()


def public_names(module: str) -> list[str]:
    members = vars(getattr(iss_jax, module))
    own = [
        name
        for name, member in members.items()
        if not name.startswith("_")
        and isinstance(member, (type, types.FunctionType))
        and member.__module__ == f"iss_jax.{module}"
    ]
    return members.get("__all__", own)


@pytest.mark.parametrize("page", PAGES)
def test_tables_can_be_read(page):
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            assert len(cells) <= 6, f"{page}:{number}: {len(cells)} columns"
            numbers = re.compile(r"(?:[\d.,−]+ */ *){3}[\d.,−]+")
            assert not any(map(numbers.search, cells)), f"{page}:{number}: four numbers in a cell"


def test_the_front_page_is_a_page():
    assert len((ROOT / "README.md").read_text().split()) <= 1000
