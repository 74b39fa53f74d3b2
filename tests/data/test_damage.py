"""Damaged datasets of every format: the error names the file, the episode and the frame."""

import json
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episodes import three_episodes
from PIL import Image

from iss_jax.data.beside import regions_path, write_regions
from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.data.lerobot import Keys, write_episode
from iss_jax.data.lerobot_v30_write import write_dataset

SAMPLES = pathlib.Path(__file__).parents[1] / "samples" / "lerobot"
V30_DATA = "data/chunk-000/file-000.parquet"
V30_EPISODES = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture
def v21(tmp_path):
    for episode in three_episodes():
        write_episode(tmp_path / "v21", episode)
    return tmp_path / "v21"


@pytest.fixture
def v30(tmp_path):
    write_dataset(tmp_path / "v30", three_episodes())
    return tmp_path / "v30"


@pytest.fixture
def folders(tmp_path):
    write_folders(tmp_path / "folders", three_episodes())
    return tmp_path / "folders"


def _sample(tmp_path, name):
    return pathlib.Path(shutil.copytree(SAMPLES / name, tmp_path / name))


def _rewrite(path, change):
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def _with_column(name, change):
    def changed(table):
        values = change(table[name].to_pylist())
        index = table.column_names.index(name)
        field = table.schema.field(index)
        return table.set_column(index, field, pa.array(values, field.type))

    return changed


def _png(size, mode="RGB"):
    import io

    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


# --- LeRobot v3.0


def test_v30_missing_and_corrupt_files(v30):
    whole = (v30 / V30_DATA).read_bytes()
    (v30 / V30_DATA).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"file-000\.parquet \(episode 1\): the file cannot be re"):
        open_dataset(v30).read(1)
    (v30 / V30_DATA).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"file-000\.parquet \(episode 2\): the file is mis"
    ):
        open_dataset(v30).read(2)
    (v30 / V30_EPISODES).write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"episodes/chunk-000/file-000\.parquet: the file cannot"):
        open_dataset(v30)
    (v30 / V30_EPISODES).unlink()
    with pytest.raises(FileNotFoundError, match="meta/episodes: no parquet file"):
        open_dataset(v30)


def test_v30_missing_tasks(v30):
    _rewrite(v30 / "meta/tasks.parquet", lambda table: table.slice(0, 1))
    dataset = open_dataset(v30)
    dataset.read(0)
    with pytest.raises(ValueError, match=r"episode 1\), frame 0: task_index 1 is not among"):
        dataset.read(1)
    (v30 / "meta/tasks.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"tasks\.parquet: missing"):
        open_dataset(v30)


def test_v30_truncated_data(v30):
    _rewrite(v30 / V30_DATA, lambda table: table.slice(0, 7))
    dataset = open_dataset(v30)
    assert len(dataset.read(0)) == 5
    with pytest.raises(ValueError, match=r"\(episode 1\): 2 frames found, 3 wanted"):
        dataset.read(1)
    with pytest.raises(ValueError, match=r"\(episode 2\): holds the frames of another episode"):
        dataset.read(2)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("length", 4, r"row 1: episode 1 has length 4, but frames 5 to 8"),
        ("episode_index", 5, r"episode 2 where 1 is wanted"),
        ("data/file_index", None, r"row 1: data/file_index is None"),
        ("metadata", "{", r"row 1: metadata is not a JSON object"),
        ("tasks", None, r"row 1: tasks is None"),
    ],
)
def test_v30_rows_of_the_index(v30, column, value, message):
    _rewrite(v30 / V30_EPISODES, _with_column(column, lambda v: [v[0], value, v[2]]))
    with pytest.raises(ValueError, match=message):
        open_dataset(v30)


