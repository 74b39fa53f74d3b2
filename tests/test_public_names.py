"""The public face: one list, nothing hidden behind a module's name, light to import."""

import importlib
import importlib.util
import pathlib
import subprocess
import sys
import types

import pytest

import iss_jax

PUBLIC = {
    *("saliency", "saliency_until", "attribute", "attribute_until"),
    *("player_effects_until", "attribute_players_until"),
    *("player_effects", "attribute_players", "nmr_by_effect", "Players", "Background", "Groups"),
    *("Effects", "EffectsConfig", "NuisanceShare"),
    *("ISSConfig", "Sampling", "Savings", "Saliency", "Region"),
    *("nuisance_mass_ratio", "regional_mass_ratio", "mass_ratio", "chance_level"),
    *("critical_set", "CriticalSet", "from_checkpoint", "device_mesh", "fsdp"),
    *(
        "baselines",
        "faithfulness",
        "fills",
        "perturbations",
        "players",
        "tokens",
        "strides",
        "__version__",
    ),
}
ROOT = pathlib.Path(__file__).parents[1]


def in_a_new_process(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_one_list_of_public_names():
    assert sorted(PUBLIC) == sorted(iss_jax.__all__)
    assert all(hasattr(iss_jax, name) for name in PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_no_module_hides_behind_a_public_name(name):
    if importlib.util.find_spec(f"iss_jax.{name}") is None:
        assert not isinstance(getattr(iss_jax, name), types.ModuleType)
    else:
        assert importlib.import_module(f"iss_jax.{name}") is getattr(iss_jax, name)


def test_importing_a_module_gives_the_module():
    import iss_jax.pi05_saliency as m

    assert isinstance(m, types.ModuleType) and m.saliency is iss_jax.saliency


def test_the_import_brings_in_no_library_that_reads_draws_or_fits():
    heavy = ["orbax", "pyarrow", "matplotlib", "scipy.stats", "sentencepiece", "tensorstore"]
    program = f"import sys, iss_jax; print([m for m in {heavy} if m in sys.modules])"
    assert in_a_new_process(program) == "[]"


def test_the_import_takes_less_than_a_second_beyond_jax():
    """Of processor time, which other processes on the machine do not change."""
    program = (
        "import time, jax; start = time.process_time(); import iss_jax;"
        "print(time.process_time() - start)"
    )
    assert float(in_a_new_process(program)) < 1.0


def test_a_checkpoint_is_read_by_the_public_name():
    from iss_jax.policies import openpi

    assert iss_jax.from_checkpoint is openpi.from_checkpoint
