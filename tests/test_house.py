"""The tree keeps its rules, and each rule can be broken."""

from pathlib import Path

import house
import pytest

ROOT = Path(__file__).parents[1]
OURS = house.read_tree(ROOT)

FAKE = {
    "iss_jax/__init__.py": "",
    "iss_jax/a.py": """
        from typing import TYPE_CHECKING
        from jax._src import distributed
        import iss_jax, iss_jax.b as other
        if TYPE_CHECKING:
            from iss_jax.c import Thing
        other._hidden()
        iss_jax.c._far
        """,
    "iss_jax/b.py": "import iss_jax.a\nfrom iss_jax.c import _Private, __version__",
    "iss_jax/c.py": "def late():\n    from experiments.parts import tool\n    import iss_jax.d",
    "iss_jax/d.py": "from iss_jax.c import Thing\nThing._replace",
    "experiments/__init__.py": "",
    "experiments/run.py": "from experiments.parts import tool\ndef main(config, workdir): ...",
    "experiments/helper.py": "def helper(): ...",
    "experiments/parts/tool.py": "def late():\n    from experiments import run",
    "configs/run.py": "def get_config(): ...",
    "configs/orphan.py": "def get_config(): ...",
    "configs/parts/shared.py": "",
}


@pytest.fixture
def fake(tmp_path):
    for name, text in FAKE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.splitlines()
        margin = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
        path.write_text("\n".join(line[margin:] for line in lines))
    return house.read_tree(tmp_path)


def test_a_file_of_experiments_is_a_command_with_a_config_of_its_name():
    assert len(house.commands(OURS)) > 30
    assert house.unlike_commands(OURS) == []


def test_a_command_without_main_or_config_is_found(fake):
    assert house.unlike_commands(fake) == [
        "experiments/helper.py: no function main",
        "experiments/helper.py: no configs/helper.py with get_config",
        "configs/orphan.py: no experiments/orphan.py",
    ]


def test_no_folder_imports_a_command_and_the_package_no_experiment():
    assert house.imports_upwards(OURS) == []


def test_an_import_upwards_is_found(fake):
    assert house.imports_upwards(fake) == [
        "iss_jax/c.py:2: imports experiments.parts",
        "experiments/parts/tool.py:2: imports the command experiments",
    ]


def test_no_module_uses_a_private_name_of_another():
    assert house.private_names(OURS) == []


def test_a_private_name_is_found(fake):
    """Not what a class makes of itself (`Thing._replace`), nor names with two underscores."""
    assert house.private_names(fake) == [
        "iss_jax/a.py:3: jax._src distributed",
        "iss_jax/a.py:7: iss_jax.b._hidden",
        "iss_jax/a.py:8: iss_jax.c._far",
        "iss_jax/b.py:2: iss_jax.c _Private",
    ]


def test_no_circle_of_imports():
    """Those for types alone count; those in functions do not: they are how plots are kept out."""
    assert house.circles(OURS) == []


def test_a_circle_is_found(fake):
    assert house.circles(fake) == [["iss_jax.a", "iss_jax.b"]]
    assert house.circles(fake, late=True) == [
        ["experiments.parts.tool", "experiments.run"],
        ["iss_jax.a", "iss_jax.b"],
        ["iss_jax.c", "iss_jax.d"],
    ]
