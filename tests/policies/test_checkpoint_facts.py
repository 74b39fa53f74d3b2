"""What a checkpoint says before its parameters are read."""

import json

import pytest
import tiny_policy

from iss_jax.policies.checkpoint_facts import checkpoint_facts


def test_of_a_checkpoint_of_ours(tmp_path):
    tiny_policy.write_checkpoint(tmp_path / "step")
    found = checkpoint_facts(tmp_path / "step")
    assert (found.model, found.image_size, found.action_dim) == ("π0.5", 32, 7)
    assert list(found.stats) == ["tiny"] and len(found.stats["tiny"]["state"].mean) == 8
    assert not found.is_lerobot


@pytest.mark.parametrize("below", ["", "pretrained_model"])
def test_of_a_policy_of_lerobot(tmp_path, below):
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"type": "act", "chunk_size": 10}))
    found = checkpoint_facts(tmp_path)
    assert found.is_lerobot and found.model == "LeRobot act"
    assert found.says["chunk_size"] == 10


def test_what_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: cannot be read"):
        checkpoint_facts(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="not an orbax parameter checkpoint"):
        checkpoint_facts(tmp_path)
