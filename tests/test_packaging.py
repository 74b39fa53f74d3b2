"""What is shipped, what is pinned, and what an import costs."""

import ast
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_extras import OTHER_NAMES, imports

import iss_jax
from iss_jax import extras

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEWEST = "requirements-lock.txt"
OPENPI = "third_party/openpi-constraints.txt"


def pins(path: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / path).read_text().splitlines()]
    pairs = [line.split("==") for line in lines if line]
    assert all(len(pair) == 2 for pair in pairs), f"{path}: every line must be an exact pin"
    names = [canonicalize_name(name) for name, _ in pairs]
    assert len(set(names)) == len(names), f"{path}: a package is pinned twice"
    return dict(zip(names, (version for _, version in pairs), strict=True))


def requirements(*extras: str) -> list[Requirement]:
    lines = PROJECT["dependencies"] + [line for extra in extras for line in EXTRAS[extra]]
    found = [Requirement(line) for line in lines]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


@pytest.mark.parametrize(
    ("path", "extras"),
    [
        (NEWEST, ("data", "viz", "tensorboard", "serve", "test", "dev")),
        (OPENPI, ("data", "viz", "rerun", "tensorboard", "serve", "test")),
    ],
)
def test_both_stacks_satisfy_the_declared_ranges(path: str, extras: tuple[str, ...]) -> None:
    pinned = pins(path)
    for requirement in requirements(*extras):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{path}: {requirement} against {version}"


@pytest.mark.parametrize("extra", ["libero", "docs"])
def test_a_further_lock_adds_to_the_lock_and_never_contradicts_it(extra: str) -> None:
    newest, further = pins(NEWEST), pins(f"requirements-{extra}-lock.txt")
    assert not set(newest) & set(further)
    for requirement in requirements(extra)[len(PROJECT["dependencies"]) :]:
        version = (newest | further)[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version)


def test_simulator_and_docs_fit_into_one_environment() -> None:
    simulator, docs = pins("requirements-libero-lock.txt"), pins("requirements-docs-lock.txt")
    assert all(simulator[name] == docs[name] for name in set(simulator) & set(docs))


def test_openpi_stack_holds_the_versions_of_the_reference_commit() -> None:
    stated = {
        "jax": "0.5.3",
        "jaxlib": "0.5.3",
        "flax": "0.10.2",
        "orbax-checkpoint": "0.11.13",
        "numpy": "1.26.4",
        "ml-collections": "1.0.0",
        "chex": "0.1.90",
        "jaxtyping": "0.2.36",
        "beartype": "0.19.0",
        "ml-dtypes": "0.4.1",
        "tensorstore": "0.1.74",
    }
    assert stated.items() <= pins(OPENPI).items()


def test_wheel_holds_the_package_with_its_data_and_nothing_else(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "iss_jax").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == tracked and "iss_jax/py.typed" in names


def test_embedded_data_stays_small() -> None:
    files = [path for path in (ROOT / "iss_jax" / "embedded").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6


def test_base_dependencies_are_what_the_package_imports() -> None:
    optional = {*OTHER_NAMES, *(module for modules in extras.EXTRAS.values() for module in modules)}
    modules = {
        name
        for path in (ROOT / "iss_jax").rglob("*.py")
        for names, _ in imports(ast.parse(path.read_text()))
        for name in names
    }
    modules -= {"iss_jax", *sys.stdlib_module_names, *optional, *extras.READERS_OWN}
    distributions = importlib.metadata.packages_distributions()
    imported = {canonicalize_name(distributions[module][0]) for module in modules}
    assert imported == {canonicalize_name(requirement.name) for requirement in requirements()}


def test_import_brings_in_nothing_heavy_and_no_extra() -> None:
    """Loading a checkpoint included: what it needs is imported when one is loaded."""
    heavy = ["flax", "optax", "orbax", "tensorstore", "sentencepiece", "scipy.stats", "chex"]
    heavy += sorted({module for modules in extras.EXTRAS.values() for module in modules})
    heavy += extras.READERS_OWN
    program = "import sys, iss_jax, iss_jax.policies.openpi, iss_jax.policies.lerobot\n"
    program += f"print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"


def test_one_version() -> None:
    source = (ROOT / "iss_jax" / "__init__.py").read_text()
    assert source.count("__version__ = ") == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", iss_jax.__version__)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == iss_jax.__version__
    # The newest version of the changelog, released or not.
    newest = re.search(r"^## \[?(\S+?)\]?(?: |$)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None and newest[1] == iss_jax.__version__


def test_the_citation_says_what_the_format_wants() -> None:
    """The keys that Citation File Format 1.2.0 requires, of the software and of the paper."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["license"] == PROJECT["license"]
    for entry in (citation, citation["preferred-citation"]):
        assert entry["title"] and entry["authors"]
        assert all({"name"} <= set(a) or {"family-names"} <= set(a) for a in entry["authors"])
    assert citation["message"] and citation["preferred-citation"]["type"] == "conference-paper"


def test_a_commit_is_held_to_the_lint_of_ci() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in config["repos"]} == {"local"}, "hooks are not fetched"
    hooks = [hook["entry"].split()[-1] for repo in config["repos"] for hook in repo["hooks"]]
    ci = (ROOT / ".ci" / "run").read_text()
    (part,) = re.findall(r'^part "lint and types" \d+ run (.+)$', ci, re.M)
    assert hooks == part.split()
