import json
import re

import numpy as np
import pytest

from iss_jax.viz.gallery import ShownPoint, gallery_html, write_gallery


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
