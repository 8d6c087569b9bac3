"""Each input format becomes documents; what cannot be read is one sentence with a line number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import DataError
from finetune.data.text_encoding import BLOCK
from tests.finetune.data.reading import read, written


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("One.\nStill one.\n", ["One.\nStill one."]),
        ("<|startoftext|>One.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>\n", ["One.", "Two."]),
        ("One.<|endoftext|>Two.", ["One.", "Two."]),
        ("<|startoftext|>One.\n<|startoftext|>Two.", ["One.", "Two."]),
        ("<|startoftext|><|endoftext|><|startoftext|>One.<|endoftext|>", ["", "One."]),
        ("A <| endoftext |> of another kind.", ["A <| endoftext |> of another kind."]),
        ("One.\r\nStill one.\rStill.", ["One.\nStill one.\nStill."]),
        ("\ufeffOne.", ["One."]),
        ("", [""]),
        (" \n ", [""]),
    ],
)
def test_a_text_file_is_one_document_or_what_its_marks_say(text: str, documents: list[str], tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.txt", text)) == documents


def test_a_text_file_is_split_where_asked(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "One.\nTwo.\n \n\nThree.<|endoftext|>\n<|startoftext|>Four.\n")
    assert read(path, split="lines") == ["One.", "Two.", "Three.", "Four."]
    assert read(path, split="blank_lines") == ["One.\nTwo.", "Three.", "Four."]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "utf-8-sig"])
def test_every_encoding_is_read_when_named(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "Une idée à moi.", encoding)
    assert read(path, encoding=encoding) == ["Une idée à moi."]


@pytest.mark.parametrize("before", [0, BLOCK // 2])
def test_a_file_of_another_encoding_is_refused_with_the_line(before: int, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"an\n" * before + b"fine\nna\xefve\n")
    line, offset = f"line {before + 2:d} ", f"byte {before * 3 + 7:,}"
    with pytest.raises(DataError, match=rf"a\.txt is not utf-8 on {line}.{offset}.: convert it, .*--encoding cp1252"):
        read(path)


def test_utf_16_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--encoding utf-16"):
        read(written(tmp_path / "a.txt", "Hello.", "utf-16"))


@pytest.mark.parametrize(
    ("table", "column", "documents"),
    [
        ("Hello.\nHow are you?\n", None, ["Hello.", "How are you?"]),
        ("text\nHello.\n", None, ["Hello."]),
        ("Tweets\nHello.\n", None, ["Hello."]),
        ("id,Body\n1,Hello.\n2,Bye.\n", None, ["Hello.", "Bye."]),
        ("text,body\nno,yes\n", None, ["yes"]),
        ("id,joke\n1,Hello.\n", "joke", ["Hello."]),
        ("lyrics\nLa la.\n", "lyrics", ["La la."]),
        ('text\n"Two\r\nlines, ""quoted"""\n\nNext.', None, ['Two\nlines, "quoted"', "Next."]),
        ('text\n"<|startoftext|>One.<|endoftext|>"\n""\n', None, ["One.", ""]),
    ],
)
def test_a_table_has_a_document_a_row(table: str, column: str | None, documents: list[str], tmp_path: Path) -> None:
    """The first line is a header if it has the name given by --column, several columns, or a usual name."""
    assert read(written(tmp_path / "a.csv", table), column) == documents


def test_a_tsv_has_tabs_between(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.tsv", "id\ttext\n1\tHello, you.\n")) == ["Hello, you."]


def test_a_cell_may_be_large(tmp_path: Path) -> None:
    """Python's own limit is 131,072 characters."""
    assert len("".join(read(written(tmp_path / "a.csv", f"text\n{'word,' * 100_000}word".replace(",", " "))))) > 400_000


@pytest.mark.parametrize(
    ("table", "column", "sentence"),
    [
        ("id,body\n1,x\n", "text", "a.csv has no column 'text' in its first line, which has 'id', 'body'."),
        ("id,x\n1,x\n", None, "2 columns, and no name says which holds the text: choose with --column: 'id', 'x'."),
        ("text\nHello, you.\n", None, 'line 2: 2 columns, and the first line has 1: put "quotes" around a text'),
        ("id,text\n1\n", None, "line 2: 1 columns, and the first line has 2"),
        ('text\n"never closed\n', None, "line 2: unexpected end of data"),
        ('text\n"closed" twice\n', None, "line 2: ',' expected after '\"'"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused(table: str, column: str | None, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(written(tmp_path / "a.csv", table), column)
    assert sentence in str(error.value)


def test_a_line_of_json_is_a_text_or_a_conversation(tmp_path: Path) -> None:
    lines = [
        {"body": " A text. "},
        {"body": "Another.", "meta": "[VERDICT]"},
        {"body": "Third.", "meta": {"sub": "jokes", "score": 3}},
        {"turns": ["Hi!", "Hello."]},
        {"turns": ["Hi!", "  "]},
        {"body": ""},
        {"body": "<|endoftext|> is only text here."},
    ]
    path = written(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    assert read(path) == [
        "A text.", "[VERDICT] Another.", "[sub: jokes] [score: 3] Third.", "Hi!\nHello.", "", "",
        "<|endoftext|> is only text here.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"body": 1}', "Expected `str | null`, got `int` - at `$.body`"),
        ('{"turns": []}', "length >= 1 - at `$.turns`"),
        ('{"turns": ["a", null]}', "at `$.turns[1]`"),
        ('{"body": "a", "turns": ["a"]}', "it has both"),
        ('{"meta": "a"}', "it has neither"),
        ('{"Body": "a"}', "unknown field `Body`"),
        ('{"body": "\\ud800 alone"}', "surrogate"),
    ],
)
def test_a_wrong_line_of_json_is_refused(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(written(tmp_path / "a.jsonl", f'{{"body": "fine"}}\n{line}\n'))
    assert str(error.value).startswith(f"{tmp_path / 'a.jsonl'}, line 2: should be ")
    assert reason in str(error.value)


def test_a_first_line_that_is_nested_by_the_thousand_is_refused(tmp_path: Path) -> None:
    """It was a traceback of RecursionError, since the first line tells what a file is."""
    with pytest.raises(DataError, match=r"line 1: should be"):
        read(written(tmp_path / "a.jsonl", f'{{"body": {"[" * 99_999}{"]" * 99_999}}}\n'))
