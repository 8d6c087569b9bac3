"""Tables are read in whatever dialect they are written; where the text cannot be told, they are refused by name."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.errors import DataError
from finetune.data.table_columns import find_columns
from finetune.data.tables import open_table
from tests.finetune.data.reading import read, written


@pytest.mark.parametrize(
    ("name", "table", "column", "documents"),
    [
        ("a.csv", "id;text\n1;Hello, you.\n2;Bye.\n", None, ["Hello, you.", "Bye."]),
        ("a.csv", "id\ttext\n1\tHello, you; all.\n", None, ["Hello, you; all."]),
        ("a.csv", "id|text\n1|Hello, you.\n", None, ["Hello, you."]),
        ("a.csv", "id^text\n1^Hello, you.\n", None, ["Hello, you."]),
        ("a.csv", "id::text\n1::Hello, you.\n", None, ["Hello, you."]),
        ("a.csv", "sep=;\nid;text\n1;Hello.\n", None, ["Hello."]),
        ("a.csv", '"SEP=\t"\r\nid\ttext\r\n1\tHello.\r\n', None, ["Hello."]),
        ("a.csv", "\ufeffsep=,\nid,text\n1,Hello.\n", None, ["Hello."]),
        ("a.csv", "sep=;\nid,text\n1,Hello.\n", None, ["Hello."]),
        ("a.csv", "sep=;\ntext\nHello, you.\n", "text", ["Hello, you."]),
        ("a.csv", '\ufeff"id";"text"\n"1";"Hello; ""you"""\n', None, ['Hello; "you"']),
        ("a.csv", "id;price;text\n1;2,50;Hello.\n2;3,10;Bye, bye.\n", None, ["Hello.", "Bye, bye."]),
        ("a.csv", 'id;"price, EUR";text\n1;2,50;Hi.\n2;3,50;Bye.\n', None, ["Hi.", "Bye."]),
        ("a.csv", "id; TEXT ;x\n1;Hello.;\n", None, ["Hello."]),
        ("a.csv", "id;Joke\n1;Hello.\n", " joke", ["Hello."]),
        ("a.csv", "text\nHello; you.\nBye.\n", None, ["Hello; you.", "Bye."]),
        ("a.csv", "text\nHello; you.\nBye; you.\n", None, ["Hello; you.", "Bye; you."]),
        ("a.csv", 'id, text\n1, "Hello, you"\n', None, ["Hello, you"]),
        ("a.csv", 'id,text\n1,"He said \\"hi, you\\"."\n', None, ['He said "hi, you".']),
        ("a.csv", 'id,text\n1,"C:\\"\n2,"a\\b"\n', None, ["C:\\", "a\\b"]),
        ("a.csv", "\n\nid;text\n\n1;Hello.\n  \n\x1a", None, ["Hello."]),
        ("a.csv", 'id;text\n1;"Two\r\nlines; yes"\n', None, ["Two\nlines; yes"]),
        ("a.csv", "Lyrics\nLa la.\n", None, ["La la."]),
        ("a.tsv", "id\ttext\n1\tHello, you.\n", None, ["Hello, you."]),
        ("a.tsv", "id,text\n1,Hello.\n", None, ["Hello."]),
    ],
)  # fmt: skip
def test_the_dialect_is_found(name: str, table: str, column: str | None, documents: list[str], tmp_path: Path) -> None:
    """A table with semicolons was once read as whole lines, with its header among the texts."""
    assert read(written(tmp_path / name, table), column) == documents


@pytest.mark.parametrize(
    ("table", "column", "sentence"),
    [
        ("joke;title\n1;Hello.\n", None, "no name says which holds the text: choose with --column: 'joke', 'title'."),
        ("1;Hello, you.\n2;Bye.\n", None, "a.csv has 2 columns, and no name says which holds the text"),
        ("id;text\n1;Hello;you\n", None, 'line 2: 3 columns, and the first line has 2: put "quotes" around a text'),
        ("sep=|\nid|text\n1\n", None, "line 3: 1 columns, and the first line has 2"),
        ("sep=;\nid;text\n1;\"x\n", None, "line 3: unexpected end of data"),
        ("text;Text;text\na;b;c\n", None, "a.csv has 2 columns 'text': rename all but one."),
        ("id;text\n1;x\n", "joke", "a.csv has no column 'joke' in its first line, which has 'id', 'text'."),
    ],
)  # fmt: skip
def test_a_table_without_a_clear_text_is_refused(table: str, column: str | None, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(written(tmp_path / "a.csv", table), column)
    assert sentence in str(error.value)


@pytest.mark.parametrize("header", ["Stories", "full_text", "commentBody", "joke.1", "SELFTEXT", "0"])
def test_a_column_that_is_named_after_its_text_has_a_header(header: str, tmp_path: Path) -> None:
    """Names such as `full_text`, and the 0 that pandas writes for a column without a name, were once trained on."""
    assert read(written(tmp_path / "a.csv", f"{header}\nWhy did the duck\n")) == ["Why did the duck"]


@pytest.mark.parametrize("text", ["Hello", "A comment of mine", "Texture", "1"])
def test_a_column_without_a_name_begins_with_a_text(text: str, tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.csv", f"{text}\nWhy did the duck\n")) == [text, "Why did the duck"]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x1a", exclude_categories=["Cc"]) | st.just("\n"))


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8),
    names=st.permutations(["text", "id", "a label"]),
    separator=st.sampled_from(",;\t|^"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    says=st.booleans(),
)
def test_every_table_is_read_as_it_was_written(
    rows: list[tuple[str, ...]], names: list[str], separator: str, quoting: int, line_end: str, says: bool
) -> None:
    assume(not any(not "".join(row) for row in rows))
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
    writer.writerows([names, *rows])
    text = (f"sep={separator}{line_end}" if says else "") + file.getvalue()
    lines = io.StringIO(text.replace("\r\n", "\n"), newline="\n")
    table = open_table("a.csv", lines, ["text"])
    columns = find_columns(table, [])
    assert (columns.indices, columns.has_header, columns.guessed) == ([names.index("text")], True, False)
    assert [tuple(row) for row in table.rows()] == rows
