"""LeRobot v2.1: episodes are counted, none is overwritten, deleted ones leave gaps."""

import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episodes import an_episode, three_episodes

from iss_jax.data.beside import write_regions
from iss_jax.data.convert import convert, differences, verify
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode


@pytest.fixture
def root(tmp_path):
    for episode in three_episodes():
        write_episode(tmp_path / "data", episode)
    return tmp_path / "data"


def _info(root, **changes):
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _files(root):
    return {path: path.read_bytes() for path in root.rglob("*.parquet")}


def test_an_index_without_its_last_newline_has_all_episodes(root):
    path = root / "meta/episodes.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    before = _files(root)
    dataset = open_dataset(root)
    assert [differences(dataset.read(i), e) for i, e in enumerate(three_episodes())] == [[]] * 3
    assert write_episode(root, an_episode(9, 4, "new")) == 3
    assert {path: _files(root)[path] for path in before} == before
    assert [open_dataset(root).read(i).prompt for i in (2, 3)] == ["pick the milk", "new"]


@pytest.mark.parametrize("cut", [40, 200, 10**6])
def test_fewer_episodes_than_info_says_are_an_error(root, cut):
    path = root / "meta/episodes.jsonl"
    text = path.read_bytes()
    left = text[: max(0, len(text) - cut)]
    path.write_bytes(left)
    before = _files(root)
    for attempt in (open_dataset, lambda root: write_episode(root, an_episode(9))):
        with pytest.raises(ValueError, match=r"episodes\.jsonl: [012] episodes, info\.json says 3"):
            attempt(root)
    assert path.read_bytes() == left and _files(root) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total_episodes": 1}, r"episodes\.jsonl: 3 episodes, info\.json says 1"),
        ({"total_episodes": 4}, r"episodes\.jsonl: 3 episodes, info\.json says 4"),
        ({"total_frames": 8}, r"episodes\.jsonl: 9 frames of 3 episodes, info\.json says 8"),
        ({"total_frames": 10}, r"episodes\.jsonl: 9 frames of 3 episodes, info\.json says 10"),
        ({"total_episodes": "3"}, r"info\.json: total_episodes is '3', an integer from 0 on"),
        ({"total_frames": True}, r"info\.json: total_frames is True"),
        ({"chunks_size": 0}, r"info\.json: chunks_size is 0, an integer from 1 on"),
        ({"fps": 0}, r"info\.json: fps is 0"),
        ({"fps": float("nan")}, r"info\.json: fps is nan"),
        ({"features": []}, r"info\.json: features are list"),
    ],
)
def test_an_info_that_disagrees_is_an_error(root, changes, message):
    _info(root, **changes)
    with pytest.raises(ValueError, match=message):
        open_dataset(root)


def test_an_info_one_append_behind_is_mended_by_the_next(root, caplog):
    _info(root, total_episodes=2, total_frames=8)
    with caplog.at_level(logging.WARNING):
        assert len(open_dataset(root)) == 3
    assert "says 2 episodes" in caplog.text and "the last append was interrupted" in caplog.text
    assert write_episode(root, an_episode(9, 4)) == 3
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["total_episodes"], info["total_frames"]) == (4, 13)
    table = pq.read_table(root / "data/chunk-000/episode_000003.parquet")
    assert table["index"].to_pylist() == [9, 10, 11, 12]
    assert not (root / "meta/appending.json").exists()


def test_a_file_that_no_append_left_is_never_overwritten(root):
    path = root / "meta/episodes.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:2]))
    _info(root, total_episodes=2, total_frames=8)
    before = _files(root)
    with pytest.raises(
        FileExistsError, match=r"episode_000002\.parquet: is there, though episodes"
    ):
        write_episode(root, an_episode(9))
    assert _files(root) == before and len(open_dataset(root)) == 2


def test_a_lost_info_is_no_new_dataset(root):
    (root / "meta/info.json").unlink()
    before = _files(root)
    with pytest.raises(FileNotFoundError, match=r"info\.json: missing, though episodes\.jsonl is"):
        write_episode(root, an_episode(9))
    assert _files(root) == before


def test_deleted_episodes_leave_a_gap(root, tmp_path):
    for number, frames in ((0, 5), (1, 3), (2, 1)):
        masks = np.full((frames, 6, 6), number, np.uint8)
        write_regions(root / "regions", number, {"wrist": masks})
    path = root / "meta/episodes.jsonl"
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(lines[0] + lines[2])
    _info(root, total_episodes=2)
    dataset = open_dataset(root)
    assert [dataset.metadata(i)["episode_index"] for i in range(len(dataset))] == [0, 2]
    assert dataset.data_path(1).name == "episode_000002.parquet"
    read = dataset.read(1)
    # The masks of its own number, not of its place.
    assert np.all(read.regions["wrist"] == 2)
    np.testing.assert_array_equal(read.images["front"], three_episodes()[2].images["front"])
    assert convert(dataset, tmp_path / "out", "v3.0") == 2
    verify(dataset, tmp_path / "out")
    assert write_episode(root, an_episode(9, 4)) == 3
    dataset = open_dataset(root)
    assert [dataset.metadata(i)["episode_index"] for i in range(3)] == [0, 2, 3]
    assert differences(dataset.read(2), an_episode(9, 4)) == []
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["total_episodes"], info["total_frames"]) == (3, 10)


