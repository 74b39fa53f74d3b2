import json
import re

import numpy as np
import pytest

from iss_jax.viz.gallery import ShownPoint, gallery_html, write_gallery
from tests.viz.browser import found_in


def point(name="a </script> row", **changes):
    given = {
        "group": "suite",
        "measures": {"NMR by effect": 0.25, "chance": float("nan")},
        "y": 0.5,
        "said": "2 of 4 trials.",
        "frames": [{"front": np.full((8, 8, 3), 9, np.uint8)}],
    }
    return ShownPoint(name=name, **given | changes)


def test_the_page_holds_its_rows_and_loads_nothing(tmp_path):
    path = write_gallery(
        tmp_path / "gallery.html", [point(), point("b")], title="a < b", ylabel="success"
    )
    page = path.read_text()
    assert "<title>a &lt; b</title>" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.S)
    assert found
    content = json.loads(found[1])
    assert content["measures"] == ["NMR by effect", "chance"]
    assert content["points"][0]["name"] == "a </script> row"
    assert content["points"][0]["values"] == [0.25, None]
    assert list(content["points"][1]["frames"][0]) == ["front"]


def test_what_cannot_be_shown_is_named():
    with pytest.raises(ValueError, match="one at least wanted"):
        gallery_html([], title="t", ylabel="y")
    other = point("b", measures={"chance": 0.1})
    with pytest.raises(ValueError, match=r"b: measures \['chance'\] given"):
        gallery_html([point(), other], title="t", ylabel="y")
    with pytest.raises(ValueError, match="a </script> row: y is nan"):
        gallery_html([point(y=float("nan"))], title="t", ylabel="y")


CLICKS = """
const marks = document.querySelectorAll("#scatter .mark");
found.push(marks.length);
marks[1].dispatchEvent(new MouseEvent("click", { bubbles: true }));
await until(() => $("chosen").textContent.includes("second"));
found.push($("chosen").querySelectorAll("img").length, $("row").selectedIndex);
choose("row", 0, "input");
await until(() => $("chosen").textContent.includes("2 of 4 trials"));
found.push($("chosen").querySelector("h2").textContent);
found.push(document.documentElement.scrollWidth <= window.innerWidth);
"""


@pytest.mark.browser
def test_values_that_are_all_zero_have_an_axis_that_can_be_read(tmp_path):
    page = gallery_html([point(y=0.0), point("b", y=0.0)], title="t", ylabel="success")
    ticks = """
    const texts = [...document.querySelectorAll("#scatter text")].map((one) => one.textContent);
    found.push(texts);
    """
    (texts,) = found_in(page, ticks, tmp_path)
    assert "0" in texts and not [one for one in texts if "e-" in one]


@pytest.mark.browser
def test_a_click_on_a_mark_shows_its_frames(tmp_path):
    second = point("second", y=0.75, said="3 of 4 trials.", measures={"NMR by effect": 0.1})
    first = point("first", measures={"NMR by effect": 0.25})
    page = gallery_html([first, second], title="t", ylabel="success")
    marks, pictures, row, name, fits = found_in(page, CLICKS, tmp_path, width=390)
    assert (marks, pictures, row, name, fits) == (2, 1, 1, "first", True)
