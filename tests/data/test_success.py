"""Success tables survive the round trip and name what is wrong with them."""

import pytest

from iss_jax.data.success import ALL_SPLITS, Success, read_success, read_table, write_success

_ROWS = [
    Success("open the drawer, slowly", "libero_goal", "native", 0, 13, 25, 7),
    Success("open the drawer, slowly", "libero_goal", "shuffled", 0, 13, 25, 0),
]


def test_round_trip(tmp_path):
    write_success(tmp_path / "success.csv", _ROWS)
    assert read_success(tmp_path / "success.csv") == _ROWS
    assert _ROWS[0].rate == 7 / 25


def test_three_columns_are_enough(tmp_path):
    path = tmp_path / "mine.csv"
    # As a spreadsheet saves it: a mark before the first column, columns in an order of its own.
    path.write_text("\ufeffsuccesses,task,trials,who\n3,open the door,10,me\n")
    table = read_table(path)
    assert table.rows == [Success("open the door", "", ALL_SPLITS, 0, 0, 10, 3)]
    assert table.columns == {"task", "trials", "successes"}


def test_texts_that_a_spreadsheet_would_run(tmp_path):
    row = Success("=cmd()", "-rf", "@seen", -1, 13, 25, 7)
    write_success(tmp_path / "success.csv", [row])
    line = (tmp_path / "success.csv").read_text().splitlines()[1]
    assert line == "'=cmd(),'-rf,'@seen,-1,13,25,7"
    assert read_success(tmp_path / "success.csv") == [row]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task,suite,split,policy_seed,seed,trials\n", r"columns \['successes'\] missing"),
        ("", r"columns \['task', 'trials', 'successes'\] missing"),
        ("task,trials,successes\na,25,1\na,25,2\n", r"line 3: a second row"),
        ("{h}a,b,c,0,1,25,x\n", r"line 2: integers wanted"),
        ("{h}a,b,c,0,1,25\n", r"line 2: integers wanted"),
        ("{h}a,b,c,0,1,25,26\n", r"line 2: 26 successes in 25 trials"),
        ("{h}a,b,c,0,1,0,0\n", r"line 2: 0 successes in 0 trials"),
        ("{h}a,b,c,0,1,25,1\na,b,c,0,1,25,2\n", r"line 3: a second row"),
    ],
)
def test_damage_is_named(tmp_path, text, message):
    path = tmp_path / "success.csv"
    path.write_text(text.format(h="task,suite,split,policy_seed,seed,trials,successes\n"))
    with pytest.raises(ValueError, match=message):
        read_success(path)
