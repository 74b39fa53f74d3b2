"""The console script's doctor: what is installed, what fits, and what works."""

import dataclasses

import pytest
import tiny_policy
from policy_servers import listening

from iss_jax import doctor
from iss_jax.cli import main as cli
from iss_jax.cli.doctor import check_server
from iss_jax.data.folders_write import write_folders


def examined(*words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "doctor", *words])
    return ended.value.code or 0


@pytest.fixture(autouse=True)
def no_saliency(monkeypatch):
    """Of `iss_jax.doctor`'s own tests."""
    monkeypatch.setattr(doctor, "check_saliency", lambda: "computed")


def test_all_is_well_with_the_embedded_policy(capsys):
    assert examined("--checkpoint", "embedded", "--dataset", "embedded") == 0
    said = capsys.readouterr().out
    assert "ok    saliency: computed" in said and said.rstrip().endswith("all is well")
    assert "region labels" in said and "state of 8" in said
    camera = next(line for line in said.splitlines() if line.startswith("camera base_0_rgb"))
    assert camera.split()[2:] == ["front", "-", "front", "yes"]
    assert "What works with π0.5" in said
    assert "gradients       yes" in said


def test_what_does_not_fit_fails(capsys):
    words = ("--checkpoint", "embedded", "--dataset", "embedded", "--robot", "pi05_droid")
    assert examined(*words) == 1
    said = capsys.readouterr().out
    assert "NO" in said and said.rstrip().endswith("1 of 7 checks failed")


def test_a_camera_that_does_not_fit_is_named_with_ways_out(tmp_path, capsys):
    """By flags, or by a robot file that holds the dataset's cameras."""
    episode = tiny_policy.episode(2)
    images = {"top": episode.images["front"]}
    write_folders(tmp_path, [dataclasses.replace(episode, images=images, regions={})])
    assert examined("--checkpoint", "embedded", "--dataset", str(tmp_path)) == 1
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("FAIL")]
    assert "robot 'embedded' does not fit ['camera base_0_rgb'" in line
    assert "--cameras.base_0_rgb, " in said and "one of ['top']" in said
    assert '"base_0_rgb": "top"' in said.partition("# my_robot.py")[2]


def test_what_cannot_be_read_fails(tmp_path, capsys):
    assert examined("--dataset", str(tmp_path / "nowhere"), "--robot", "pi05_droid") == 1
    said = capsys.readouterr().out
    assert "FAIL  dataset" in said and "FAIL  fit" in said


def test_a_server_is_greeted():
    with listening(lambda raw: {}, metadata={"robot": "arm"}) as address:
        assert "'robot': 'arm'" in check_server(address, 5.0)
    with pytest.raises(ConnectionError):
        check_server("ws://127.0.0.1:9", 0.5)
