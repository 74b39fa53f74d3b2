"""Two checkpoints side by side by one command."""

import dataclasses

import pytest
import tiny_policy
from side_by_side.weighing import Weighing, episode_of

from iss_jax.cli import compare, main as cli
from iss_jax.data.folders_write import write_folders
from iss_jax.side_by_side.options import CompareOptions

ROBOT = """
from iss_jax.policies.configs import PolicyConfig

robot = PolicyConfig(
    name="arm",
    cameras={"left_wrist_0_rgb": "wrist"},
    state={"joints": 8},
    action_horizon=4,
    action_dims=7,
)
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "before")
    tiny_policy.write_checkpoint(root / "after", ["pick up the soup", tiny_policy.PROMPT])
    write_folders(root / "episodes", [episode_of()] * 6)
    (root / "arm.py").write_text(ROBOT)
    return root


def words_of(inputs, workdir, *more):
    words = ["--dataset", inputs / "episodes", "--robot", inputs / "arm.py", "--num_steps", 1]
    words += ["--draws", 2, "--frames_per_episode", 1, "--fill", "blur", "--resamples", 9]
    return [str(word) for word in [*words, "--workdir", workdir, *more]]


def test_two_words_are_the_two_checkpoints(inputs, tmp_path, monkeypatch, capsys):
    weights = {"before": (1, 1, 2), "after": (1, 2, 1)}

    def opened(config):
        return Weighing(weights[config.checkpoint.rpartition("/")[2]])

    monkeypatch.setattr(compare, "subject_of", opened)
    words = [str(inputs / "before"), str(inputs / "after"), *words_of(inputs, tmp_path)]
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "compare", *words])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "What before (A) and after (B) act on, in 6 frames of 6 episodes" in said
    assert "fill:    blur\n" in said and "are the same" not in said
    assert "bowl" in said and "25.0    50.0    25.0  [25.0, 25.0]" in said
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_a_checkpoint_against_itself_is_exactly_the_same(inputs, tmp_path):
    config = compare.get_config()
    config.update(
        {
            "checkpoints": f"{inputs / 'before'},{inputs / 'before'}",
            "dataset": str(inputs / "episodes"),
            "robot": str(inputs / "arm.py"),
            "num_steps": 1,
            "num_episodes": 2,
            "frames_per_episode": 1,
            "draws": 2,
            "fill": "blur",
            "dtype": "float32",
            "quiet": True,
        }
    )
    content = compare.side_by_side(config, tmp_path)
    assert (content["a"], content["b"]) == ("before (A)", "before (B)")
    assert {row["difference"] for row in content["compared"]} == {0.0}
    assert sum(row["share_a"] for row in content["compared"][:-1]) == pytest.approx(1.0)
    # Computed afresh, not read: the same to the bit.
    config.checkpoints = f"{inputs / 'before'},{inputs / 'after'}"
    other = compare.side_by_side(config, tmp_path / "again")
    assert [row["share_a"] for row in other["compared"]] == [
        row["share_a"] for row in content["compared"]
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"0 checkpoints given \[\], two wanted"),
        ({"a": "one"}, r"1 checkpoints given \['one'\]"),
        ({"a": "one", "b": "two", "checkpoints": "three,four"}, "4 checkpoints given"),
        ({"checkpoints": "one,two,three"}, "3 checkpoints given"),
    ],
)
def test_two_checkpoints_are_wanted(given, said, tmp_path):
    config = compare.get_config()
    config.update(given)
    with pytest.raises(ValueError, match=said):
        compare.side_by_side(config, tmp_path)


def test_an_address_is_a_server():
    own = compare.own_config(compare.get_config(), "ws://here:8000")
    assert (own.checkpoint, own.server) == ("", "ws://here:8000")
    own = compare.own_config(compare.get_config(), "runs/5000")
    assert (own.checkpoint, own.server) == ("runs/5000", "")


def test_one_checkpoint_twice_is_said_once(inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "subject_of", lambda config: Weighing((1, 1, 2)))
    path = str(inputs / "before")
    with pytest.raises(SystemExit):
        cli.main(["iss-jax", "compare", path, path, *words_of(inputs, tmp_path)])
    said = capsys.readouterr().out
    assert said.count(f"A and B are the same: {path}\n") == 1
    assert "What before (A) and before (B) act on, in" in said
    assert "No share differs between before (A) and before (B) by more than" in said


def test_names_are_the_ends_of_paths():
    assert compare.short_names(("a/x/100", "a/y/100")) == ("x/100", "y/100")
    assert compare.short_names(("embedded", "runs/5000")) == ("embedded", "5000")
    assert {field.name for field in dataclasses.fields(CompareOptions)} <= {*compare.get_config()}
