"""Where the planted panel is seen: on the floor that nothing stands before."""

import numpy as np
import pytest
from command_line import smoke

from experiments.making.panel_masks import read_masks, unpacked
from iss_jax import Region
from iss_jax.data.dataset import open_dataset


@pytest.mark.libero
def test_the_panel_is_seen_where_neither_robot_nor_objects_are(tmp_path):
    assert "21 frames" in smoke("locate_panels", tmp_path)
    dataset = open_dataset(tmp_path / "expert")
    packed, first = read_masks(dataset), 0
    for index in range(len(dataset)):
        episode = dataset.read(index)
        rows = slice(first, first + len(episode))
        masks = {camera: unpacked(m[rows], (32, 32)) for camera, m in packed.items()}
        assert (masks["front"].any((1, 2)) & masks["overhead"].any((1, 2))).all()
        # A tenth of the view from above; the hand's camera looks elsewhere.
        assert 0.05 < masks["overhead"].mean() < 0.15 and masks["wrist"].mean() < 0.01
        for camera, mask in masks.items():
            assert set(np.unique(episode.regions[camera][mask])) <= {Region.NUISANCE}
        first += len(episode)
