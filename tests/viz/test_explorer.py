"""The page's content against the arrays that it was made of, and its counts in a real browser."""

import base64
import dataclasses
import io
import json
import re
import shutil
import subprocess
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from iss_jax import nuisance_mass_ratio
from iss_jax.masks import upsample
from iss_jax.viz.explorer import Method, ShownEpisode, ShownPlayers, explorer_html, write_explorer

RNG = np.random.default_rng(0)
T, CAMERAS, SIDE = 3, ("front", "wrist"), 24


def episode(**changes):
    shape = (T, SIDE, SIDE)
    cells = RNG.normal(size=(T, 2, 4, 5)).astype(np.float32)
    valid = np.ones(shape, bool)
    valid[:, :3] = False
    given = {
        "title": "lift </script> the bowl",
        "times": np.arange(T) / 5,
        "images": {c: RNG.integers(0, 255, (*shape, 3), np.uint8) for c in CAMERAS},
        "valid": {"front": valid, "wrist": np.ones(shape, bool)},
        "methods": {"ISS": Method(cells, np.full_like(cells, np.nan), "error")},
        "computed": np.array([True, False, True]),
        "regions": {c: RNG.integers(0, 3, shape).astype(np.uint8) for c in CAMERAS},
        "players": ShownPlayers(
            {c: RNG.integers(-1, 2, shape) for c in CAMERAS},
            ("bowl", "plate"),
            np.array([[0.7, 0.3]] * T),
            np.full((T, 2), 0.05),
        ),
        "chance": np.full(T, 1 / 3),
        "success": False,
    }
    return ShownEpisode(**given | changes)


def content_of(page):
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def unpacked(packed):
    array = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), packed["type"])
    return array.reshape(packed["shape"])


def test_the_page_holds_the_arrays_and_loads_nothing():
    given = episode()
    page = explorer_html([given], title="a < b")
    assert "<title>a &lt; b</title>" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    (found,) = content_of(page)
    assert found["title"] == given.title and found["success"] is False
    np.testing.assert_array_equal(
        unpacked(found["methods"][0]["cells"]), given.methods["ISS"].cells
    )
    assert np.isnan(unpacked(found["methods"][0]["stderr"])).all()
    for camera in found["cameras"]:
        name = camera["name"]
        np.testing.assert_array_equal(unpacked(camera["valid"]), given.valid[name])
        np.testing.assert_array_equal(unpacked(camera["regions"]), given.regions[name])
        np.testing.assert_array_equal(unpacked(camera["players"]), given.players.labels[name])
        picture = Image.open(io.BytesIO(base64.b64decode(camera["frames"][1])))
        assert picture.size == (SIDE, SIDE)
    np.testing.assert_allclose(unpacked(found["players"]["share"]), given.players.share)
    assert found["random"] is None


def test_what_is_not_known_is_left_out():
    (found,) = content_of(
        explorer_html([episode(regions={}, players=None, chance=None)], title="t")
    )
    assert found["players"] is found["chance"] is found["cameras"][0]["regions"] is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"times": np.arange(2.0)}, "3 frames of front, 2 times"),
        ({"regions": {"front": np.zeros((T, 2, 2), np.uint8)}}, r"regions\['front'\] has shape"),
        ({"regions": {"top": np.zeros((T, SIDE, SIDE), np.uint8)}}, r"regions\['top'\]"),
        ({"methods": {}}, "no method"),
        (
            {"methods": {"a": Method(np.zeros((T, 1, 2, 2)), np.zeros((T, 1, 2, 2)), "")}},
            r"wanted \[3, 2, gh, gw\]",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(changes, said):
    with pytest.raises(ValueError, match=said):
        explorer_html([episode(**changes)], title="t")
    with pytest.raises(ValueError, match="one at least wanted"):
        explorer_html([], title="t")


@pytest.mark.slow
def test_three_hundred_frames_of_three_views_stay_small():
    """Natural frames: smooth ones with a little noise."""
    y, x = np.mgrid[:224, :224]
    frame = np.stack([(np.sin((x + i * y) / 40) + 1) * 110 for i in range(3)], -1)
    noisy = frame[None] + RNG.normal(size=(2, 224, 224, 3)) * 4
    shape = (300, 224, 224)
    images = np.broadcast_to(noisy.clip(0, 255).astype(np.uint8)[:1], (*shape, 3))
    cells = RNG.normal(size=(300, 3, 7, 7)).astype(np.float32)
    cameras = ("front", "overhead", "wrist")
    labels = np.broadcast_to((x // 60).astype(np.uint8) % 3, shape)
    page = explorer_html(
        [
            episode(
                times=np.arange(300.0),
                images=dict.fromkeys(cameras, images),
                valid=dict.fromkeys(cameras, np.ones(shape, bool)),
                methods={"ISS": Method(cells, cells, "error")},
                computed=np.ones(300, bool),
                regions=dict.fromkeys(cameras, labels),
                players=None,
                chance=None,
            )
        ],
        title="long",
    )
    assert len(page) < 8e6


def in_a_browser(page, tmp_path):
    flags = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync "
        "disable-background-networking disable-component-update virtual-time-budget=60000 dump-dom"
    )
    words = ["chromium", *(f"--{flag}" for flag in flags.split())]
    return subprocess.run(
        [*words, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout


def nmr_of(given, k=10):
    maps = {
        camera: upsample(jnp.asarray(given.methods["ISS"].cells[0, i]), (SIDE, SIDE))
        for i, camera in enumerate(given.images)
    }
    return float(
        nuisance_mass_ratio(
            maps,
            {camera: jnp.asarray(labels[0]) for camera, labels in given.regions.items()},
            k=k,
            valid={camera: jnp.asarray(inside[0]) for camera, inside in given.valid.items()},
        )
    )


def of_cells(cells, **changes):
    cells = np.broadcast_to(np.asarray(cells, np.float32), (T, 2, 2, 2))
    return episode(methods={"ISS": Method(cells, np.full_like(cells, np.nan), "error")}, **changes)


def unsorted():
    """One high cell in the second of two cameras; all the rest ties, in order of their names."""
    given = of_cells([[[0, 0], [0, 0]], [[0, 0], [0, 1]]], percent=25.0)
    parts = {
        name: {camera: getattr(given, name)[camera] for camera in ("wrist", "front")}
        for name in ("images", "valid", "regions")
    }
    labels = {
        "wrist": np.zeros((T, SIDE, SIDE), np.uint8),
        "front": np.ones((T, SIDE, SIDE), np.uint8),
    }
    return dataclasses.replace(given, **parts | {"regions": labels})


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "k", "said"),
    [
        (episode(), 10, None),
        (unsorted(), 25, None),
        (of_cells(np.zeros((2, 2, 2))), 10, "not known: the most salient pixels tie"),
        (of_cells(np.full((2, 2, 2), np.nan)), 10, "not known: a score is NaN"),
    ],
)
def test_the_page_counts_as_the_library_does(given, k, said, tmp_path):
    shown = in_a_browser(write_explorer(tmp_path / "explorer.html", [given], title="t"), tmp_path)
    wanted = nmr_of(given, k)
    assert np.isnan(wanted) == (said is not None)
    assert f"NMR@{k} {said or format(wanted, '.2f')}" in shown
    assert re.search(r"<td>bowl</td><td>70 ± 5 %</td>", shown)


def test_an_order_of_other_cameras_is_refused():
    with pytest.raises(ValueError, match=r"order names \['front'\], its cameras are"):
        explorer_html([episode(order=("front",))], title="t")
