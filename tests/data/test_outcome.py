"""Words of success are read as such, and what is none is named."""

import pytest
from episodes import three_episodes

from iss_jax.data.add_metadata import add_metadata
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.data.outcome import check_outcomes, outcome


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *[(value, True) for value in (True, 1, 1.0, "True", "TRUE", "yes", " 1 ")],
        *[(value, False) for value in (False, 0, 0.0, "False", "false", "No", "0")],
        *[(value, None) for value in (None, "", " ")],
    ],
)
def test_what_a_value_says(value, said):
    assert outcome(value, "here") is said


@pytest.mark.parametrize("value", ["partly", "2", "0.0", 0.5, 2, float("nan")])
def test_what_says_neither_is_named(value):
    with pytest.raises(ValueError, match=f"here: success is {value!r}, one of true, false, 1, 0"):
        outcome(value, "here")


def test_episodes_are_looked_at(tmp_path):
    write_folders(tmp_path / "mine", three_episodes())
    dataset = open_dataset(tmp_path / "mine")
    add_metadata(dataset, {0: {"success": "no"}})
    check_outcomes(open_dataset(dataset.root), range(3))
    add_metadata(dataset, {2: {"success": "half"}})
    check_outcomes(open_dataset(dataset.root), [0, 1])
    with pytest.raises(ValueError, match=r"mine, episode 2: success is 'half', one of true"):
        check_outcomes(open_dataset(dataset.root), range(3))
