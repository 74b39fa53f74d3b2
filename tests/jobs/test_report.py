"""The page holds what the run directory holds, and nothing that must be fetched."""

import base64
import json
import re
from html.parser import HTMLParser

import pytest

from iss_jax.jobs import report
from iss_jax.jobs.answer import Answer, write_answer
from iss_jax.jobs.report import write_report

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)


class Page(HTMLParser):
    """Sources, table cells and captions of a page, whose tags must close."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.cells, self.captions, self.open = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["td"]:
            self.cells.append(data)
        if self.open[-1:] == ["figcaption"]:
            self.captions.append(data)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "items").mkdir()
    (tmp_path / "episode_2").mkdir()
    (tmp_path / "episode_10").mkdir()
    (tmp_path / "config.json").write_text(json.dumps({"name": "a <run>", "seeds": [1, 2]}))
    (tmp_path / "environment.json").write_text(
        json.dumps({"packages": {"jax": "0.10.2"}, "backend": "cpu", "devices": ["cpu"]})
    )
    (tmp_path / "results.csv").write_text('task,r\n"pick, place & <go>",0.123456789\n')
    (tmp_path / "results.json").write_text('{"r": 0.5}')
    (tmp_path / "figures" / "b.png").write_bytes(PIXEL)
    (tmp_path / "episode_10" / "a.png").write_bytes(PIXEL)
    (tmp_path / "episode_2" / "episode.mp4").write_bytes(b"video")
    (tmp_path / "items" / "c.png").write_bytes(PIXEL)
    (tmp_path / "figures" / ".d.tmp.png").write_bytes(PIXEL)
    return tmp_path


def test_everything_is_in_the_page(folder):
    text = write_report(folder).read_text()
    page = Page(text)
    film = "The episode, its maps and its curves. (episode_2/episode.mp4)"
    assert page.captions == ["figures/b.png", film, "episode_10/a.png"]
    kinds = ["image/png", "video/mp4", "image/png"]
    contents = [PIXEL, b"video", PIXEL]
    for source, kind, content in zip(page.sources, kinds, contents, strict=True):
        head, data = source.split(",")
        assert head == f"data:{kind};base64" and base64.b64decode(data) == content
    assert page.cells == ["pick, place & <go>", "0.1235"]
    assert "<title>a &lt;run&gt;</title>" in text and "jax 0.10.2 · cpu" in text
    assert not re.search(r"https?://", text)


def test_long_tables_and_large_figures_say_what_is_left_out(folder, monkeypatch):
    monkeypatch.setattr(report, "MOST_ROWS", 2)
    monkeypatch.setattr(report, "MOST_BYTES", 10)
    (folder / "results.csv").write_text("r\n" + "1\n" * 5)
    (folder / "results.json").write_text(json.dumps({"r": [1, 2, 3, 4, 5]}))
    text = write_report(folder, title="other").read_text()
    page = Page(text)
    assert page.cells == ["1", "1"] and "3 more rows in the file" in text
    assert "and 3 more" in text
    assert len(page.sources) == 1 and "figures/b.png: 0.0 MB, not taken into this page" in text
    assert "<h1>other</h1>" in text


def test_an_empty_directory_has_a_page_and_a_missing_one_has_not(tmp_path):
    assert f"<h1>{tmp_path.name}</h1>" in write_report(tmp_path).read_text()
    with pytest.raises(FileNotFoundError, match="no run directory"):
        write_report(tmp_path / "missing")


@pytest.mark.parametrize("name", ["config.json", "results.json", "results.csv"])
def test_an_unreadable_file_is_named_and_the_old_page_stays(folder, name):
    page = write_report(folder)
    before = page.read_bytes()
    (folder / name).write_bytes(b"\xff{")
    with pytest.raises(ValueError, match=f"{name}: cannot be read"):
        write_report(folder)
    assert page.read_bytes() == before


def test_what_a_link_points_to_stays_out(folder, tmp_path_factory):
    """A page can be mailed: it holds what lies in the run directory, and nothing else."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "secret.png").write_bytes(PIXEL + b"secret")
    (elsewhere / "secret.csv").write_text("a\nsecret\n")
    (elsewhere / "secret.json").write_text('{"r": "secret"}')
    before = write_report(folder).read_text()
    (folder / "figures" / "a.png").symlink_to(elsewhere / "secret.png")
    (folder / "more").symlink_to(elsewhere, target_is_directory=True)
    (folder / "a.csv").symlink_to(elsewhere / "secret.csv")
    assert write_report(folder).read_text() == before
    for name in ("results.json", "config.json", "environment.json"):
        (folder / name).unlink()
        (folder / name).symlink_to(elsewhere / "secret.json")
    assert "secret" not in write_report(folder, title="run").read_text()
    # The run directory itself may be reached by a link.
    link = tmp_path_factory.mktemp("links") / "run"
    link.symlink_to(folder, target_is_directory=True)
    assert Page(write_report(link, title="run").read_text()).captions[0] == "figures/b.png"


def test_other_pages_of_the_run_are_linked(tmp_path):
    (tmp_path / "explorer.html").write_text("<html></html>")
    (tmp_path / "episode_0").mkdir()
    (tmp_path / "episode_0" / "inner.html").write_text("<html></html>")
    write_report(tmp_path)
    assert Page(write_report(tmp_path).read_text()).sources == ["explorer.html"]


def test_episodes_of_an_earlier_run_are_left_out(folder):
    assert report.folders_of_others(folder) == []
    (folder / "results.json").write_text('{"folders": ["episode_2"]}')
    assert report.folders_of_others(folder) == ["episode_10"]
    page = Page(write_report(folder).read_text())
    assert [caption for caption in page.captions if "episode_2/episode.mp4" in caption]
    assert not [caption for caption in page.captions if "episode_10" in caption]


def test_the_page_answers_first(folder):
    """Question, answer, the table beside the figure, all before what is folded away."""
    write_answer(
        folder,
        Answer(
            "Is it <found>?",
            "Yes & no.",
            [{"policy": "taught", "share": "86 ± 3 %"}, {"policy": "control", "share": None}],
            figure="a.png",
            captions={"a.png": "The panel is marked."},
        ),
    )
    text = write_report(folder).read_text()
    page = Page(text)
    assert "<h1>Is it &lt;found&gt;?</h1>" in text
    assert page.captions[0] == "The panel is marked. (episode_10/a.png)"
    assert len(page.captions) == 3
    assert page.cells[:4] == ["taught", "86 ± 3 %", "control", "not known"]
    order = ["Yes &amp; no.", "The panel is marked.", "86 ± 3 %", "figures/b.png", "<details>"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "<h1>given</h1>" in write_report(folder, title="given").read_text()


def test_raw_rows_options_and_environment_are_folded_away(folder):
    text = write_report(folder).read_text()
    assert re.findall("<summary>(.*?)</summary>", text) == [
        *("results.csv, 1 row", "results.json", "Configuration", "Environment")
    ]
    # Nothing of them stands outside.
    assert "pick, place" not in re.sub("<details>.*?</details>", "", text)


@pytest.mark.parametrize("content", ["[1]", '{"asked": "?"}', '{"question": " "}'])
def test_an_answer_that_is_none_is_named(folder, content):
    (folder / "answer.json").write_text(content)
    with pytest.raises(ValueError, match=r"answer\.json: cannot be read"):
        write_report(folder)
