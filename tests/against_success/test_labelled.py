"""NMR without labels is refused, and the ways to labels are named."""

import dataclasses

import pytest

from iss_jax import embedded
from iss_jax.against_success.labelled import check_labelled
from iss_jax.data.dataset import open_dataset
from iss_jax.policies.frames import FrameOptions


@pytest.fixture(scope="module")
def episode():
    return open_dataset(embedded.episodes_path()).read(0, [0])


@dataclasses.dataclass
class Dataset:
    episode: object
    root: str = "mine"

    def read(self, index, frames):
        return self.episode


def test_labelled_episodes_pass(episode):
    check_labelled(Dataset(episode), 0, FrameOptions())


@pytest.mark.parametrize("named", [True, False])
def test_three_ways_are_named(episode, named):
    gone = {} if named else {"instances": {}, "instance_names": {}}
    bare = dataclasses.replace(episode, regions={"front": episode.regions["front"]}, **gone)
    with pytest.raises(ValueError, match="mine, episode 3: no region labels") as error:
        check_labelled(Dataset(bare), 3, FrameOptions())
    said = str(error.value)
    assert "['wrist', 'overhead']" in said
    for way in ("--instances --nuisance", "--boxes boxes.json", "--label_images <folder>"):
        assert f"iss-jax regions --dataset mine {way}" in said
    assert "iss-jax explain" in said and ("this dataset has them" in said) == named
