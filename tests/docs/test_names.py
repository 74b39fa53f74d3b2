"""What pages name is there: files and folders, modules and their members, tests, scripts."""

import importlib.util
import re

import pytest
from code_blocks import PAGES, ROOT

WRITTEN = (*PAGES, "CHANGELOG.md", "third_party/README.md", "tests/golden/README.md")
# A path from the root of the checkout. `test_<name>.py` stands for many files.
PATH = re.compile(
    r"(?<![\w/.-])(?:\.ci|configs|docs|experiments|iss_jax|tests|third_party|typings)/"
    r"[\w/.-]*\w(?![\w<])"
)
DOTTED = re.compile(r"(?<![\w/.-])(?:configs|experiments|iss_jax)(?:\.\w+)+")
SCRIPT = re.compile(r"(?<![\w/.-])\w+\.py\b")
TEST = re.compile(r"\btest_\w+\b(?!\.py|<)")
# What the changelog says is gone, and must be.
GONE = {
    "iss_jax.data.lerobot.open_dataset",
    "iss_jax.discrimination",
    "iss_jax.savings",
    "iss_jax.stream",
    "iss_jax.viz.report",
}
# A checkout that the reader makes, and a file that the reader writes.
READERS = "third_party/openpi"
READERS_SCRIPTS = {"my_robot.py"}


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or a member of one or of its class."""
    module, members = name, []
    while not is_module(module):
        module, _, member = module.rpartition(".")
        members.insert(0, member)
    # A module that needs an extra is not imported unless it is a member that is named.
    found = importlib.import_module(module) if members else None
    for member in members:
        fields = getattr(found, "__dataclass_fields__", {})
        if not hasattr(found, member) and member not in fields:
            return False
        found = getattr(found, member, None)
    return True


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        # What should hold it is no package.
        return False


@pytest.fixture(scope="module")
def python_files():
    tops = (".ci", "configs", "docs", "experiments", "iss_jax", "tests")
    files = [file for top in tops for file in ROOT.glob(f"{top}/**/*.py")]
    return {file: file.read_text() for file in (ROOT / "conftest.py", *files)}


def test_a_wrong_name_is_found():
    text = "See `experiments/none.py`, tests/test_<name>.py, `iss_jax.stats.none` and x/test_it.py."
    assert PATH.findall(text) == ["experiments/none.py"]
    assert not (ROOT / "experiments/none.py").exists()
    assert DOTTED.findall(text) == ["iss_jax.stats.none"]
    assert not is_there("iss_jax.stats.none") and not is_there("iss_jax.none.stats")
    assert is_there("iss_jax.Saliency.plot") and is_there("iss_jax.results.Saliency.cells")


@pytest.mark.parametrize("page", WRITTEN)
def test_files_and_folders_that_a_page_names_are_there(page, python_files):
    text = (ROOT / page).read_text()
    paths = {path for path in PATH.findall(text) if not f"{path}/".startswith(f"{READERS}/")}
    assert not [path for path in sorted(paths) if not (ROOT / path).exists()]
    scripts = {file.name for file in python_files} | READERS_SCRIPTS
    assert set(SCRIPT.findall(text)) - scripts == set()


@pytest.mark.parametrize("page", WRITTEN)
def test_modules_and_members_that_a_page_names_are_there(page):
    missing = {name for name in DOTTED.findall((ROOT / page).read_text()) if not is_there(name)}
    assert missing == (GONE if page == "CHANGELOG.md" else set())


@pytest.mark.parametrize("page", WRITTEN)
def test_tests_that_a_page_names_are_there(page, python_files):
    named = set(TEST.findall((ROOT / page).read_text()))
    defined = {
        name
        for file, code in python_files.items()
        if file.name.startswith("test_")
        for name in (file.stem, *re.findall(r"^def (test_\w+)", code, re.MULTILINE))
    }
    assert named - defined == set()


def test_pages_that_the_code_names_are_there(python_files):
    named = re.compile(r"\bdocs/[\w/-]+\.md\b")
    missing = {
        f"{file.relative_to(ROOT)}: {path}"
        for file, code in python_files.items()
        for path in named.findall(code)
        if not (ROOT / path).exists()
    }
    assert not missing
