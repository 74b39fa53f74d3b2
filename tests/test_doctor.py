import dataclasses
import json
import shutil
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from goldens import FOLDER

from iss_jax import doctor
from iss_jax.pi05 import checkpoint


@pytest.fixture(scope="module")
def computed():
    return doctor.tiny_saliency()


def test_works_with_the_core_dependencies_alone():
    """No module of any extra can be imported, and every check passes."""
    # flax itself brings msgpack.
    extras = sorted({name for names in doctor.EXTRAS.values() for name in names} - {"msgpack"})
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({extras}))\n"  # None: importing it raises
        "from iss_jax import doctor\n"
        f"doctor.extras = lambda: {{'data': {extras}}}\n"
        "sys.exit(doctor.main([]))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "all is well" in result.stdout and "FAIL" not in result.stdout
    assert "extra data: lacks" in result.stdout


def test_exit_code_tells_what_is_wrong(computed, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "tiny_saliency", lambda: computed)
    assert doctor.main(["--checkpoint", str(FOLDER / "ckpt_tiny_b" / "7")]) == 0
    assert "statistics of toy/robot (7)" in capsys.readouterr().out
    assert doctor.main(["--checkpoint", str(tmp_path)]) == 1
    assert "FAIL  checkpoint: FileNotFoundError" in capsys.readouterr().out
    wrong = dataclasses.replace(computed, effects=jnp.float32(1.01) * computed.effects)
    monkeypatch.setattr(doctor, "tiny_saliency", lambda: wrong)
    monkeypatch.setattr(doctor, "check_checkpoint", lambda path: "read")
    with pytest.raises(ValueError, match=r"effects differ .* by 0\.01 of the largest"):
        doctor.check_saliency()
    assert doctor.main([]) == 1


def test_golden_is_what_its_command_writes(computed, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "tiny_saliency", lambda: computed)
    assert doctor.main(["--write-golden", str(tmp_path / "doctor.json")]) == 0
    written, shipped = (
        json.loads(path.read_text()) for path in (tmp_path / "doctor.json", doctor.golden_path())
    )
    assert written["command"] == shipped["command"]
    effects = np.asarray(shipped["effects"])
    # Effects that differ tell more than a constant would.
    assert effects.std() > 0.2 * effects.mean() > 1e-4
    np.testing.assert_allclose(written["effects"], effects, rtol=1e-4)


def test_statistics_of_several_assets_are_listed_before_parameters_are_read(monkeypatch, tmp_path):
    folder = shutil.copytree(FOLDER / "ckpt_tiny_b" / "7", tmp_path / "7")
    shutil.copytree(folder / "assets" / "toy", folder / "assets" / "other")
    assert "statistics of other/robot (7), toy/robot (7)" in doctor.check_checkpoint(folder)
    (folder / "assets" / "other" / "robot" / "norm_stats.json").write_text("{}")
    monkeypatch.setattr(checkpoint, "restore_params", None)
    with pytest.raises(ValueError, match=r"other/robot/norm_stats\.json"):
        doctor.check_checkpoint(folder)


def test_stack_names_openpis_pins():
    from test_packaging import OPENPI, pins

    assert doctor.OPENPI_STACK.items() <= pins(OPENPI).items()
