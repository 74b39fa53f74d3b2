"""Success tables of one's own find their episodes, and what stays alone is named."""

import dataclasses
from pathlib import Path

import pytest

from configs.nmr_correlation import get_config
from iss_jax import embedded
from iss_jax.against_success.items import chosen_frames
from iss_jax.against_success.join import join
from iss_jax.against_success.options import Options
from iss_jax.against_success.rows import join_success
from iss_jax.data.dataset import open_dataset
from iss_jax.data.success import Success, read_table
from iss_jax.jobs.options import from_config


@dataclasses.dataclass
class Episodes:
    """Episodes of which only the metadata are known."""

    lines: list
    root: Path = Path("mine")

    def __len__(self):
        return len(self.lines)

    def metadata(self, index):
        return {"length": 4, **self.lines[index]}


def _table(tmp_path, text):
    path = tmp_path / "success.csv"
    path.write_text(text)
    return read_table(path)


MINE = Episodes(
    [
        {"tasks": ["pick up the milk"]},
        {"tasks": ["Open the door"]},
        {"tasks": ["pick up the milk"]},
    ]
)


def test_three_columns_join_by_the_instruction(tmp_path):
    table = _table(tmp_path, "task,trials,successes\npick up the milk,20,13\nOpen the door,20,4\n")
    found = join(table, MINE)
    milk, door = ("", "pick up the milk", "all"), ("", "Open the door", "all")
    assert found.episodes == {milk: [0, 2], door: [1]}
    assert found.success == {
        (*milk, 0): Success("pick up the milk", "", "all", 0, 0, 20, 13),
        (*door, 0): Success("Open the door", "", "all", 0, 0, 20, 4),
    }
    assert found.notes == () and not found.by_seed


def test_case_underscores_and_full_stop_are_forgiven_with_a_note(tmp_path):
    table = _table(tmp_path, "task,trials,successes\nPick_up the milk.,20,13\n")
    found = join(table, MINE)
    assert found.episodes == {("", "Pick_up the milk.", "all"): [0, 2]}
    forgiven, stray = found.notes
    assert forgiven == (
        "1 names of the table are those of episodes but for case, underscores or a full stop: "
        "'Pick_up the milk.' is 'pick up the milk'"
    )
    assert stray == "1 episodes have no row: [1], of ['Open the door']"


def test_a_name_that_is_exact_goes_before_one_that_is_forgiven(tmp_path):
    episodes = Episodes([{"tasks": ["open"]}, {"tasks": ["Open"]}, {"tasks": ["OPEN"]}])
    table = _table(tmp_path, "task,trials,successes\nopen,9,1\nOpen,9,2\n")
    found = join(table, episodes)
    # Of two rows that differ in case alone neither is OPEN.
    assert found.episodes == {("", "open", "all"): [0], ("", "Open", "all"): [1]}
    assert found.notes == ("1 episodes have no row: [2], of ['OPEN']",)


def test_rows_without_episodes_are_named_and_nothing_at_all_is_an_error(tmp_path):
    table = _table(tmp_path, "task,suite,trials,successes\nlamp,a,20,13\nopen the door,b,20,1\n")
    assert "1 rows have no episodes: ['a/lamp']" in join(table, MINE).notes
    table = _table(tmp_path, "task,trials,successes\nlamp,20,13\n")
    with pytest.raises(ValueError, match=r"none of its 1 rows .*\['lamp'\]; 3 episodes"):
        join(table, MINE)


def test_suites_come_from_the_episodes_where_the_table_has_none(tmp_path):
    lines = [{"task": "t", "suite": "s"}, {"task": "u", "suite": "s"}]
    table = _table(tmp_path, "task,trials,successes\nt,9,1\nu,9,2\n")
    assert list(join(table, Episodes(lines)).episodes) == [("s", "t", "all"), ("s", "u", "all")]
    # One name in two suites: the table's row is of both.
    lines.append({"task": "t", "suite": "other"})
    assert join(table, Episodes(lines)).episodes == {
        ("", "t", "all"): [0, 2],
        ("", "u", "all"): [1],
    }