def test_v30_mis_keyed_columns(v30):
    _rewrite(v30 / V30_DATA, lambda table: table.drop_columns(["action"]))
    with pytest.raises(ValueError, match=r"\(episode 2\): columns \['action'\] of info\.json are"):
        open_dataset(v30).read(2)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (b"\x89PNG", "the image cannot be decoded"),
        (_png((4, 4)), r"image uint8 \[4, 4, 3\] found, uint8 \[8, 10, 3\] wanted"),
        (None, r"cannot be decoded \(no bytes\)"),
    ],
)
@pytest.mark.parametrize("version", ["v21", "v30"])
def test_one_spoilt_image(version, spoilt, message, request):
    root = request.getfixturevalue(version)
    path = root / (V30_DATA if version == "v30" else "data/chunk-000/episode_000001.parquet")
    row = 7 if version == "v30" else 2

    def spoil(column):
        column[row]["bytes"] = spoilt
        return column

    _rewrite(path, _with_column("observation.images.front", spoil))
    dataset = open_dataset(root)
    dataset.read(1, [0, 1])
    where = rf"{path.name} \(episode 1\), frame 2, column 'observation\.images\.front': "
    with pytest.raises(ValueError, match=where + ".*" + message):
        dataset.read(1)


@pytest.mark.parametrize("version", ["v21", "v30"])
def test_labels_that_are_none(version, request):
    root = request.getfixturevalue(version)
    path = root / (V30_DATA if version == "v30" else "data/chunk-000/episode_000000.parquet")

    def spoil(column):
        column[3]["bytes"] = _png((10, 8)).replace(b"", b"")
        buffer = np.full((8, 10, 3), 7, np.uint8)
        import io

        out = io.BytesIO()
        Image.fromarray(buffer).save(out, "PNG")
        column[3]["bytes"] = out.getvalue()
        return column

    _rewrite(path, _with_column("observation.regions.front", spoil))
    with pytest.raises(ValueError, match=r"\(episode 0\), column .*, frame 3: label 7, only 0"):
        open_dataset(root).read(0)


def test_two_instructions_in_one_episode(v21):
    path = v21 / "data/chunk-000/episode_000000.parquet"
    _rewrite(path, _with_column("task_index", lambda v: [0, 0, 0, 1, 1]))
    dataset = open_dataset(v21)
    with pytest.raises(ValueError, match=r"\(episode 0\), frame 3: task_index 1, frame 0 has 0"):
        dataset.read(0)
    assert dataset.read(0, [3, 4]).prompt == "open the drawer"
    assert dataset.read(0, [0, 2]).prompt == "pick the milk"


def test_v21_frames_in_another_order(v21):
    path = v21 / "data/chunk-000/episode_000000.parquet"
    _rewrite(path, lambda table: table.take([0, 2, 1, 3, 4]))
    with pytest.raises(ValueError, match=r"\(episode 0\): holds the frames of another"):
        open_dataset(v21).read(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: i["features"].pop("task_index"), r"info\.json: \['task_index'\] missing"),
        (lambda i: i.pop("fps"), r"info\.json: \['fps'\] missing"),
        (lambda i: i.update(data_path="data/{nothing}"), r"data_path is 'data/\{nothing\}'"),
        (lambda i: i.update(codebase_version="v1.6"), r"format 'v1\.6' given, 'v2\.1' or 'v3\.0'"),
    ],
)
@pytest.mark.parametrize("version", ["v21", "v30"])
def test_info_that_lacks_something(version, change, message, request):
    root = request.getfixturevalue(version)
    info = json.loads((root / "meta/info.json").read_text())
    change(info)
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match=message):
        open_dataset(root)


# --- keys


def test_other_names_are_mapped(v30):
    info = json.loads((v30 / "meta/info.json").read_text())
    renamed = {
        "observation.images.front": "image",
        "observation.regions.front": "segmentation",
        "observation.state": "state",
        "action": "actions",
    }
    info["features"] = {renamed.get(n, n): entry for n, entry in info["features"].items()}
    (v30 / "meta/info.json").write_text(json.dumps(info))
    _rewrite(
        v30 / V30_DATA,
        lambda table: table.rename_columns([renamed.get(n, n) for n in table.column_names]),
    )
    assert open_dataset(v30).cameras == ("image", "wrist", "segmentation")
    keys = Keys(cameras={"front": "image"}, regions={"front": "segmentation"})
    episode = open_dataset(v30, keys=keys).read(0)
    wanted = three_episodes()[0]
    np.testing.assert_array_equal(episode.images["front"], wanted.images["front"])
    np.testing.assert_array_equal(episode.regions["front"], wanted.regions["front"])
    np.testing.assert_array_equal(episode.action, wanted.action)
    with pytest.raises(KeyError, match=r"camera 'front' is to be the feature 'images'"):
        open_dataset(v30, keys=Keys(cameras={"front": "images"}))
    with pytest.raises(KeyError, match=r"the state is to be the feature 'qpos'"):
        open_dataset(v30, keys=Keys(state="qpos"))


