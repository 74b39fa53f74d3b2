"""Names in lists, and what no list has."""

import pytest

from iss_jax.data.region_names import RegionNames

NAMED = RegionNames(nuisance=("*",), support=("black bowl*", "plate"), action=("robot", "*arm"))


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("black bowl 1", "support"),
        ("plate", "support"),
        ("robot", "action"),
        ("left arm", "action"),
        ("Plate", "nuisance"),
    ],
)
def test_a_name_is_of_the_list_that_has_it(name, region):
    assert NAMED.region_of(name) == region


def test_a_name_goes_before_a_pattern_and_action_before_the_others():
    both = RegionNames(nuisance=("bowl 2",), support=("bowl*",), action=("bowl*",))
    assert both.region_of("bowl 1") == "action" and both.region_of("bowl 2") == "nuisance"


def test_what_is_in_no_list_and_what_names_nothing_are_named():
    few = RegionNames(support=("plate",), action=("robot", "grip*"))
    assert few.regions_of(["plate", "robot", "gripper"], "here") == {
        "plate": "support",
        "robot": "action",
        "gripper": "action",
    }
    with pytest.raises(ValueError, match=r"here: \['lamp'\] are in none of --nuisance"):
        few.regions_of(["plate", "robot", "gripper", "lamp"], "here")
    with pytest.raises(ValueError, match=r"'grip\*'\"\] names nothing; there are \['plate"):
        few.regions_of(["plate", "robot"], "here")


@pytest.mark.parametrize("entry", ["plate", "pl*", "*"])
def test_an_entry_of_two_lists_is_of_neither(entry):
    both = RegionNames(nuisance=(entry,), action=(entry,))
    with pytest.raises(ValueError, match=r"--nuisance: .* is action already"):
        both.regions_of(["plate"], "here")


def test_lists_as_a_mapping():
    assert RegionNames(("*",), ("7",), ("#ff0000",)).mapping() == {
        "*": "nuisance",
        "7": "support",
        "#ff0000": "action",
    }
    with pytest.raises(ValueError, match="--nuisance: '7' is support already"):
        RegionNames(("7",), ("7",)).mapping()
    assert not RegionNames() and NAMED
