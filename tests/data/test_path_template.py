"""Templates of others are filled within the dataset, and within reason."""

from pathlib import Path

import pytest
from episodes import three_episodes

from iss_jax.data.dataset import open_dataset
from iss_jax.data.json_file import read_object
from iss_jax.data.lerobot import write_episode
from iss_jax.data.path_template import filled

ROOT = Path("root")


def test_templates_of_lerobot():
    template = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    found = filled(ROOT, {"p": template}, "p", episode_chunk=1, episode_index=1234)
    assert found == ROOT / "data/chunk-001/episode_001234.parquet"
    found = filled(ROOT, {"p": "{video_key}/../{n}.mp4"}, "p", video_key="a.b", n=12)
    assert found == ROOT / "a.b/../12.mp4"


@pytest.mark.parametrize(
    "template",
    [
        *("../{n}.parquet", "a/../../{n}", "/etc/{n}", "{key}/{n}", "..", "", "a\0{n}"),
        *("{n:01000000000d}", "{n:>99999}", "{n.__class__}", "{n[0]}", "{n!r}", "{0}", "{", "{m}"),
        *("{n:{n}}", "a" * 256 + "{n}"),
        *(None, 3, ["{n}"]),
    ],
)
def test_what_leaves_the_dataset_or_cannot_be_filled(template):
    with pytest.raises(ValueError, match=r"root/meta/info\.json: p is "):
        filled(ROOT, {"p": template}, "p", n=3, key="../..")


def test_a_dataset_does_not_read_beside_itself(tmp_path):
    for folder in ("one", "two"):
        for episode in three_episodes():
            write_episode(tmp_path / folder, episode)
    path = tmp_path / "one/meta/info.json"
    template = read_object(path)["data_path"]
    path.write_text(path.read_text().replace(template, "../two/" + template))
    with pytest.raises(ValueError, match=r"data_path is '\.\./two/.* leads out of the dataset"):
        open_dataset(tmp_path / "one")