@pytest.mark.parametrize("root", ["v21", "v30", "folders"])
def test_names_that_are_none_are_named(root, tmp_path):
    for episode in three_episodes()[:1]:
        write_episode(tmp_path / "v21", episode)
    if root != "v21":
        convert(open_dataset(tmp_path / "v21"), tmp_path / root, {"v30": "v3.0"}.get(root, root))
    if root == "v30":
        (path,) = (tmp_path / root / "meta/episodes").rglob("*.parquet")
        table = pq.read_table(path)
        text = table["metadata"][0].as_py().replace('"7"', '"x"')
        place = table.column_names.index("metadata")
        pq.write_table(table.set_column(place, "metadata", pa.array([text])), path)
    else:
        name = "meta/episodes.jsonl" if root == "v21" else "*/*/episode.json"
        (path,) = (tmp_path / root).glob(name)
        path.write_text(path.read_text().replace('"7"', '"x"'))
    with pytest.raises(ValueError, match=rf"{path.name}.*: instance_names is .*'x'"):
        open_dataset(tmp_path / root)


def test_features_that_are_no_numbers_are_not_lost_in_silence(v30, tmp_path):
    info = json.loads((v30 / "meta/info.json").read_text())
    info["features"]["subtask"] = {"dtype": "string", "shape": [1], "names": None}
    (v30 / "meta/info.json").write_text(json.dumps(info))
    dataset = open_dataset(v30)
    assert dataset.unread == ("subtask",)
    with pytest.raises(ValueError, match=r"\['subtask'\] are not read and would be lost"):
        convert(dataset, tmp_path / "out", "v2.1")
    assert convert(dataset, tmp_path / "out", "v2.1", drop_unread=True) == 3


# --- video


def test_videos_that_are_missing_truncated_or_of_another_size(tmp_path):
    root = _sample(tmp_path, "v21_video")
    folder = root / "videos/chunk-000/observation.images.front"
    other = root / "videos/chunk-000/observation.images.wrist/episode_000000.mp4"
    (folder / "episode_000000.mp4").unlink()
    with pytest.raises(FileNotFoundError, match=r"episode_000000\.mp4 \(episode 0\): the video is"):
        open_dataset(root).read(0)
    shutil.copy(other, folder / "episode_000000.mp4")
    with pytest.raises(ValueError, match=r"\(episode 0\), frame 0: picture \[40, 40, 3\] found"):
        open_dataset(root).read(0)
    (folder / "episode_000000.mp4").write_bytes(b"no video at all")
    with pytest.raises(ValueError, match=r"mp4 \(episode 0\), frame 0: the video cannot be decod"):
        open_dataset(root).read(0)
    (folder / "episode_000000.mp4").write_bytes(other.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"mp4 \(episode 0\), frame 0: the video cannot be decod"):
        open_dataset(root).read(0)
    shutil.copy(folder / "episode_000001.mp4", folder / "episode_000000.mp4")
    with pytest.raises(
        ValueError, match=r"\(episode 0\), frame 3: the video has no picture at 0\.3"
    ):
        open_dataset(root).read(0)
    assert len(open_dataset(root).read(0, [0, 2])) == 2


def test_a_video_cut_in_the_middle(tmp_path):
    root = _sample(tmp_path, "v30_video")
    path = root / "videos/observation.images.front/chunk-000/file-000.mp4"
    # The index of the file and the first group of two pictures stay whole.
    path.write_bytes(path.read_bytes()[:1100])
    with pytest.raises(ValueError, match=r"file-000\.mp4 \(episode 0\), frame 2: the video cannot"):
        open_dataset(root).read(0)


