"""The page's content against the arrays that it was made of, and its counts in a real browser."""

import base64
import dataclasses
import io
import json
import re
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from iss_jax import nuisance_mass_ratio
from iss_jax.masks import upsample
from iss_jax.viz.explorer import Method, ShownEpisode, ShownPlayers, explorer_html
from tests.viz.browser import found_in

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
        "random": {10: RNG.uniform(0.2, 0.5, (T, 4))},
        "success": False,
    }
    return ShownEpisode(**given | changes)


FIRST = episode()


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
    (band,) = found["random"]
    assert (band["percent"], band["draws"]) == (10, 4)
    np.testing.assert_allclose(unpacked(band["low"]), given.random[10].min(1), rtol=1e-6)
    np.testing.assert_allclose(unpacked(band["high"]), given.random[10].max(1), rtol=1e-6)


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
        ({"methods": {}, "players": None}, "no method given, one at least or players wanted"),
        ({"random": {5.0: np.zeros((2, 4))}}, r"random\[5\] has shape \[2, 4\], wanted \[3, draws"),
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
                random={},
            )
        ],
        title="long",
    )
    # And it holds the frames.
    assert 4e6 < len(page) < 8e6


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


CASES = (
    (episode(), 10, None),
    (unsorted(), 25, None),
    (of_cells(np.zeros((2, 2, 2))), 10, "not known: the most salient pixels tie"),
    (of_cells(np.full((2, 2, 2), np.nan)), 10, "not known: a score is NaN"),
)

WALK = """
for (let i = 0; i < content.length; i++) {
  choose("episode", i);
  await until(() => state.episode === i && shown && shown.title === content[i].title);
  await until(() => $("nmr").textContent.startsWith(`NMR@${shown.percent}`));
  found.push([$("nmr").textContent, $("players").tBodies[0].rows[0].textContent]);
  $("nmr").textContent = "";
}
"""


@pytest.mark.browser
def test_the_page_counts_as_the_library_does(tmp_path):
    episodes = [dataclasses.replace(c[0], title=f"case {i}") for i, c in enumerate(CASES)]
    page = explorer_html(episodes, title="t")
    for (given, k, said), (nmr, player) in zip(CASES, found_in(page, WALK, tmp_path), strict=True):
        wanted = nmr_of(given, k)
        assert np.isnan(wanted) == (said is not None)
        assert nmr.startswith(f"NMR@{k} {said or format(wanted, '.2f')}")
        assert player.startswith("1bowl70 ± 5 %")


CLICKS = """
found.push($("told").textContent, $("episode").options[0].textContent);
press(document.body, "ArrowRight");
await until(() => $("frame-told").textContent.startsWith("frame 1 "));
found.push($("frame-told").textContent);
await until(() => $("curve").querySelector(".nmr"));
found.push(["chance", "band", "nmr"].map((name) => $("curve").querySelectorAll("." + name).length));
found.push($("shares-legend").textContent);
choose("k", 5);
await until(() => $("nmr").textContent.startsWith("NMR@5 "));
found.push($("curve").querySelectorAll(".band").length);
found.push($("legend").textContent.includes("k = 10 only"));
press($("view-0"), "ArrowDown");
await until(() => $("hover").textContent.includes("front, row"));
found.push($("hover").textContent);
const box = $("players").querySelector("input");
box.click();
await until(() => !$("shares-legend").textContent.includes("bowl"));
choose("layer", "players", "input");
choose("episode", 1);
await until(() => $("told").textContent.startsWith("players alone"));
await until(() => $("players").tBodies[0].rows.length === 2 && $("time").hidden);
found.push(["method-box", "k-box", "nmr-box"].map((id) => $(id).hidden), $("layer").value);
found.push(document.documentElement.scrollWidth <= window.innerWidth, window.innerWidth);
"""


@pytest.mark.browser
def test_a_walk_by_keyboard_and_clicks_on_a_phone(tmp_path):
    alone = episode(
        title="players alone",
        methods={},
        regions={},
        chance=None,
        random={},
        success=None,
        times=np.zeros(1),
        computed=np.ones(1, bool),
        **{
            name: {camera: array[:1] for camera, array in getattr(FIRST, name).items()}
            for name in ("images", "valid")
        },
        players=ShownPlayers(
            {c: labels[:1] for c, labels in FIRST.players.labels.items()},
            ("bowl", "plate"),
            np.array([[0.7, 0.3]]),
            np.full((1, 2), np.inf),
        ),
    )
    page = explorer_html([FIRST, alone], title="t")
    told, option, frame, drawn, shares, bands, only, hover, hidden, layer, fits, width = found_in(
        page, CLICKS, tmp_path, width=390
    )
    assert told == "lift </script> the bowl, 3 frames. ✗ failure"
    assert option == "✗ lift </script> the bowl"
    assert frame == "frame 1 (2 of 3), 0.2 s, interpolated"
    assert drawn == [1, 1, 1] and shares == "1 bowl2 plate± a standard error"
    # Random maps were not counted at k = 5.
    assert bands == 0 and only is True
    assert re.match(r"front, row 13, column 12: \S+ \(error\); (nuisance|support|action)", hover)
    assert hidden == [True, True, True] and layer == "players"
    assert fits is True and width == 390


POINTED = """
const hint = $("hover").textContent;
const box = $("view-0").getBoundingClientRect();
const place = { clientX: box.left + box.width / 3, clientY: box.top + box.height / 3 };
const at = () => { $("view-0").dispatchEvent(new PointerEvent("pointermove", place)); };
at();
const first = $("hover").textContent;
press(document.body, "ArrowRight");
await until(() => $("frame-told").textContent.startsWith("frame 1 "));
const stayed = $("hover").textContent;
at();
found.push(first !== stayed, stayed === $("hover").textContent, stayed.startsWith("front, row "));
choose("episode", 1);
await until(() => $("told").textContent.startsWith("another"));
found.push($("hover").textContent === hint);
"""


@pytest.mark.browser
def test_a_pixel_that_is_pointed_at_is_read_anew_in_every_frame_and_no_other_episode(tmp_path):
    cells = np.arange(T * 8, dtype=np.float32).reshape(T, 2, 2, 2)
    moving = episode(methods={"ISS": Method(cells, np.full_like(cells, np.nan), "error")})
    page = explorer_html([moving, dataclasses.replace(moving, title="another")], title="t")
    assert found_in(page, POINTED, tmp_path) == [True, True, True, True]


def test_an_order_of_other_cameras_is_refused():
    with pytest.raises(ValueError, match=r"order names \['front'\], its cameras are"):
        explorer_html([episode(order=("front",))], title="t")