def test_a_task_of_two_suites_needs_them_in_the_metadata(tmp_path):
    table = _table(tmp_path, "task,suite,trials,successes\nt,a,9,1\nt,b,9,2\n")
    with pytest.raises(ValueError, match=r"\['t'\] are of several suites, such as \['a', 'b'\]"):
        join(table, Episodes([{"task": "t"}]))
    found = join(table, Episodes([{"task": "t", "suite": "b"}]))
    assert found.episodes == {("b", "t", "all"): [0]}
    assert found.notes == ("1 rows have no episodes: ['a/t']",)


def test_own_names_of_splits_need_no_flag(tmp_path):
    text = "task,split,trials,successes\nt,lab,9,1\nt,Kitchen,9,2\n"
    table = _table(tmp_path, text)
    told = Episodes([{"task": "t", "split": "lab"}, {"task": "t", "split": "kitchen"}])
    found = join(table, told)
    assert found.episodes == {("", "t", "lab"): [0], ("", "t", "Kitchen"): [1]}
    untold = join(table, Episodes([{"task": "t"}, {"task": "t"}]))
    assert untold.episodes == {("", "t", "all"): [0, 1]}
    (row,) = untold.success.values()
    assert (row.trials, row.successes) == (18, 3)
    assert "splits ['lab', 'Kitchen'] are added up" in untold.notes[0]
    lab = join(table, told, splits=("lab",))
    # The other episode is left out by the flag: it is no stray.
    assert lab.episodes == {("", "t", "lab"): [0]} and lab.notes == ()
    taken = join(table, Episodes([{"task": "t"}]), splits=("lab",))
    assert taken.notes == ("all episodes are taken for ['lab']: they name no split",)
    (row,) = taken.success.values()
    assert (row.trials, row.successes) == (9, 1)


def test_one_episode_that_says_nothing_does_not_silence_the_others(tmp_path):
    table = _table(tmp_path, "task,suite,trials,successes\nmilk,object,9,1\n")
    episodes = Episodes([{"task": "milk", "suite": "goal"}, {"task": "milk"}])
    found = join(table, episodes)
    assert found.episodes == {("object", "milk", "all"): [1]}
    assert found.notes == ("1 episodes have no row: [0], of ['milk']",)


SPLITS = "task,split,trials,successes\nt,native,10,1\nt,shuffled,10,9\nu,native,10,2\n"
NATIVE, SHUFFLED = {"task": "t", "split": "native"}, {"task": "t", "split": "shuffled"}


@pytest.mark.parametrize("splits", [(), ("native",)])
def test_an_episode_joins_where_the_table_leaves_one_way(splits, tmp_path):
    table = _table(tmp_path, SPLITS)
    with pytest.raises(ValueError, match=r"mine: .* name their split.* episode 2: \['t'\], one of"):
        join(table, Episodes([NATIVE, SHUFFLED, {"task": "t"}]), splits=splits)
    found = join(table, Episodes([NATIVE, SHUFFLED, {"task": "u"}]), splits=splits)
    native = {("", "t", "native"): [0], ("", "u", "native"): [2]}
    others = {} if splits else {("", "t", "shuffled"): [1]}
    assert found.episodes == native | others and found.notes == ()
    assert {key: row.successes for key, row in found.success.items() if row.split == "native"} == {
        ("", "t", "native", 0): 1,
        ("", "u", "native", 0): 2,
    }
    # What the table says of it is another split than those that count.
    left = join(table, Episodes([SHUFFLED, {"task": "u"}]), splits=("shuffled",))
    assert left.episodes == {("", "t", "shuffled"): [0]} and left.notes == ()


