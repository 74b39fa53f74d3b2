"""Cameras, states and axes as other people's datasets have them."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episodes import an_episode
from PIL import Image

from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import Keys, write_episode
from iss_jax.data.lerobot_columns import image_shape, number_names

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def root(tmp_path):
    write_episode(tmp_path / "data", an_episode())
    return tmp_path / "data"


def _encoded(pixels, kind):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return {"bytes": buffer.getvalue(), "path": None}


def _add(root, columns, features, drop=()):
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path).drop_columns(list(drop))
    for name, column in columns.items():
        table = table.append_column(name, column)
    pq.write_table(table, path)
    path = root / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"] |= features
    for name in drop:
        del info["features"][name]
    path.write_text(json.dumps(info))


DEPTH = np.full((12, 16), 700, np.uint16)
RGBA = np.full((12, 16, 4), 9, np.uint8)
MARKED = {"shape": [12, 16, 3], "info": {"is_depth_map": True}}
VIDEO_MARKED = {"shape": [12, 16, 3], "info": {"video.is_depth_map": True}}


@pytest.mark.parametrize(
    ("pixels", "kind", "entry"),
    [
        (DEPTH, "TIFF", {"shape": [12, 16, 1]}),
        (DEPTH, "PNG", {"shape": [1, 12, 16], "names": ["channel", "height", "width"]}),
        (DEPTH, "PNG", {"shape": [12, 16], "names": ["height", "width"]}),
        (RGBA[..., :3], "PNG", MARKED),
        (RGBA[..., :3], "PNG", VIDEO_MARKED),
        (RGBA, "PNG", {"shape": [12, 16, 4], "names": ["height", "width", "channel"]}),
        (RGBA, "PNG", {"shape": [4, 12, 16], "names": ["c", "h", "w"]}),
    ],
)
def test_a_camera_without_three_channels_is_no_hindrance(root, pixels, kind, entry, tmp_path):
    name = "observation.images.other"
    column = pa.array([_encoded(pixels, kind)] * 5, STRUCT)
    _add(root, {name: column}, {name: {"dtype": "image", "names": None, **entry}})
    dataset = open_dataset(root)
    assert dataset.cameras == ("front", "wrist") and dataset.unread == (name,)
    np.testing.assert_array_equal(dataset.read(0).images["front"], an_episode().images["front"])
    with pytest.raises(ValueError, match=rf"camera 'x' is to be the feature '{name}' of shape"):
        open_dataset(root, keys=Keys(cameras={"x": name}))
    with pytest.raises(ValueError, match=rf"\['{name}'\] are not read and would be lost"):
        convert(dataset, tmp_path / "out", "v3.0")
    assert convert(dataset, tmp_path / "out", "v3.0", drop_unread=True) == 1


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (("observation.state.arm", "observation.state.gripper"), None),
        (("joint_position", "gripper_position"), None),
        (("observation.joint_position", "observation.gripper_position"), None),
        (("arm", "hand"), Keys(state=["arm", "hand"])),
    ],
)
def test_a_state_in_parts(root, names, keys):
    state = an_episode().state
    parts = (state[:, :7], state[:, 7])
    columns = {
        names[0]: pa.FixedSizeListArray.from_arrays(pa.array(parts[0].ravel()), 7),
        names[1]: pa.array(parts[1]),
    }
    entries = {
        name: {"dtype": "float32", "shape": [size], "names": None}
        for name, size in zip(names, (7, 1), strict=True)
    }
    _add(root, columns, entries, drop=["observation.state"])
    dataset = open_dataset(root, keys=keys)
    assert dataset.state_size == 8
    np.testing.assert_array_equal(dataset.read(0, [3, 1]).state, state[[3, 1]])
    np.testing.assert_array_equal(dataset.read_state(0), state)
    # Under their own names, too, so that nothing is lost.
    np.testing.assert_array_equal(dataset.read(0).features[names[1]], parts[1])


def test_a_state_that_is_no_number_or_not_there(root):
    entry = {"dtype": "string", "shape": [1], "names": None}
    _add(root, {"words": pa.array(["a"] * 5)}, {"words": entry})
    with pytest.raises(
        ValueError, match=r"the state is to be the feature 'words' of dtype 'string'"
    ):
        open_dataset(root, keys=Keys(state="words"))
    with pytest.raises(KeyError, match=r"the state is to be the feature 'hand', the dataset has"):
        open_dataset(root, keys=Keys(state=("words_", "hand")[1:]))


@pytest.mark.parametrize(
    ("shape", "names", "wanted"),
    [
        ([3, 48, 64], ["channels", "height", "width"], (48, 64, 3)),
        ([3, 48, 64], ["channel", "height", "width"], (48, 64, 3)),
        ([3, 48, 64], ["c", "h", "w"], (48, 64, 3)),
        ([3, 48, 64], ["C", "H", "W"], (48, 64, 3)),
        ([3, 48, 64], ["rgb", "height", "width"], (48, 64, 3)),
        ([3, 48, 64], None, (48, 64, 3)),
        ([3, 48, 64], {"axes": ["channel", "height", "width"]}, (48, 64, 3)),
        ([3, 48, 64], ["height", "width", "channel"], (48, 64, 3)),
        ([48, 64, 3], ["channel", "height", "width"], (48, 64, 3)),
        ([48, 64, 3], ["height", "width", "rgb"], (48, 64, 3)),
        ([48, 64, 3], None, (48, 64, 3)),
        ([48, 64, 3], [], (48, 64, 3)),
        ([3, 4, 3], ["c", "h", "w"], (4, 3, 3)),
        ([3, 4, 3], None, (3, 4, 3)),
        ([48, 64], ["height", "width"], (48, 64)),
    ],
)
def test_axes_as_they_are_named(shape, names, wanted):
    assert image_shape({"shape": shape, "names": names}) == wanted


def _named(root, **names):
    path = root / "meta/info.json"
    info = json.loads(path.read_text())
    for name, own in names.items():
        info["features"][name.replace("__", ".")]["names"] = own
    path.write_text(json.dumps(info))


def test_numbers_of_a_state_have_the_datasets_names(root):
    assert open_dataset(root).state_names == ()
    size = open_dataset(root).state_size
    names = [f"q{number}" for number in range(size)]
    _named(root, observation__state={"motors": names})
    assert open_dataset(root).state_names == tuple(names)
    _named(root, observation__state=["state"])
    assert open_dataset(root).state_names == ()


def test_a_part_without_names_counts_its_numbers(root):
    keys = Keys(state=["observation.state", "action"])
    names = open_dataset(root, keys=keys).state_names
    assert names[0] == "state_0" and names[-1].startswith("action_")
    assert number_names({"a": ["x"], "b": ["y"]}) == ()
