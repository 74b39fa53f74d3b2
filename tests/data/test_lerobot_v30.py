"""LeRobot v3.0: rows are found by what they say themselves."""

import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episodes import an_episode, three_episodes

from iss_jax.data import bounds
from iss_jax.data.convert import differences
from iss_jax.data.dataset import digest, open_dataset
from iss_jax.data.lerobot_v30_write import write_dataset

DATA = "data/chunk-000/file-{:03d}.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture
def root(tmp_path):
    write_dataset(tmp_path / "data", three_episodes())
    return tmp_path / "data"


def _index(root, change):
    table = pq.read_table(root / EPISODES)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), root / EPISODES)


def _info(root, **changes):
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _data(root, change, file=0):
    path = root / DATA.format(file)
    pq.write_table(change(pq.read_table(path)), path)


@pytest.mark.parametrize("rows_too", [False, True])
def test_deleted_episodes_leave_a_gap(root, rows_too):
    _index(root, lambda rows: rows.pop(1))
    _info(root, total_episodes=2)
    if rows_too:
        _data(root, lambda table: pa.concat_tables([table.slice(0, 5), table.slice(8)]))
    dataset = open_dataset(root)
    assert [dataset.metadata(i)["episode_index"] for i in range(2)] == [0, 2]
    for place, number in enumerate((0, 2)):
        assert differences(dataset.read(place), three_episodes()[number]) == []
        np.testing.assert_array_equal(dataset.read_state(place), three_episodes()[number].state)


@pytest.mark.parametrize("unlisted", ["again", "begun", "first", "more"])
def test_rows_that_the_index_does_not_list_are_no_hindrance(root, unlisted, caplog):
    def change(table):
        if unlisted == "first":
            return pa.concat_tables([table.slice(1, 3), table])
        start, count = {"again": (0, 3), "begun": (0, 5), "more": (5, 2)}[unlisted]
        return pa.concat_tables([table, table.slice(start, count)])

    _data(root, change)
    dataset = open_dataset(root)
    with caplog.at_level(logging.WARNING):
        found = [differences(dataset.read(i), e) for i, e in enumerate(three_episodes())]
    assert found == [[]] * 3
    assert "file-000.parquet: 1" in caplog.text and "the index places 9 here" in caplog.text


def test_an_episode_that_is_there_twice_and_elsewhere_is_an_error(root):
    _data(
        root, lambda table: pa.concat_tables([table.slice(5), table.slice(0, 5), table.slice(0, 5)])
    )
    with pytest.raises(ValueError, match=r"\(episode 0\): holds the episode 2 times"):
        open_dataset(root).read(0)


def test_one_row_of_the_index_may_be_wrong_about_the_file(tmp_path, caplog):
    root, episodes = tmp_path / "data", [an_episode(seed, 3) for seed in range(4)]
    write_dataset(root, episodes, megabytes=0.0)
    tables = [pq.read_table(root / DATA.format(i)) for i in range(4)]
    for i in range(2):
        pq.write_table(pa.concat_tables(tables[2 * i : 2 * i + 2]), root / DATA.format(i))
        (root / DATA.format(2 + i)).unlink()

    def change(rows):
        for row in rows:
            row["data/file_index"] = row["episode_index"] // 2
        rows[2]["data/file_index"] = 0

    _index(root, change)
    dataset = open_dataset(root)
    with caplog.at_level(logging.WARNING):
        assert [differences(dataset.read(i), e) for i, e in enumerate(episodes)] == [[]] * 4
    assert "episode 2 lies in" in caplog.text
    # What it was read from is what tells versions apart.
    assert [path.name for path in dataset.files(2)] == ["file-001.parquet"]
    assert digest(dataset.files(2)) == digest(dataset.files(3)) != digest(dataset.files(1))


@pytest.mark.parametrize(
    ("change", "info", "message"),
    [
        (lambda rows: rows.pop(), {}, r"meta/episodes: 2 episodes, info\.json says 3"),
        (lambda rows: None, {"total_episodes": 0}, r"3 episodes, info\.json says 0"),
        (lambda rows: None, {"total_frames": 10}, r"9 frames of 3 episodes, info\.json says 10"),
        (
            lambda rows: rows[2].update(episode_index=1),
            {},
            r"file-000\.parquet, row 2: a second episode 1",
        ),
    ],
)
def test_counts_are_checked(root, change, info, message):
    _index(root, change)
    _info(root, **info)
    with pytest.raises(ValueError, match=message):
        open_dataset(root)


@pytest.mark.parametrize("name", [DATA.format(0), EPISODES, "meta/tasks.parquet"])
def test_flipped_bits_in_parquet_are_noticed(root, name):
    path = root / name
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    whole = bytearray(path.read_bytes())
    whole[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=rf"{path.name}.*the file cannot be read .*"):
        open_dataset(root).read(0)


def test_equal_rows_without_end_take_no_memory(root, monkeypatch):
    """A run of equal values takes no place in a file, whatever it takes in memory."""
    monkeypatch.setattr(bounds, "FREE", 10**6)
    assert len(open_dataset(root).read(0)) == 5
    zeros = pa.repeat(pa.scalar(0, pa.int64()), 100_000)
    path = root / DATA.format(0)
    pq.write_table(pa.table({"episode_index": zeros, "frame_index": zeros}), path)
    assert path.stat().st_size < 5000
    with pytest.raises(
        ValueError, match=r"\(episode 0\): the columns wanted: 1600000 bytes of memory wanted by a"
    ):
        open_dataset(root).read(0)


def test_an_index_without_instructions_has_those_of_the_frames(root):
    """LeRobot 0.6 leaves the column out where it makes videos of a dataset of images."""
    whole = open_dataset(root)
    wanted = [(whole.metadata(i)["tasks"], whole.prompts(i)) for i in range(3)]
    table = pq.read_table(root / EPISODES)
    pq.write_table(table.drop_columns(["tasks"]), root / EPISODES)
    dataset = open_dataset(root)
    assert [(dataset.metadata(i)["tasks"], dataset.prompts(i)) for i in range(3)] == wanted
    for number, episode in enumerate(three_episodes()):
        assert differences(dataset.read(number), episode) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["task_index"]), "instructions of its frames"),
        (None, "is missing, though|the file is missing"),
    ],
)
def test_frames_without_instructions_are_an_error_then(root, change, message):
    table = pq.read_table(root / EPISODES)
    pq.write_table(table.drop_columns(["tasks"]), root / EPISODES)
    if change is None:
        (root / DATA.format(0)).unlink()
    else:
        _data(root, change)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_dataset(root)
