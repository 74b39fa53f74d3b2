"""Episodes explained from the console script, in this process."""

import dataclasses
import json

import pytest
import tiny_policy

from iss_jax.cli import main as cli
from iss_jax.data.folders_write import write_folders

TINY = ["--iss.num_masks", "4", "--draws", "1", "--num_steps", "1", "--stride", "9"]
ROBOT = """
from iss_jax.policies.configs import PolicyConfig

robot = PolicyConfig(
    name="arm",
    cameras={"base_0_rgb": "observation/front", "left_wrist_0_rgb": "wrist"},
    state={"joints": 8},
    action_horizon=2,
    action_dims=7,
    max_token_len=64,
)
"""


def explain(*words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "explain", *map(str, words)])
    return ended.value.code or 0


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint")
    whole = tiny_policy.episode(2, success=True)
    write_folders(root / "episodes", [dataclasses.replace(whole, regions={})])
    (root / "my_robot.py").write_text(ROBOT)
    return root


def test_an_own_robot_on_own_episodes_without_labels(inputs, tmp_path, capsys):
    code = explain(
        *("--checkpoint", inputs / "checkpoint", "--dataset", inputs / "episodes"),
        *("--robot", inputs / "my_robot.py", "--dtype", "float32", "--video", "false"),
        *TINY,
        *("--workdir", tmp_path / "run"),
    )
    said = capsys.readouterr().out
    assert code == 0
    folder = tmp_path / "run" / "episode_000000"
    names = {path.name for path in folder.iterdir()}
    wanted = {"iss_heatmaps.npz", "overlays.png", "players.csv", "players.png"}
    assert wanted | {"players_frames.png"} == names
    assert (tmp_path / "run" / "report.html").exists()
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    assert content["without_nmr"] and content["iss"]["num_masks"] == 4
    assert "No NMR of episodes [0]" in said and "boxes, or label images" in said
    assert "episode 0, frame 0:" in said and "gradients      yes" in said


def test_mistakes_are_said_without_a_traceback(inputs, capsys):
    data, policy = ("--dataset", inputs / "episodes"), ("--checkpoint", inputs / "checkpoint")
    for words, said in (
        (policy, "--dataset: none given"),
        (data, "--checkpoint, --server: none given"),
        ((*policy, *data, "--server", "ws://localhost:1"), "both given"),
        ((*policy, *data), "# my_robot.py"),
        ((*policy, *data, "--robot", "pi05_libero"), "does not fit"),
        ((*policy, *data, "--robot", "nowhere.py"), "no file 'nowhere.py'"),
        ((*policy, *data, "--stride", "0"), "stride: 0 given"),
    ):
        assert explain(*words) == 1
        error = capsys.readouterr().err
        assert error.startswith("iss-jax explain: ") and said in error
