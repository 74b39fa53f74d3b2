"""What is shipped, what is pinned, and what an import costs."""

import pathlib
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
        (OPENPI, ("data", "viz", "tensorboard", "serve", "test")),
    ],
)
def test_both_stacks_satisfy_the_declared_ranges(path: str, extras: tuple[str, ...]) -> None:
    pinned = pins(path)
    for requirement in requirements(*extras):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{path}: {requirement} against {version}"


def test_simulator_lock_adds_to_the_lock_and_never_contradicts_it() -> None:
    newest, simulator = pins(NEWEST), pins("requirements-libero-lock.txt")
    assert not set(newest) & set(simulator)
    for requirement in requirements("libero")[len(PROJECT["dependencies"]) :]:
        assert requirement.specifier.contains(simulator[canonicalize_name(requirement.name)])


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
    assert names == tracked


def test_embedded_data_stays_small() -> None:
    files = [path for path in (ROOT / "iss_jax" / "embedded").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6


def test_import_brings_in_no_plotting_dataset_checkpoint_or_simulator_library() -> None:
    heavy = ["matplotlib", "pyarrow", "PIL", "orbax", "tensorstore", "sentencepiece", "mujoco"]
    program = f"import sys, iss_jax; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"
