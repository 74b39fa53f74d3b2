"""Lines that were cut, lines without their newline, and what an append makes of both."""

import pytest

from iss_jax.data.jsonl import append_line, drop_last_line, last_line, read_lines

LINES = b'{"a": 0}\n{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (LINES, [0, 1, 2]),
        (LINES[:-1], [0, 1, 2]),  # an editor, or a copy by hand
        (LINES[:-2], [0, 1]),
        (LINES[:-3], [0, 1]),
        (LINES[:10], [0]),
        (LINES + b"\n \n", [0, 1, 2]),
        (LINES.replace(b"\n", b"\r\n"), [0, 1, 2]),
        (LINES[:5], []),
        (b"\n", []),
        (b"", []),
    ],
)
def test_a_whole_line_counts_and_a_cut_one_does_not(content, wanted, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(content)
    assert [line["a"] for line in read_lines(path)] == wanted
    assert last_line(path) == ({"a": wanted[-1]} if wanted else None)
    assert [line["a"] for line in read_lines(path)] == wanted
    append_line(path, {"a": 9})
    assert [line["a"] for line in read_lines(path)] == [*wanted, 9]
    drop_last_line(path)
    assert [line["a"] for line in read_lines(path)] == wanted


def test_lines_longer_than_a_block_of_the_file(tmp_path):
    path = tmp_path / "lines.jsonl"
    for letter in "ab":
        append_line(path, {"text": letter * 100_000})
    path.write_bytes(path.read_bytes()[:-1])
    assert last_line(path) == {"text": "b" * 100_000}
    assert path.read_bytes().endswith(b'"}\n')
    path.write_bytes(path.read_bytes()[:-7])
    assert last_line(path) == {"text": "a" * 100_000}
    assert len(read_lines(path)) == 1


@pytest.mark.parametrize(
    "line", [b"[1]", b"{half", b"[" * 100_000, b"\xff{}", b'{"a": ' + b"9" * 5000]
)
def test_a_line_that_is_no_object_is_named(line, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"{}\n" + line + b"\n{}\n")
    with pytest.raises(ValueError, match=r"lines\.jsonl, line 2: "):
        read_lines(path)
