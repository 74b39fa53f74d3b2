"""Metadata of one's own are added in place, whatever the format, and nothing else changes."""

import pytest
from episodes import three_episodes

from iss_jax.data.add_metadata import add_metadata, read_metadata_table
from iss_jax.data.beside_metadata import FILE
from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode


def _dataset(root, to):
    for episode in three_episodes():
        write_episode(root / "v2.1", episode)
    if to != "v2.1":
        convert(open_dataset(root / "v2.1"), root / to, to)
    return root / to


@pytest.mark.parametrize("to", ["v2.1", "v3.0", "folders"])
def test_all_readers_see_them_and_no_other_file_is_touched(to, tmp_path):
    root = _dataset(tmp_path, to)
    dataset = open_dataset(root)
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    old = [dataset.metadata(i) for i in range(3)]
    add_metadata(dataset, {0: {"suite": "kitchen"}, 2: {"suite": "kitchen", "seed": 7}})
    add_metadata(dataset, {2: {"split": "far"}})
    new = open_dataset(root)
    assert new.metadata(0) == old[0] | {"suite": "kitchen"}
    assert new.metadata(1) == old[1]
    assert new.metadata(2) == old[2] | {"suite": "kitchen", "seed": 7, "split": "far"}
    assert new.read(2).metadata == dataset.read(2).metadata | {
        "suite": "kitchen",
        "seed": 7,
        "split": "far",
    }
    after = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert after.pop(root / FILE) and after == before
    # A copy in another format has them inside.
    convert(new, tmp_path / "copy", "v2.1")
    assert open_dataset(tmp_path / "copy").metadata(2)["split"] == "far"


def test_what_cannot_be_metadata_is_named(tmp_path):
    dataset = open_dataset(_dataset(tmp_path, "v2.1"))
    with pytest.raises(ValueError, match=r"episodes \[3\] given, there are 3"):
        add_metadata(dataset, {3: {"suite": "a"}})
    with pytest.raises(ValueError, match=r"episode '0': the names \['length'\] are the format's"):
        add_metadata(dataset, {0: {"length": 4}})
    with pytest.raises(ValueError, match=r"suite is \['a'\], a text or number wanted"):
        add_metadata(dataset, {0: {"suite": ["a"]}})
    assert not (dataset.root / FILE).exists()
    (dataset.root / FILE).write_text('{"0": 5}')
    with pytest.raises(ValueError, match=r"metadata.json, episode '0': 5 given, an object wanted"):
        open_dataset(dataset.root)


def test_a_table_of_episodes(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("episode,suite,seed,task\n0,kitchen,3,\n2,,,007\n")
    assert read_metadata_table(path) == {0: {"suite": "kitchen", "seed": 3}, 2: {"task": "007"}}
    path.write_text("episode,success\n0,False\n1,yes\n2,0\n3,\n")
    assert read_metadata_table(path) == {
        0: {"success": False},
        1: {"success": True},
        2: {"success": False},
        3: {},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("suite\na\n", r"columns \['suite'\] found, 'episode' and some of"),
        ("episode\n1\n", r"columns \['episode'\] found"),
        ("episode,length\n1,2\n", r"\['length'\] are the formats' own"),
        ("episode,seed\n1,x\n", "line 2: whole numbers wanted"),
        ("episode,suite\nx,a\n", "line 2: whole numbers wanted"),
        ("episode,success\n1,half\n", "mine.csv, line 2: success is 'half', one of true, false"),
        ("episode,suite\n1,a\n1,b\n", "line 3: a second line of episode 1"),
    ],
)
def test_damaged_tables_are_named(text, said, tmp_path):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_metadata_table(tmp_path / "mine.csv")