def test_v30_video_places(tmp_path):
    root = _sample(tmp_path, "v30_video")
    name = "videos/observation.images.front/from_timestamp"
    _rewrite(root / V30_EPISODES, _with_column(name, lambda v: [v[0], 0.55]))
    with pytest.raises(ValueError, match=r"file-000\.mp4 \(episode 1\), frame 0: .* 0\.550 s"):
        open_dataset(root).read(1)
    _rewrite(root / V30_EPISODES, lambda table: table.drop_columns([name]))
    with pytest.raises(ValueError, match=r"row 0: where video 'observation\.images\.front' lies"):
        open_dataset(root)


# --- episode folders


def _states(path, **changes):
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    arrays |= changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def test_the_authors_own_folders(tmp_path):
    """The layout as they describe it: no actions, prompt or metadata, openpi's camera names."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (12, 8, 10, 3), np.uint8)
    folder = tmp_path / "close_jar" / "episode10"
    names = {"front": "front_rgb", "wrist": "images/wrist", "overhead": "overhead_image"}
    for name in names.values():
        (folder / name).mkdir(parents=True)
        for t, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / name / f"{t}.png")
    joints, gripper = rng.normal(size=(12, 7)), np.arange(12.0)
    np.savez(folder / "states.npz", joint_position=joints, gripper_position=gripper)
    (folder / "masks").mkdir()
    labels = rng.integers(0, 3, (12, 8, 10))
    np.save(folder / "masks" / "mask_front_rgb.npy", labels)
    shutil.copytree(folder, tmp_path / "close_jar" / "episode9")
    dataset = open_dataset(tmp_path, fps=20.0)
    assert [dataset.metadata(i)["episode"] for i in range(2)] == ["episode9", "episode10"]
    assert sorted(dataset.cameras) == sorted(names)
    episode = dataset.read(1)
    assert (episode.prompt, episode.fps, episode.metadata["task"]) == ("close jar", 20, "close_jar")
    for camera in names:
        # Frame 10 comes after frame 9, not after frame 1.
        np.testing.assert_array_equal(episode.images[camera], frames)
    np.testing.assert_array_equal(episode.regions["front"], labels)
    wanted = np.concatenate([joints, gripper[:, None]], axis=1).astype(np.float32)
    np.testing.assert_array_equal(episode.state, wanted)
    assert episode.action.shape == (12, 0)
    assert convert(dataset, tmp_path / "out", "v3.0") == 2
    assert open_dataset(tmp_path / "out").read(0).action.shape == (12, 0)


@pytest.mark.parametrize("episode", [-1, 3])
def test_an_index_out_of_range_says_what_the_range_is(folders, v30, episode):
    for root in (folders, v30):
        with pytest.raises(IndexError, match=rf"no episode {episode} of 3; they are 0 to 2$"):
            open_dataset(root).read(episode)
        with pytest.raises(IndexError, match=r"no frame 40 of \d+; they are 0 to \d+$"):
            open_dataset(root).read(0, [40])


def test_pickled_states_are_refused(folders):
    path = folders / "b" / "episode1" / "states.npz"
    _states(path, prompt=np.array({"a": 1}, dtype=object))
    with pytest.raises(
        ValueError, match=r"states\.npz \(episode 1\), array 'prompt': holds Python"
    ):
        open_dataset(folders)
    path = folders / "pick_the_milk" / "episode0" / "masks" / "mask_front_rgb.npy"
    np.save(path, np.array([None]), allow_pickle=True)
    shutil.rmtree(folders / "b")
    with pytest.raises(
        ValueError, match=r"mask_front_rgb\.npy \(episode 0\): holds Python objects"
    ):
        open_dataset(folders).read(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joint_position": None}, r"\['joint_position'\] missing"),
        ({"gripper_position": np.zeros((2, 1))}, "gripper_position has 2 frames, there are 3"),
        ({"action": np.zeros((4, 7), np.float32)}, "action has 4 frames, there are 3"),
        ({"joint_position": np.array(["a"] * 3)}, "joint_position is <U1, not numbers"),
    ],
)
def test_states_that_do_not_fit(folders, changes, message):
    _states(folders / "b" / "episode1" / "states.npz", **changes)
    with pytest.raises(ValueError, match=r"states\.npz \(episode 1\): " + message):
        open_dataset(folders)


def test_folders_with_damaged_frames(folders):
    wrist = folders / "b" / "episode1" / "wrist"
    (wrist / "000001.png").write_bytes(b"\x89PNG")
    with pytest.raises(
        ValueError, match=r"000001\.png \(episode 1\), frame 1: the image cannot be"
    ):
        open_dataset(folders).read(1)
    Image.new("RGB", (9, 9)).save(wrist / "000001.png")
    with pytest.raises(ValueError, match=r"\(episode 1\), frame 1: \[9, 9\] pixels, frame 0 has"):
        open_dataset(folders).read(1)
    (wrist / "000001.png").unlink()
    with pytest.raises(ValueError, match=r"b/episode1 \(episode 1\): frame 1 is missing before"):
        open_dataset(folders)
    (wrist / "000002.png").unlink()
    with pytest.raises(ValueError, match=r"\(episode 1\): the cameras differ in their frames: "):
        open_dataset(folders)
    shutil.rmtree(folders / "b" / "episode1" / "front")
    shutil.rmtree(wrist)
    with pytest.raises(ValueError, match=r"\(episode 1\): no folder of frames"):
        open_dataset(folders)


def test_folders_with_damaged_masks(folders):
    path = folders / "b" / "episode1" / "masks" / "mask_front_rgb.npy"
    labels = np.load(path)
    for spoilt, message in (
        (labels[:2], "masks of 2 frames, the episode has 3"),
        (labels[:, :4], r"masks of \[4, 10\] pixels, the frames have \[8, 10\]"),
        (labels.astype(float), r"float64 \[3, 8, 10\], labels \[T, h, w\] wanted"),
        (np.where(np.arange(3)[:, None, None] == 2, 5, labels), "frame 2: label 5, only 0"),
        (labels.astype(np.int64) + 256, "frame 0: label 255"),
    ):
        np.save(path, spoilt)
        with pytest.raises(ValueError, match=r"mask_front_rgb\.npy \(episode 1\).*" + message):
            open_dataset(folders).read(1)
    np.save(path, labels)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(ValueError, match=r"mask_front_rgb\.npy \(episode 1\): cannot be read"):
        open_dataset(folders).read(1)
    path.rename(path.with_name("mask_top_rgb.npy"))
    with pytest.raises(ValueError, match=r"mask_top_rgb\.npy is of no camera"):
        open_dataset(folders)


# --- masks beside a dataset


@pytest.mark.parametrize("version", ["v21", "v30"])
def test_masks_beside_take_the_place_of_those_inside(version, request, tmp_path):
    root = request.getfixturevalue(version)
    mine = {"front": np.full((3, 8, 10), 2, np.uint8), "wrist": np.ones((3, 6, 6), np.uint8)}
    path = write_regions(root / "regions", 1, mine)
    dataset = open_dataset(root)
    assert path in dataset.files(1) and path not in dataset.files(0)
    episode = dataset.read(1, [2])
    for camera, labels in mine.items():
        np.testing.assert_array_equal(episode.regions[camera], labels[[2]])
    assert dataset.read(1, regions=False).regions == {}
    np.testing.assert_array_equal(
        dataset.read(0).regions["front"], three_episodes()[0].regions["front"]
    )


def test_damaged_masks_beside(v21):
    folder = v21 / "regions"
    with pytest.raises(
        ValueError, match=r"episode 0\), camera 'front': int64 .* uint8 \[T, h, w\]"
    ):
        write_regions(folder, 0, {"front": np.zeros((5, 8, 10), np.int64)})
    assert not folder.exists()
    write_regions(folder, 0, {"front": np.zeros((4, 8, 10), np.uint8)})
    with pytest.raises(ValueError, match=r"npz \(episode 0\), camera 'front': masks of 4 frames"):
        open_dataset(v21).read(0)
    write_regions(folder, 0, {"front": np.zeros((5, 8, 9), np.uint8)})
    with pytest.raises(ValueError, match=r"regions\['front'\]: uint8 \[5, 8, 9\] given"):
        open_dataset(v21).read(0)
    path = regions_path(folder, 0)
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(ValueError, match=r"episode_000000\.npz \(episode 0\).*: cannot be read"):
        open_dataset(v21).read(0)
    np.savez(path, front=np.array([object()] * 5))
    with pytest.raises(ValueError, match=r"episode 0\), array 'front': holds Python objects"):
        open_dataset(v21).read(0)
