import dataclasses

import numpy as np
import pytest

from iss_jax.explain import pages
from iss_jax.viz.explorer import Method, ShownEpisode


def episode(frames):
    cells = np.zeros((frames, 1, 2, 2))
    shape = (frames, 4, 4)
    return ShownEpisode(
        title=f"{frames} frames",
        times=np.arange(float(frames)),
        images={"front": np.zeros((*shape, 3), np.uint8)},
        valid={"front": np.ones(shape, bool)},
        methods={"ISS": Method(cells, cells, "error")},
        computed=np.ones(frames, bool),
    )


@dataclasses.dataclass
class Run:
    path: object


@pytest.mark.parametrize(
    ("lengths", "wanted"),
    [([3, 3], [[3, 3]]), ([6, 5, 5], [[6], [5, 5]]), ([11, 1], [[11], [1]]), ([], [])],
)
def test_long_runs_have_several_pages_and_lose_no_episode(lengths, wanted, monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "MOST_FRAMES", 10)
    found = pages.split([episode(length) for length in lengths])
    assert [[len(one.times) for one in page] for page in found] == wanted
    names = pages.write_pages(Run(tmp_path), [episode(n) for n in lengths], title="t")
    assert names == ["explorer.html", "explorer_2.html"][: len(wanted)]
    for name, page in zip(names, wanted, strict=True):
        text = (tmp_path / name).read_text()
        assert all(f'"{length} frames"' in text for length in page)