def test_a_lost_instruction_is_not_given_its_number_again(root):
    path = root / "meta/tasks.jsonl"
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(lines[0])
    with pytest.raises(ValueError, match=r"tasks\.jsonl: 1 instructions, info\.json says 2"):
        write_episode(root, an_episode(9, prompt="close it"))
    path.write_bytes(lines[0] + lines[1].replace(b"open the drawer", b"close it"))
    with pytest.raises(ValueError, match=r"\(episode 1\).*'close it', but .* 'open the drawer' is"):
        open_dataset(root).read(1)
    path.write_bytes(b"".join(lines) + lines[1].replace(b"open", b"shut"))
    with pytest.raises(
        ValueError, match=r"tasks\.jsonl, line 3: task_index 1 is 'shut the drawer'"
    ):
        open_dataset(root)


def test_v20_is_read_and_not_written(root):
    (root / "meta/episodes_stats.jsonl").unlink()
    (root / "meta/stats.json").write_text("{}")
    _info(root, codebase_version="v2.0")
    dataset = open_dataset(root)
    assert [differences(dataset.read(i), e) for i, e in enumerate(three_episodes())] == [[]] * 3
    with pytest.raises(ValueError, match=r"format 'v2\.0' given, 'v2\.1' wanted$"):
        write_episode(root, an_episode(9))


@pytest.mark.parametrize("state", [[8, 7, 9, 8, 8], [8, 8, 8, 8, 16], [0, 8, 16, 8, 8]])
def test_rows_of_unequal_length_do_not_shift(root, state):
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("observation.state")
    rows = pa.array([[0.0] * n for n in state], pa.list_(pa.float32()))
    pq.write_table(table.set_column(place, "observation.state", rows), path)
    dataset = open_dataset(root)
    for read in (dataset.read, dataset.read_state):
        with pytest.raises(
            ValueError, match=r"\(episode 0\): column 'observation\.state': lists of \d+ and of"
        ):
            read(0)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[0.0] * 8] * 4 + [None], pa.list_(pa.float32())), "has empty places"),
        (pa.array([["a"] * 8] * 5), "is string, numbers wanted"),
        (pa.array([[0.0] * 7] * 5), r"does not hold \[8\], but \[7\] in each frame"),
    ],
)
def test_columns_that_are_not_what_info_says(root, column, message):
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("observation.state")
    pq.write_table(table.set_column(place, "observation.state", column), path)
    with pytest.raises(ValueError, match=r"column 'observation\.state' " + message):
        open_dataset(root).read(0)


def test_rows_that_are_nested_otherwise_are_read(root):
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("observation.state")
    rows = pa.array([np.arange(8.0).reshape(4, 2).tolist()] * 5)
    pq.write_table(table.set_column(place, "observation.state", rows), path)
    np.testing.assert_array_equal(open_dataset(root).read_state(0), [np.arange(8.0)] * 5)


def test_numbers_that_a_dtype_cannot_hold(root):
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("time_left")
    pq.write_table(table.set_column(place, "time_left", pa.array([0.5] * 5)), path)
    with pytest.raises(ValueError, match=r"column 'time_left' holds float64 that are no int64"):
        open_dataset(root).read(0)


def test_flipped_bits_in_parquet_are_noticed(root):
    path = root / "data/chunk-000/episode_000000.parquet"
    whole = path.read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(0)
    dataset = open_dataset(root)
    for number in range(group.num_columns):
        column = group.column(number)
        end = column.data_page_offset + column.total_compressed_size
        spoilt = bytearray(whole)
        spoilt[end - 1] ^= 16
        path.write_bytes(spoilt)
        with pytest.raises(
            ValueError, match=r"000000\.parquet \(episode 0\): the file cannot be r"
        ):
            dataset.read(0)


def test_a_length_of_any_size_takes_no_memory(root):
    path = root / "meta/episodes.jsonl"
    path.write_text(path.read_text().replace('"length": 5', '"length": 5000000000000'))
    with pytest.raises(ValueError, match=r"frames of 3 episodes, info\.json says 9"):
        open_dataset(root)
    _info(root, total_frames=5000000000004)
    dataset = open_dataset(root)
    for read in (dataset.read, dataset.read_state):
        with pytest.raises(ValueError, match=r"\(episode 0\): 5 frames found, 5000000000000 want"):
            read(0)
