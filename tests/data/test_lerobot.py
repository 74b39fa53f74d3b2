"""The LeRobot v2.1 writer and reader: lossless, atomic, and clear about what is wrong."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episodes import an_episode as _episode

from iss_jax.data import Episode, lerobot, lerobot_columns, lerobot_info, lerobot_v21
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode
from iss_jax.data.lerobot_v30_write import write_dataset


def _assert_equal(read, written, rows=slice(None)):
    for name in ("images", "regions", "instances", "features"):
        assert getattr(read, name).keys() == getattr(written, name).keys()
        for key, value in getattr(written, name).items():
            found = getattr(read, name)[key]
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value[rows])
    for name in ("state", "action"):
        assert getattr(read, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name)[rows])
    assert (read.prompt, read.fps) == (written.prompt, written.fps)
    assert read.metadata == written.metadata
    assert read.instance_names == written.instance_names


def test_round_trip_is_lossless(tmp_path):
    written = [_episode(0), _episode(1, 3, "open the drawer"), _episode(2, 1)]
    assert [write_episode(tmp_path, episode) for episode in written] == [0, 1, 2]
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 3
    assert dataset.cameras == ("front", "wrist")
    for index, episode in enumerate(written):
        _assert_equal(dataset.read(index), episode)
    assert dataset.metadata(1) == {
        "episode_index": 1,
        "tasks": ["open the drawer"],
        "length": 3,
        **written[1].metadata,
    }


@pytest.mark.parametrize(
    ("frames", "rows"),
    [
        (slice(None, None, 2), [0, 2, 4]),
        ([3, 1], [3, 1]),
        ([-1], [4]),
        (np.array([2, 2]), [2, 2]),
        (slice(4, 0, -3), [4, 1]),
    ],
)
def test_reads_the_frames_asked_for(tmp_path, frames, rows):
    write_episode(tmp_path, _episode())
    _assert_equal(open_dataset(tmp_path).read(0, frames), _episode(), rows)


def test_without_regions_the_rest_is_the_same(tmp_path):
    write_episode(tmp_path, _episode())
    read = open_dataset(tmp_path).read(0, regions=False)
    assert read.regions == read.instances == read.instance_names == {}
    np.testing.assert_array_equal(read.images["wrist"], _episode().images["wrist"])


def test_one_feature_is_read_alone(tmp_path):
    write_episode(tmp_path, _episode())
    dataset = open_dataset(tmp_path)
    for name, value in _episode().features.items():
        found = dataset.read_feature(0, name)
        assert found.dtype == value.dtype
        np.testing.assert_array_equal(found, value)
    with pytest.raises(KeyError, match="no feature 'colour'"):
        dataset.read_feature(0, "colour")


def test_layout_is_lerobot_v21(tmp_path):
    write_episode(tmp_path, _episode(0), robot_type="panda")
    write_episode(tmp_path, _episode(1, 3, "open the drawer"))
    write_episode(tmp_path, _episode(2, 2))
    info = json.loads((tmp_path / "meta/info.json").read_text())
    assert info["codebase_version"] == "v2.1"
    assert info["robot_type"] == "panda"
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 10, 2)
    assert (info["chunks_size"], info["total_chunks"], info["total_videos"]) == (1000, 1, 0)
    assert info["splits"] == {"train": "0:3"}
    assert info["features"]["observation.images.front"] == {
        "dtype": "image",
        "shape": [8, 10, 3],
        "names": ["height", "width", "channel"],
    }
    assert info["features"]["action_chunk"]["shape"] == [16, 7]
    assert info["features"]["time_left"] == {"dtype": "int64", "shape": [1], "names": None}
    tasks = [json.loads(line) for line in (tmp_path / "meta/tasks.jsonl").read_text().splitlines()]
    assert tasks == [
        {"task_index": 0, "task": "pick the milk"},
        {"task_index": 1, "task": "open the drawer"},
    ]
    path = info["data_path"].format(episode_chunk=0, episode_index=1)
    table = pq.read_table(tmp_path / path)
    assert table["frame_index"].to_pylist() == [0, 1, 2]
    assert table["index"].to_pylist() == [5, 6, 7]
    assert table["episode_index"].to_pylist() == [1, 1, 1]
    assert table["task_index"].to_pylist() == [1, 1, 1]
    np.testing.assert_allclose(table["timestamp"].to_numpy(), [0.0, 0.1, 0.2], atol=1e-7)
    assert table.schema.field("observation.images.front").type == pa.struct(
        [("bytes", pa.binary()), ("path", pa.string())]
    )
    schema = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert schema["observation.images.front"] == {"_type": "Image"}
    assert schema["action"]["length"] == 7
    assert schema["action_chunk"] == {"shape": [16, 7], "dtype": "float32", "_type": "Array2D"}


def test_parquet_does_not_repeat_images_as_their_minimum_and_maximum(tmp_path):
    episode = _episode()
    write_episode(tmp_path / "v21", episode)
    write_dataset(tmp_path / "v30", [episode])
    for path in tmp_path.rglob("data/*/*.parquet"):
        group = pq.ParquetFile(path).metadata.row_group(0)
        noted = {
            group.column(i).path_in_schema
            for i in range(group.num_columns)
            if group.column(i).is_stats_set
        }
        flags = {name for name, value in episode.features.items() if value.ndim == 1}
        assert noted == {*lerobot_info.INDEX_DTYPES, *flags}
        assert group.column(0).path_in_schema == "observation.images.front.bytes"


def test_episode_statistics(tmp_path):
    episode = _episode()
    write_episode(tmp_path, episode)
    (line,) = (tmp_path / "meta/episodes_stats.jsonl").read_text().splitlines()
    stats = json.loads(line)["stats"]
    image = stats["observation.images.front"]
    assert np.shape(image["mean"]) == (3, 1, 1)
    np.testing.assert_allclose(
        np.ravel(image["mean"]), episode.images["front"].mean((0, 1, 2)) / 255, rtol=1e-9
    )
    np.testing.assert_allclose(
        np.ravel(image["std"]), episode.images["front"].std((0, 1, 2)) / 255, rtol=1e-9
    )
    np.testing.assert_allclose(
        np.ravel(image["min"]), episode.images["front"].min((0, 1, 2)) / 255, rtol=1e-12
    )
    np.testing.assert_allclose(
        np.ravel(image["max"]), episode.images["front"].max((0, 1, 2)) / 255, rtol=1e-12
    )
    assert image["count"] == [5]
    np.testing.assert_allclose(stats["action"]["max"], episode.action.max(0))
    assert np.shape(stats["action_chunk"]["min"]) == (16, 7)
    np.testing.assert_allclose(stats["timestamp"]["mean"], [0.2], atol=1e-6)
    assert stats["frame_index"]["count"] == [5]


@pytest.mark.parametrize("stop_at", ["parquet", "stats", "episodes", "info"])
def test_interrupted_write_leaves_no_half_episode(tmp_path, monkeypatch, stop_at):
    write_episode(tmp_path, _episode(0))
    append, write_info = lerobot_v21.append_line, lerobot_v21._write_info

    def broken_append(path, line):
        if path.name == {"stats": "episodes_stats.jsonl", "episodes": "episodes.jsonl"}.get(
            stop_at
        ):
            with open(path, "ab") as file:
                file.write(json.dumps(line).encode()[:30])
            raise KeyboardInterrupt
        append(path, line)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lerobot_v21, "append_line", broken_append)
        if stop_at == "parquet":
            patch.setattr(pq, "write_table", stop)
        if stop_at == "info":
            patch.setattr(lerobot_v21, "_write_info", stop)
        with pytest.raises(KeyboardInterrupt):
            write_episode(tmp_path, _episode(1, 3))
    assert write_info is lerobot_v21._write_info

    done = 2 if stop_at == "info" else 1
    dataset = open_dataset(tmp_path)
    assert len(dataset) == done
    _assert_equal(dataset.read(0), _episode(0))
    assert write_episode(tmp_path, _episode(2, 4)) == done
    dataset = open_dataset(tmp_path)
    _assert_equal(dataset.read(done), _episode(2, 4))
    first = 5 + 3 * (done - 1)
    path = tmp_path / lerobot.DATA_PATH.format(episode_chunk=0, episode_index=done)
    assert pq.read_table(path)["index"][0].as_py() == first
    stats = (tmp_path / "meta/episodes_stats.jsonl").read_text().splitlines()
    assert [json.loads(line)["episode_index"] for line in stats] == list(range(done + 1))
    info = json.loads((tmp_path / "meta/info.json").read_text())
    assert (info["total_episodes"], info["total_frames"]) == (done + 1, first + 4)
    assert not list(tmp_path.rglob("*.tmp*"))


def test_appending_to_a_dataset_with_other_features_is_refused(tmp_path):
    write_episode(tmp_path, _episode())
    other = _episode()
    other = Episode(**{**vars(other), "regions": {}})
    with pytest.raises(ValueError, match=r"observation\.regions\.front"):
        write_episode(tmp_path, other)
    with pytest.raises(ValueError, match=r"fps is 10\.0 .* 20\.0"):
        write_episode(tmp_path, Episode(**{**vars(_episode()), "fps": 20.0}))


def test_appending_keeps_what_it_does_not_know_and_refuses_other_places(tmp_path):
    write_episode(tmp_path, _episode())
    path = tmp_path / "meta/info.json"
    info = json.loads(path.read_text()) | {"license": "mit"}
    path.write_text(json.dumps(info))
    write_episode(tmp_path, _episode(1))
    assert json.loads(path.read_text())["license"] == "mit"
    for name, value in (("chunks_size", 1), ("data_path", "data/{episode_index}.parquet")):
        path.write_text(json.dumps(info | {name: value}))
        with pytest.raises(ValueError, match=f"{name} is .*{value}"):
            write_episode(tmp_path, _episode(2))


def test_reserved_and_unusable_names(tmp_path):
    with pytest.raises(ValueError, match=r"metadata\['length'\]"):
        write_episode(tmp_path, _episode(length=3))
    with pytest.raises(TypeError, match=r"metadata\['shape'\]"):
        write_episode(tmp_path, _episode(shape=[1, 2]))
    features = {"action": np.zeros((5, 2), np.float32)}
    with pytest.raises(ValueError, match=r"features\['action'\]"):
        write_episode(tmp_path, Episode(**{**vars(_episode()), "features": features}))
    features = {"words": np.array(["a"] * 5)}
    with pytest.raises(ValueError, match=r"features\['words'\].*<U1"):
        write_episode(tmp_path, Episode(**{**vars(_episode()), "features": features}))
    assert not (tmp_path / "meta").exists()


def _rewrite(path, change):
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def test_errors_name_file_episode_and_frame(tmp_path):
    for seed in range(5):
        write_episode(tmp_path, _episode(seed))
    paths = [
        tmp_path / lerobot.DATA_PATH.format(episode_chunk=0, episode_index=i) for i in range(5)
    ]
    paths[0].unlink()
    paths[1].write_bytes(b"PAR1 and nothing else")

    def spoil_png(table):
        column = table["observation.images.front"].to_pylist()
        column[3]["bytes"] = column[3]["bytes"][:40]
        index = table.column_names.index("observation.images.front")
        return table.set_column(
            index, table.schema.field(index), pa.array(column, lerobot_columns.IMAGE_TYPE)
        )

    _rewrite(paths[2], spoil_png)
    _rewrite(paths[3], lambda table: table.drop_columns(["action"]))
    paths[4].write_bytes(b"")
    write_episode(tmp_path, _episode(5))
    other = tmp_path / lerobot.DATA_PATH.format(episode_chunk=0, episode_index=5)
    paths[4].write_bytes(other.read_bytes())

    dataset = open_dataset(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"episode_000000\.parquet \(episode 0\)"):
        dataset.read(0)
    with pytest.raises(ValueError, match=r"episode_000001\.parquet \(episode 1\).*cannot be read"):
        dataset.read(1)
    _assert_equal(dataset.read(2, slice(0, 3)), _episode(2), slice(0, 3))
    with pytest.raises(ValueError, match=r"000002\.parquet \(episode 2\), frame 3.*images\.front"):
        dataset.read(2)
    with pytest.raises(ValueError, match=r"episode 3\): columns \['action'\]"):
        dataset.read(3)
    with pytest.raises(ValueError, match=r"episode 4\): holds the frames of another"):
        dataset.read(4)
    with pytest.raises(IndexError, match=r"no episode 6 of 6; they are 0 to 5"):
        dataset.read(6)
    with pytest.raises(IndexError, match=r"\(episode 5\): no frame 5 of 5; they are 0 to 4"):
        dataset.read(5, [0, 5])
    with pytest.raises(IndexError, match=r"\(episode 5\): slice\(40, 41, None\) selects none of 5"):
        dataset.read(5, slice(40, 41))


def test_missing_or_foreign_dataset(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither meta/info\.json \(LeRobot\) nor"):
        open_dataset(tmp_path)
    write_episode(tmp_path, _episode())
    path = tmp_path / "meta/info.json"
    path.write_text(path.read_text().replace("v2.1", "v9.0"))
    with pytest.raises(ValueError, match=r"'v9\.0' given, 'v2\.1' or 'v3\.0' wanted"):
        open_dataset(tmp_path)


def test_a_damaged_line_of_the_metadata_is_named(tmp_path):
    for seed in range(3):
        write_episode(tmp_path, _episode(seed))
    path = tmp_path / "meta/episodes.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{half", lines[2], ""]))
    with pytest.raises(ValueError, match=r"episodes\.jsonl, line 2: cannot be read"):
        open_dataset(tmp_path)
    path.write_text("\n".join([lines[0], lines[2], ""]))
    with pytest.raises(
        ValueError, match=r"episodes\.jsonl: 2 episodes, info\.json says 3; the numbers \[1\] are"
    ):
        open_dataset(tmp_path)
    path.write_text("\n".join([lines[1], lines[0], lines[2], ""]))
    with pytest.raises(ValueError, match=r"episodes\.jsonl, line 2: episode_index 2 or more"):
        open_dataset(tmp_path)
