"""A LeRobot policy's own configuration beside a dataset."""

import json

import pytest
import tiny_policy

from iss_jax.cli.lerobot_fit import lerobot_cameras, lerobot_rows
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.policies.checkpoint_facts import checkpoint_facts

CONFIG = {
    "type": "act",
    "chunk_size": 10,
    "input_features": {
        "observation.images.front": {"type": "VISUAL", "shape": [3, 24, 32]},
        "observation.images.hand": {"type": "VISUAL", "shape": [3, 32, 32]},
        "observation.state": {"type": "STATE", "shape": [8]},
    },
    "output_features": {"action": {"type": "ACTION", "shape": [7]}},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("act")
    (root / "act").mkdir()
    (root / "act" / "config.json").write_text(json.dumps(CONFIG))
    write_folders(root / "episodes", [tiny_policy.episode(1)])
    return checkpoint_facts(root / "act"), open_dataset(root / "episodes")


def test_cameras_are_matched_by_name_or_by_the_user(inputs):
    facts, dataset = inputs
    assert lerobot_cameras(facts, dataset) == {"front": "front", "hand": ""}
    named = lerobot_cameras(facts, dataset, "hand=wrist")
    assert named == {"front": "front", "hand": "wrist"}
    with pytest.raises(ValueError, match=r"--renamed: 'top=wrist' given.*\['front', 'hand'\]"):
        lerobot_cameras(facts, dataset, "top=wrist")


def test_each_row_is_of_its_own_thing(inputs):
    facts, dataset = inputs
    rows = {row.what: row.fits for row in lerobot_rows(facts, dataset, {"front": "front"})}
    assert rows == {"model": "yes", "camera front": "yes", "state": "yes", "action": "yes"} | {
        "chunk": "?"
    }
    rows = {row.what: row for row in lerobot_rows(facts, dataset, {"hand": ""})}
    assert rows["camera hand"][3:] == ("none of ['front', 'wrist']", "NO")
    alone = {row.what: row.fits for row in lerobot_rows(facts, None, {"hand": ""})}
    assert alone["camera hand"] == alone["state"] == "?"
