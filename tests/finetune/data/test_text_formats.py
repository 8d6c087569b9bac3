"""Markdown, subtitles and fortune files become the text that their readers see; other texts may be called anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import SettingError
from finetune.data.input_files import find_files
from finetune.data.markdown_text import markdown_text
from tests.finetune.data.reading import read, written

LONG = "This line is as long as the lines of a page whose width was set by hand are."


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("# Ducks\n\nThey *quack* and **swim**.\n\nThe end.\n", "Ducks\n\nThey quack and swim.\n\nThe end."),
        ("---\ntitle: \"Ducks\"\ndate: 2020-01-01\n---\nThey quack.\n", "Ducks\n\nThey quack."),
        ("---\ntitle: Ducks\n---\n# A heading\n\nText.\n", "A heading\n\nText."),
        ("+++\ntitle = 'Ducks'\n+++\nThey quack.\n", "Ducks\n\nThey quack."),
        ("---\n\nA rule, and no front matter.\n\n---\n", "* * *\n\nA rule, and no front matter.\n\n* * *"),
        ("See [the pond](http://x.org/a_b \"t\") and ![a duck](duck.png).", "See the pond and ."),
        ("- one\n- two\n  - inner\n\nAfter.", "- one\n- two\n  - inner\n\nAfter."),
        ("1. one\n2. two\n", "1. one\n2. two"),
        ("> Quoted\n> text.\n", "Quoted\ntext."),
        ("Code `a_b`:\n\n```python\nx = 1\n\ny = 2\n```\n", "Code a_b:\n\nx = 1\n\ny = 2"),
        ("| a | b |\n|---|---|\n| 1 | **2** |\n\nText", "a | b\n1 | 2\n\nText"),
        ("<div>\n\nText with <b>HTML</b> &amp; an entity&hellip;\n\n</div>", "Text with HTML & an entity…"),
        ("A poem\nof lines.  \nIn three.", "A poem\nof lines.\nIn three."),
        (f"{LONG}\n{LONG}\nEnd.", f"{LONG} {LONG} End."),
        ("[[Pond|the pond]], [[Duck]], ![[duck.png]] and %%a comment%%a note[^1].", "the pond, Duck,  and a note."),
        ("<!-- a\n\ncomment -->\nText~~not~~.", "Textnot."),
        ("<p align='center'>\n<img src='a.png'/>Hello <b>you</b></p>\n\nText", "Hello you\n\nText"),
        ("", ""),
    ],
)  # fmt: skip
def test_markdown_is_read_as_it_is_shown(source: str, text: str) -> None:
    assert markdown_text(source) == text


def test_a_page_of_markdown_is_one_document(tmp_path: Path) -> None:
    for name in ("a.md", "b.MARKDOWN"):
        assert read(written(tmp_path / name, "# One\r\n\r\nTwo *three*.\r\n")) == ["One\n\nTwo three."]


SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Why did the duck</i>
cross the road?

2
00:00:03,000 --> 00:00:04,000 X1:100 X2:200
- It had a bill
to pay.
- {\\an8}Oh &amp; really?

3
00:01:00,000 --> 00:01:02,000
A sentence that

4
00:01:02,100 --> 00:01:04,000
goes on.
"""
SRT_TEXT = "Why did the duck cross the road?\n- It had a bill to pay.\n- Oh & really?\n\nA sentence that goes on."
VTT = """WEBVTT - Ducks
Kind: captions

NOTE
nobody reads this

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start position:0%
<v Anna>Why did<00:00:01.500><c> the duck</c>

00:02.000 --> 00:03.000
Why did the duck
cross the road?

01:00:03.000 --> 01:00:04.000
It had a bill.
"""


@pytest.mark.parametrize("name", ["a.srt", "a.txt", "a"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_subtitles_are_the_text_that_is_said(name: str, line_end: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, "\ufeff" + SRT.replace("\n", line_end))
    assert read(path) == [SRT_TEXT]


@pytest.mark.parametrize("name", ["a.vtt", "a.txt", "a"])
def test_captions_that_roll_are_taken_once(name: str, tmp_path: Path) -> None:
    assert read(written(tmp_path / name, VTT)) == ["Why did the duck cross the road?\n\nIt had a bill."]


FORTUNES = "Why did the duck?\n\t\t-- Anna\n%\nA bill\nto pay.\n%\n100 % sure.\n%%\n\n%\n"


@pytest.mark.parametrize("name", ["fortunes", "fortunes.txt", "ducks.u8"])
def test_a_line_of_a_percent_sign_ends_a_fortune(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, FORTUNES)
    assert read(path) == ["Why did the duck?\n\t\t-- Anna", "A bill\nto pay.", "100 % sure."]
    written(tmp_path / f"{name}.dat", "\0\0\0\2\0\1")
    assert [file.name for file in find_files([str(tmp_path)])[0]] == [name]


def test_a_percent_sign_may_come_at_the_border_of_a_block(tmp_path: Path) -> None:
    texts = [f"Fortune {number}. {'word ' * 30}".strip() for number in range(8000)]
    assert read(written(tmp_path / "a", "\n%\n".join(texts))) == texts


def test_other_lines_with_percent_signs_are_text(tmp_path: Path) -> None:
    source = "% a comment of LaTeX\n%\nText.\n"
    assert read(written(tmp_path / "a.tex", source)) == [source.strip()]
    assert read(written(tmp_path / "a.txt", source)) == [source.strip()]


@pytest.mark.parametrize("name", ["README", "notes.org", "a.log", "poem"])
def test_a_text_may_be_called_anything_if_it_is_named(name: str, tmp_path: Path) -> None:
    """It was refused: "rename it to what it is"."""
    assert read(written(tmp_path / name, "A text, called anything.\n")) == ["A text, called anything."]
    with pytest.raises(SettingError, match="holds no file that is"):
        find_files([str(tmp_path)])


@pytest.mark.parametrize("data", [b"", b'{\n "a": 1}', b"[1]", b"<html>x", b"\1\2", b"window.YTD.like.part0 = []"])
def test_what_is_clearly_no_text_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(SettingError, match=r"a\.json is none of \.txt, .*, and no export of a chat: convert it"):
        find_files([str(tmp_path / "a.json")])
