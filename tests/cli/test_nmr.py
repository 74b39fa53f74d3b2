"""NMR against a table of one's own, from a checkpoint, episodes and three columns."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import tiny_policy

from iss_jax.against_success import measured
from iss_jax.cli import nmr
from iss_jax.data.add_metadata import add_metadata
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders

PROMPTS = ("pick up the milk", "pick up the soup", "open the door")
TABLE = "task,trials,successes\nPick up the milk.,20,19\npick up the soup,20,9\nlamp,20,3\n"
ROBOT = """
from iss_jax.policies.configs import PolicyConfig

robot = PolicyConfig(
    name="arm",
    cameras={"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"},
    state={"joints": 8},
    action_horizon=4,
    action_dims=7,
)
"""


def bare(index):
    """An episode of a lab: its instruction, and nothing of suites, splits or seeds."""
    episode = tiny_policy.episode(2)
    # Donors of another episode change what they replace.
    images = {camera: image // (index + 1) for camera, image in episode.images.items()}
    return dataclasses.replace(episode, images=images, prompt=PROMPTS[index], metadata={})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint", PROMPTS)
    write_folders(root / "episodes", [bare(index) for index in range(3)])
    (root / "success.csv").write_text(TABLE)
    (root / "arm.py").write_text(ROBOT)
    return root


def config_of(inputs, **changes):
    config = nmr.get_config()
    config.update(
        {
            "checkpoint": str(inputs / "checkpoint"),
            "dataset": str(inputs / "episodes"),
            "robot": str(inputs / "arm.py"),
            "success": str(inputs / "success.csv"),
            "num_steps": 1,
            "frames_per_episode": 1,
            "batch": 1,
            "control_draws": 1,
            "resamples": 9,
            "permutations": 9,
            "overlay_rows": 1,
            "dtype": "float32",
        }
    )
    config.iss.num_masks = 4
    config.effects.update({"draws": 1, "donors": 2, "chance": False})
    config.update(changes)
    return config


def measures_of(item, *rest):
    """Numbers in the form of `measured.compute`, which test_nmr_correlation tests."""
    frames, percents = len(item["frames"]), len(item["percents"])
    rng = np.random.default_rng(item["episode"])
    each, every = rng.uniform(0.1, 0.9, frames), rng.uniform(0.1, 0.9, (frames, percents))
    cells = rng.random((frames, 2, 7, 7))
    return {
        **dict.fromkeys(("nmr", "nmr_mass", "attention_nmr", "norm_nmr"), every),
        **dict.fromkeys(("mass_ratio", "chance"), each),
        "random_nmr": every[:, None],
        "view_nmr": {"base_0_rgb": every},
        **dict.fromkeys(("cells", "stderr", "contrast_stderr"), cells),
        "effects": np.tile(item["episode"] + np.arange(1.0, 4.0), (frames, 1, 1)),
        "effects_reason": np.zeros(frames, int),
        "effects_moved": np.ones((frames, 3)),
    }


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured, "compute", measures_of)
        nmr.against_success(config_of(inputs, quiet=True), workdir)
    return workdir


def test_what_replaces_regions_is_written(finished):
    content = json.loads((finished / "results.json").read_text())
    assert content["fill"] == "background: its own region of frames of other tasks of the dataset"


@pytest.mark.slow
def test_of_measured_effects_a_share_is_nuisance(inputs, tmp_path):
    nmr.against_success(config_of(inputs, quiet=True), tmp_path)
    rows = rows_of(tmp_path)
    assert len(rows) == 2 and all(0 < float(row["nmr_effect"]) < 1 for row in rows)


def rows_of(workdir):
    with (workdir / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_the_tables_that_have_episodes(finished):
    rows = rows_of(finished)
    assert [(row["task"], row["success_rate"]) for row in rows] == [
        ("Pick up the milk.", "0.95"),
        ("pick up the soup", "0.45"),
    ]
    # Of effects (1, 2, 3) and (2, 3, 4) the first is nuisance.
    assert [float(row["nmr_effect"]) for row in rows] == pytest.approx([1 / 6, 2 / 9])
    stored = json.loads((finished / "results.json").read_text())
    assert (stored["rows"], stored["seeds"], stored["unit"]["unit"]) == (2, [0], "task")
    assert (finished / "figures/maps.png").exists() and (finished / "report.html").exists()


def test_prompts_are_as_long_as_the_longest_and_no_longer(finished):
    """The robot would take 200 tokens: 'Task: …, State: …;\\nAction: ' of eight numbers is 20."""
    stored = [json.loads(path.read_text()) for path in (finished / "items").iterdir()]
    (length,) = {one["item"]["max_token_len"] for one in stored}
    assert 15 < length < 40


def test_what_was_joined_is_said(inputs, finished, capsys):
    """Nothing is computed again: the run directory has all of it."""
    nmr.against_success(config_of(inputs), finished)
    said = capsys.readouterr().out
    assert "2 rows of 2 tasks have 2 episodes; 2 frames" in said
    assert "note: 1 names of the table are those of episodes but for case" in said
    assert "'Pick up the milk.' is 'pick up the milk'" in said
    assert "note: 1 rows have no episodes: ['lamp']" in said
    assert "note: 1 episodes have no row: [2], of ['open the door']" in said


def test_metadata_are_added_where_they_are_asked_for(inputs, tmp_path, capsys):
    shutil.copytree(inputs / "episodes", tmp_path / "episodes")
    (tmp_path / "mine.csv").write_text("episode,suite,split\n0,lab,day\n1,lab,day\n2,lab,night\n")
    (tmp_path / "success.csv").write_text("task,split,trials,successes\nopen the door,day,9,1\n")
    config = config_of(
        inputs,
        dataset=str(tmp_path / "episodes"),
        metadata=str(tmp_path / "mine.csv"),
        success=str(tmp_path / "success.csv"),
    )
    # The door was opened by night: no row is left.
    with pytest.raises(ValueError, match=r"\['lab/open the door \(day\)'\]; 3 episodes"):
        nmr.against_success(config, tmp_path / "run")
    assert "metadata of 3 episodes" in capsys.readouterr().out
    assert open_dataset(tmp_path / "episodes").metadata(2)["split"] == "night"
    assert not (tmp_path / "run").exists()


def test_without_labels_the_ways_to_some_are_named(inputs, tmp_path):
    plain = dataclasses.replace(bare(0), regions={})
    write_folders(tmp_path / "episodes", [plain])
    add_metadata(open_dataset(tmp_path / "episodes"), {0: {"task": "pick up the soup"}})
    with pytest.raises(ValueError, match=r"no region labels of \['front', 'wrist'\]") as error:
        nmr.against_success(config_of(inputs, dataset=str(tmp_path / "episodes")), tmp_path / "run")
    assert str(error.value).count("iss-jax regions") == 3


def test_episodes_of_one_task_have_no_donors(inputs, tmp_path):
    write_folders(tmp_path / "episodes", [bare(1), bare(1)])
    config = config_of(inputs, dataset=str(tmp_path / "episodes"), quiet=True)
    with pytest.raises(ValueError, match=r"all 2 episodes .* of one task, 'pick up the soup'"):
        nmr.against_success(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"success": ""}, "--success: none given"),
        ({"dataset": ""}, "--dataset: none given"),
        ({"seeds": (4,)}, r"--seeds: \(4,\) given, no row"),
    ],
)
def test_what_is_missing_is_named(inputs, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        nmr.against_success(config_of(inputs, quiet=True, **changes), tmp_path)
