"""Where objects are in recorded frames: on the pixels that the simulator labelled as theirs."""

import numpy as np
import pytest
from command_line import smoke

from experiments.making.object_pixels import CAMERAS, FILE
from iss_jax import Region
from iss_jax.data.dataset import open_dataset


@pytest.mark.libero
def test_what_is_wanted_is_where_the_support_is(tmp_path):
    assert "21 frames, 7 kinds of objects" in smoke("locate_objects", tmp_path)
    dataset = open_dataset(tmp_path / "expert")
    with np.load(dataset.root / FILE, allow_pickle=False) as file:
        names, pixels, wanted = file["names"].tolist(), file["pixels"], file["wanted"]
    assert pixels.shape == (21, len(CAMERAS), len(names), 2) and len(wanted) == 21
    first = 0
    for index in range(len(dataset)):
        episode = dataset.read(index)
        own = set(wanted[first : first + len(episode)].tolist())
        (kind,) = (names[i] for i in own)
        assert f"the {kind.replace('_', ' ')} " in episode.prompt
        # Before anything has moved, seen from where little is hidden.
        for camera in ("front", "overhead"):
            labels = episode.regions[camera][0]
            at = (pixels[first, CAMERAS.index(camera)] * labels.shape[0]).astype(int)
            for name, (column, row) in zip(names, at, strict=True):
                support = name in (kind, "basket")
                expected = Region.SUPPORT if support else Region.NUISANCE
                assert labels[row, column] in (expected, Region.ACTION), (camera, name)
        first += len(episode)