def test_an_episode_without_a_seed_is_of_the_only_one_or_an_error(tmp_path):
    options = from_config(get_config(), Options)
    table = _table(tmp_path, "task,seed,trials,successes\nt,7,9,2\nu,0,9,2\nu,7,9,2\n")
    told = Episodes([{"task": "t"}, {"task": "u", "seed": 0}])
    found = join(table, told)
    assert [(c.seed, c.episode) for c in found.chosen(options, told)] == [(7, 0), (0, 1)]
    with pytest.raises(ValueError, match=r"their seed, .* episode 1: \['u'\], one of \[0, 7\]"):
        join(table, Episodes([{"task": "t", "seed": 7}, {"task": "u"}]))


def test_suites_of_some_episodes_are_those_of_the_task(tmp_path):
    table = _table(tmp_path, "task,trials,successes\nt,9,1\n")
    found = join(table, Episodes([{"task": "t", "suite": "s"}, {"task": "t"}]))
    assert found.episodes == {("s", "t", "all"): [0, 1]} and found.notes == ()


def test_splits_and_seeds_that_nobody_has_are_named(tmp_path):
    table = _table(tmp_path, "task,trials,successes\nt,9,1\n")
    with pytest.raises(ValueError, match=r"--splits \['far'\] given, it has no column split"):
        join(table, Episodes([NATIVE]), splits=("far",))
    table = _table(tmp_path, SPLITS)
    with pytest.raises(ValueError, match=r"\['far'\] given, it has the splits \['native', 'shuf"):
        join(table, Episodes([NATIVE]), splits=("far",))
    with pytest.raises(ValueError, match=r"1 episodes are of other splits .*\['native'\]$"):
        join(table, Episodes([NATIVE]), splits=("shuffled",))
    table = _table(tmp_path, "task,seed,trials,successes\nt,7,9,1\n")
    with pytest.raises(ValueError, match=r"seeds \['7'\] given, \[7\] wanted"):
        join(table, Episodes([{"task": "t", "seed": "7"}]))


def test_seeds_count_where_both_sides_say_them(tmp_path):
    table = _table(tmp_path, "task,seed,trials,successes\nt,0,9,1\nt,7,9,2\n")
    options = from_config(get_config(), Options)
    untold = Episodes([{"task": "t"}])
    found = join(table, untold)
    assert [(c.seed, c.episode) for c in found.chosen(options, untold)] == [(0, 0), (7, 0)]
    told = Episodes([{"task": "t", "seed": 7}, {"task": "t", "seed": 9}])
    found = join(table, told)
    assert [(c.seed, c.episode) for c in found.chosen(options, told)] == [(7, 0)]
    assert found.notes == ("1 rows have no episodes: ['t, seed 0']",)


def test_policies_of_a_table(tmp_path):
    text = "task,policy_seed,trials,successes\npick up the milk,1,9,1\npick up the milk,2,9,5\n"
    table = _table(tmp_path, text)
    with pytest.raises(ValueError, match=r"policies \[1, 2\]; say whose count"):
        join(table, MINE)
    (row,) = join(table, MINE, policy_seed=2).success.values()
    assert row.successes == 5
    with pytest.raises(ValueError, match="no row of policy_seed 3"):
        join(table, MINE, policy_seed=3)


def test_a_full_table_is_joined_as_by_its_keys():
    """The embedded one: the same frames of the same episodes as by suite, task, split and seed."""
    table, dataset = read_table(embedded.success_path()), open_dataset(embedded.episodes_path())
    options = from_config(get_config(), Options)
    found = join(table, dataset, policy_seed=0)
    by_keys = chosen_frames(options, dataset, join_success(table.rows, 0))
    key = lambda one: (one.suite, one.task, one.split, one.seed, one.episode)  # noqa: E731
    assert sorted(found.chosen(options, dataset), key=key) == sorted(by_keys, key=key)
    assert len(by_keys) == 205 and found.by_seed
    # The table has splits that were not recorded.
    assert [note[:29] for note in found.notes] == ["270 rows have no episodes: ['"]
    assert join(table, dataset, policy_seed=0, splits=("seen", "near", "far")).notes == ()
