"""What works with which policy: the table in code is the one in the guide."""

import re

import pytest
from code_blocks import ROOT

from iss_jax.cli.abilities import KINDS, abilities_of, abilities_table

PAGE = (ROOT / "docs" / "guide" / "command_line.md").read_text()
ROWS = {"π0.5, π0": "π0.5", "π0-FAST": "π0-FAST", "LeRobot's": "LeRobot", "any, behind": "served"}


@pytest.mark.parametrize(("start", "kind"), ROWS.items())
def test_the_guide_says_the_same(start, kind):
    row = re.search(rf"^\| {re.escape(start)}.*$", PAGE, re.MULTILINE)
    assert row is not None
    found = KINDS[kind]
    said = [cell.strip() for cell in row[0].strip("|").split("|")][2:]
    assert said == [found.players, found.gradients, found.kl, found.batching]


def test_types_of_lerobot_are_one_kind_and_unknown_models_none():
    assert abilities_of("LeRobot smolvla") is KINDS["LeRobot"]
    assert "KL of actions   yes" in abilities_table("π0-FAST")
    with pytest.raises(KeyError):
        abilities_of("π9")
