"""Episodes explained from the console script, in this process."""

import json
import sys
import types

import jax.numpy as jnp
import numpy as np
import other_policies
import pytest
import tiny_policy
from code_blocks import ROOT
from matplotlib.figure import Figure
from policy_servers import listening

from iss_jax import attribute
from iss_jax.cli import explain as command, main as cli
from iss_jax.data.folders_write import write_folders
from iss_jax.explain import episodes

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

ACT = {
    "type": "act",
    "chunk_size": 1,
    "input_features": {
        "observation.images.front": {"type": "VISUAL", "shape": [3, 24, 32]},
        "observation.images.hand": {"type": "VISUAL", "shape": [3, 32, 32]},
        "observation.state": {"type": "STATE", "shape": [8]},
    },
}


def explain(*words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "explain", *map(str, words)])
    return ended.value.code or 0


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint")
    other_policies.two_tasks(root / "episodes")
    (root / "my_robot.py").write_text(ROBOT)
    other_policies.write_fast(root / "fast")
    (root / "fast_robot.py").write_text(ROBOT.replace('name="arm"', 'name="arm", model="π0-FAST"'))
    (root / "act").mkdir()
    (root / "act" / "config.json").write_text(json.dumps(ACT))
    return root


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes longer than all that is drawn."""
    monkeypatch.setattr(episodes, "write_episode_files", lambda *args: None)
    monkeypatch.setattr(episodes, "trajectories_figure", lambda *args, **kwargs: Figure())


def explained(workdir, *words):
    assert explain(*words, "--dtype", "float32", *TINY, "--workdir", workdir) == 0
    return json.loads((workdir / "results.json").read_text())


def items_of(workdir):
    found = [json.loads(path.read_text()) for path in (workdir / "items").iterdir()]
    maps = [one for one in found if one["item"]["experiment"] == "explain_episode"]
    return maps, [one for one in found if one not in maps]


@pytest.mark.slow
def test_a_pi0_fast_by_its_tokens(inputs, tmp_path, no_pictures, capsys):
    words = ("--checkpoint", inputs / "fast", "--robot", inputs / "fast_robot.py", "--players", "")
    answer = ("--answer_tokens", "2", "--frames", "1")
    content = explained(tmp_path, *words, "--dataset", inputs / "episodes", *answer)
    said = capsys.readouterr().out
    assert "KL of actions   yes" in said and "π0-FAST" in said
    maps, _ = items_of(tmp_path)
    assert [np.shape(one["result"]["cells"]) for one in maps] == [(2, 7, 7)]
    assert maps[0]["item"]["model"] == "π0-FAST" and maps[0]["result"]["effect"] > 0.0
    assert content["iss"]["action_dims"] is None and "fill" not in content


def test_a_policy_behind_a_server(inputs, tmp_path, no_pictures, capsys):
    def infer(raw):
        return {"actions": raw["observation/front"][:12].mean((0, 1))[None] / 255}

    with listening(infer, metadata={"robot": "arm"}) as address:
        words = ("--server", address, "--robot", inputs / "my_robot.py", "--players", "")
        content = explained(tmp_path, *words, "--dataset", inputs / "episodes")
    said = capsys.readouterr().out
    assert "gradients       no" in said and "note: no gradients" in said
    assert content["floor"] == 0.0 and "fill" not in content
    maps, _ = items_of(tmp_path)
    upper, lower = np.asarray(maps[0]["result"]["cells"])[0, [0, 6]].mean(-1)
    assert len(maps) == 2 and upper != lower


@pytest.mark.slow
def test_episodes_that_lerobot_wrote_as_video(inputs, tmp_path, no_pictures, capsys):
    """Of its own release, with cameras of two sizes and no labels; all is matched by name."""
    pytest.importorskip("av", reason="PyAV (extra `data`) is not installed")
    words = ("--checkpoint", inputs / "checkpoint", "--robot", inputs / "my_robot.py")
    sample = ROOT / "tests" / "samples" / "lerobot" / "v30_video"
    content = explained(tmp_path, *words, "--dataset", sample, "--players", "", "--episodes", "1")
    assert [row["frames"] for row in content["episodes"]] == [3]
    maps, _ = items_of(tmp_path)
    assert maps[0]["item"]["cameras"] == {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}
    assert np.isfinite(maps[0]["result"]["cells"]).all() and maps[0]["result"]["effect"] > 0.0
    assert "boxes, or label images" in capsys.readouterr().out


@pytest.mark.slow
def test_pictures_of_frames_that_are_sent_as_they_are(inputs, tmp_path):
    """Cameras of two sizes, one of them no square."""
    pytest.importorskip("av", reason="PyAV (extra `viz`) is not installed")

    def infer(raw):
        return {"actions": raw["observation/front"][:12].mean((0, 1))[None] / 255}

    with listening(infer) as address:
        words = ("--server", address, "--robot", inputs / "my_robot.py")
        explained(tmp_path, *words, "--dataset", inputs / "episodes")
    names = {path.name for path in (tmp_path / "episode_000000").iterdir()}
    assert {"overlays.png", "players.png", "players_frames.png", "episode.mp4"} <= names
    with np.load(tmp_path / "episode_000000" / "iss_heatmaps.npz") as file:
        assert file["maps/base_0_rgb"].shape == (2, 24, 32)
        assert file["maps/left_wrist_0_rgb"].shape == (2, 32, 32)


class Act:
    """As `iss_jax.policies.lerobot` gives it."""

    def saliency(self, frames, state, prompt, *, key, config, baseline_calls):
        return attribute(_upper, _floats(frames), key=key, config=config)


def _upper(images):
    return images["front"][:, :12].mean((1, 2))[:, None] / 255


def _floats(frames):
    return {camera: jnp.asarray(frame, jnp.float32) for camera, frame in frames.items()}


def test_a_policy_of_lerobot_needs_no_robot(inputs, tmp_path, no_pictures, monkeypatch, capsys):
    loaded = []

    def from_pretrained(folder, *, device):
        loaded.append((folder.name, device))
        return Act()

    module = types.ModuleType("iss_jax.policies.lerobot")
    module.from_pretrained = from_pretrained  # pyright: ignore
    module.__spec__ = types.SimpleNamespace()  # pyright: ignore
    monkeypatch.setitem(sys.modules, "iss_jax.policies.lerobot", module)
    words = ("--checkpoint", inputs / "act", "--dataset", inputs / "episodes")
    options = ("--renamed", "hand=wrist", "--device", "cpu", "--players", "", "--frames", "1")
    content = explained(tmp_path, *words, *options)
    assert loaded == [("act", "cpu")] and content["floor"] == 0.0
    assert "LeRobot act" in capsys.readouterr().out
    maps, _ = items_of(tmp_path)
    assert maps[0]["item"]["cameras"] == {"front": "front", "hand": "wrist"}
    assert np.shape(maps[0]["result"]["cells"]) == (2, 7, 7) and maps[0]["result"]["effect"] > 0.0


@pytest.mark.slow
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
    assert "episode 0, frame 0:" in said and "gradients       yes" in said


def test_donors_are_of_the_explained_dataset_whatever_the_policy():
    """Not of the embedded episodes, which an own camera has nothing to do with."""
    config = command.get_config()
    config.update({"checkpoint": "embedded", "dataset": "mine"})
    assert command.episode_options(config).donors_from == "mine"
    config.donors_from = "others"
    assert command.episode_options(config).donors_from == "others"


def test_an_earlier_episode_is_named_and_a_blur_is_explained(inputs, tmp_path, no_pictures, capsys):
    (tmp_path / "run" / "episode_000007").mkdir(parents=True)

    def infer(raw):
        return {"actions": raw["observation/front"][:12].mean((0, 1))[None] / 255}

    write_folders(tmp_path / "one", [tiny_policy.episode(1)])
    with listening(infer) as address:
        words = ("--server", address, "--robot", inputs / "my_robot.py", "--players", "regions")
        content = explained(tmp_path / "run", *words, "--dataset", tmp_path / "one")
    said = capsys.readouterr().out
    assert "note: episode_000007 is of an earlier run and not shown in the report" in said
    assert content["fill"] == "blur" and content["fill_reason"].startswith("one task: no donors")
    assert f"(fill blur: {content['fill_reason']}):" in said


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
