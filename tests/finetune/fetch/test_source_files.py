"""Whatever a file is called, packed in or encoded in, fetch reads what was written, or says why not."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from finetune.data.input_files import files_of
from finetune.fetch import csv_tables, jsonl_documents
from finetune.fetch.csv_tables import CsvOptions, RowCounts
from finetune.fetch.dumps import Dump
from finetune.fetch.jsonl_documents import LineCounts
from finetune.fetch.source_files import SourceText
from tests.finetune.data.reading import read
from tests.finetune.fetch.rows import BODIES, COMMENTS, Fetch, lines, manifest_of, write


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__MACOSX/._x", b"\0")
        archive.writestr("inside/RC_2019-08", data)
    return file.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress, "zip": zipped,
}  # fmt: skip
SPANISH = ["El niño comió la piña in the end.", "He was in São Paulo, and it was fine.", "It is plain."]


@pytest.mark.parametrize("name", ["RC_2019-08", "RC_2019-08.zst", "RC_2019-08.data"])
@pytest.mark.parametrize("kind", PACK)
def test_a_dump_is_read_whatever_it_is_called_and_packed_in(kind: str, name: str, run: Fetch, tmp_path: Path) -> None:
    """A dump without a suffix once matched no file."""
    (tmp_path / name).write_bytes(PACK[kind](lines(COMMENTS)))
    assert run("subreddit_comments", tmp_path / name) == BODIES
    assert run("subreddit_comments", tmp_path / "RC_*") == BODIES


@pytest.mark.parametrize("query", ["csv", "subreddit_comments"])
@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_a_table_may_be_compressed(kind: str, query: str, run: Fetch, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", COMMENTS)
    (tmp_path / f"b.csv.{kind}").write_bytes(PACK[kind](path.read_bytes()))
    path.unlink()
    param = ["body=body"] if query == "csv" else []
    assert len(run(query, tmp_path, param=param)) == (40 if query == "csv" else 20)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "aclImdb", "subreddit_comments", "subreddit_comments of a table"])
def test_no_row_is_dropped_for_its_encoding(kind: str, run: Fetch, tmp_path: Path) -> None:
    """Rows with an accent were once dropped from a table in Latin-1, without a word."""
    rows = [row | {"body": body, "subreddit": "AmItheAsshole"} for row, body in zip(COMMENTS, SPANISH, strict=False)]
    source: Path = tmp_path / "a.jsonl"
    options: dict[str, Any] = {"without": "stop_word"}
    if kind == "csv" or kind.endswith("table"):
        source = tmp_path / "a.csv"
        source.write_text(write(source, rows).read_text("utf-8"), "cp1252")
        options |= {"param": ["body=body"]} if kind == "csv" else {}
    elif kind == "aclImdb":
        source = tmp_path / "aclImdb"
        for number, text in enumerate(SPANISH):
            (folder := source / "train" / "pos").mkdir(parents=True, exist_ok=True)
            (source / "train" / "neg").mkdir(exist_ok=True)
            (folder / f"{number}.txt").write_text(text, "cp1252")
    else:
        source.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "cp1252")
    if kind.startswith("subreddit"):
        options["param"] = ["pattern=.*"]
    query = kind.partition(" ")[0]
    with pytest.raises(
        DataError, match=r" is not utf-8 on line \d \(byte \d+\): convert it, or give --encoding cp1252"
    ):
        run(query, source, **options)
    assert sorted(row["body"] for row in run(query, source, encoding="cp1252", **options)) == sorted(SPANISH)


def test_lines_and_tables_may_begin_with_a_byte_order_mark(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"body": "It is one."}\n{"body": "It is two."}\n')
    assert run("jsonl", tmp_path / "a.jsonl") == [{"body": "It is one."}, {"body": "It is two."}]
    (tmp_path / "b.jsonl").write_text('{"body": "It is one."}\n', "utf-16")
    with pytest.raises(DataError, match="give --encoding utf-16 if"):
        run("jsonl", tmp_path / "b.jsonl")
    assert run("jsonl", tmp_path / "b.jsonl", encoding="utf-16") == [{"body": "It is one."}]
    (tmp_path / "c.jsonl").write_text('{"body": "It is one."}\n' * 9, "utf-16-le")
    with pytest.raises(DataError, match="give --encoding utf-16-le if"):
        run("jsonl", tmp_path / "c.jsonl")
    (tmp_path / "d.csv").write_bytes('\ufeffsep=;\r\n"text";"id"\r\n"It is ""one""; so.";1\r\n'.encode())
    assert run("csv", tmp_path / "d.csv", param=["body=text"]) == [{"body": 'It is "one"; so.'}]


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_a_query_reads_tables_of_every_dialect(separator: str, run: Fetch, tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COMMENTS[0], delimiter=separator)
        writer.writeheader()
        writer.writerows(COMMENTS)
    assert run("subreddit_comments", tmp_path / "a.csv") == BODIES


def test_rows_that_do_not_fit_are_counted_and_the_first_is_named(
    run: Fetch, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,It is one.\n2,It is two, too.\n3\n4,It is four.\n")
    assert len(run("csv", tmp_path / "a.csv", param=["body=text"])) == 2
    assert manifest_of(out)["corrupt"] == 2
    printed = capsys.readouterr().out
    assert "2 lines were not rows and were skipped." in printed
    assert "a.csv, line 3: 3 columns, and the first line has 2: " in printed
    (tmp_path / "b.csv").write_text("id,text\n1\n")
    with pytest.raises(DataError, match=r"b\.csv, line 2: 1 columns"):
        run("csv", tmp_path / "b.csv", param=["body=text"])
    (tmp_path / "c.csv").write_text("")
    with pytest.raises(DataError, match=r"c\.csv is empty"):
        run("csv", tmp_path / "c.csv", param=["body=text"])
    (tmp_path / "d.csv").write_text('text\n"It is one.\n')
    with pytest.raises(DataError, match=r"d\.csv, line 2: unexpected end of data"):
        run("csv", tmp_path / "d.csv", param=["body=text"])


@pytest.mark.parametrize("query", ["jsonl", "subreddit_comments"])
@pytest.mark.parametrize("kind", ["plain", "gz"])
def test_a_json_array_is_refused(kind: str, query: str, run: Fetch, tmp_path: Path) -> None:
    """With an element on each line only the last was kept, since the others end with a comma."""
    text = "\ufeff[\n" + ",\n".join(map(json.dumps, COMMENTS)) + "\n]\n"
    (tmp_path / "a.json").write_bytes(PACK[kind](text.encode()))
    with pytest.raises(DataError, match=r"a\.json is one JSON array: write an object on each line, as `jq -c"):
        run(query, tmp_path / "a.json")


@pytest.mark.parametrize("query", ["csv", "subreddit_comments"])
def test_what_else_is_in_a_zip_is_no_table(query: str, run: Fetch, tmp_path: Path) -> None:
    """The README beside a table was once read as another table, or as a dump without any row."""
    path = write(tmp_path / "a.csv", COMMENTS)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "data/a.csv")
        archive.writestr("README.txt", "The table has comments.\n")
        archive.writestr("LICENSE", "Anyone may use them.\n")
    param = ["body=body"] if query == "csv" else []
    assert run(query, tmp_path / "a.zip", param=param) == run(query, path, param=param)


def test_every_kind_of_line_keeps_what_it_has(run: Fetch, out: Path, tmp_path: Path) -> None:
    """A line was once dropped, or lost its code, where the first line lacked its fields."""
    rows: list[dict[str, Any]] = [
        {"body": "It is one."}, {"turns": ["Is it two?", "It is two."], "meta": {"a": 1}}, {"body": "It is three.", "meta": "b"},
        {"body": "It is four.", "turns": None, "meta": None, "score": "7"}, {"body": "It is five.", "meta": {"a": {"b": 1}}},
        {"body": "It is six.", "turns": ["Is it six?", "Yes, it is."]},
    ]  # fmt: skip
    found = run("jsonl", write(tmp_path / "a.jsonl", rows))
    said = [(row.get("turns") or [row.get("body")], row.get("meta")) for row in found]
    assert said == [
        (["It is one."], None), (["Is it two?", "It is two."], {"a": 1}), (["It is three."], "b"), (["It is four."], None),
    ]  # fmt: skip
    assert manifest_of(out)["corrupt"] == 2
    assert re.search(r"a\.jsonl, line 5: Expected .+, got `object`", manifest_of(out)["first_corrupt"])


UGLY = ["it's; x", "a[1]", "a*b?", "per%20cent", "back\\slash", "new\nline", "ünï {a,b}", "[a-z]*?\\'\"$x"]


@pytest.mark.parametrize("ugly", [*UGLY, os.fsdecode(b"not \xff utf-8")])
def test_no_name_is_ever_a_pattern_or_a_part_of_a_query(ugly: str, tmp_path: Path, vocabulary: Path) -> None:
    """`--out "it's.jsonl"` was once a syntax error, and a file called a[1] was once read as a1."""
    folder = tmp_path / ugly
    folder.mkdir()
    for decoy in ("a1", "aXb"):
        (tmp_path / decoy).mkdir()
    for number, (query, name, param) in enumerate(
        (
            ("subreddit_comments", "a.jsonl", []), ("subreddit_comments", "a.csv", []), ("subreddit_comments", "a.parquet", []),
            ("jsonl", "a.jsonl", []), ("csv", "a.csv", ["body=body", "label=subreddit"]), ("csv", "a.parquet", ["body=body"]),
        )
    ):  # fmt: skip
        source = folder / f"{ugly} {name}"
        source.write_bytes(write(tmp_path / name).read_bytes())
        out = folder / f"{ugly} {number}.{'parquet' if number % 2 else 'jsonl'}"
        fetch(FetchOptions(query, out=out, source=[str(source)], param=param, vocabulary=vocabulary))
        assert out.is_file()
        assert manifest_of(out)["kept"] == (20 if query == "subreddit_comments" else 40)


def test_an_encoding_without_text_is_refused(run: Fetch, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    with pytest.raises(SettingError, match="--encoding is given, and no source is text: leave it out"):
        run("csv", path, param=["body=body"], encoding="cp1252")
    with pytest.raises(SettingError, match="--encoding is 'klingon'"):
        run("csv", path, param=["body=body"], encoding="klingon")
    with pytest.raises(SettingError, match="--encoding is given, and fetch reddit runs no query and reads no files"):
        fetch(FetchOptions("reddit", out=tmp_path / "out.jsonl", encoding="cp1252"))


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r", exclude_categories=["Cc"]) | st.just("\n"), min_size=1
)
ENCODINGS = st.sampled_from(
    ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp437", "koi8_r", "cp932", "gb18030"]
)


def is_utf_8(data: bytes) -> bool:
    """Whether the bytes are UTF-8 too, as those of Â© are in cp1252: they are refused in another encoding."""
    return bool(data.decode("utf-8", "ignore").encode() == data)


@given(
    texts=st.lists(TEXTS, min_size=1, max_size=6),
    encoding=ENCODINGS,
    given_as=ENCODINGS,
    kind=st.sampled_from([*PACK]),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    name=st.sampled_from(["a.csv", "a.tsv", "a"]),
)
def test_a_table_is_read_as_written_or_refused(
    texts: list[str], encoding: str, given_as: str, kind: str, separator: str, quoting: int, name: str
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, quoting=quoting)  # type: ignore[arg-type]
    texts = [text.encode(encoding, "ignore").decode(encoding) or "x" for text in texts]
    writer.writerows([["id", "text"], *enumerate(texts)])
    data = file.getvalue().encode(encoding)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(PACK[kind](data))
        sources = SourceText([f"{folder}/{name}"], given_as)
        found = None
        with contextlib.suppress(DataError):
            (source,) = sources.files("table")
            rows = csv_tables.documents_of(source, sources, CsvOptions("text"), counts := RowCounts(), lambda _: None)
            found = [row["body"] for row in rows]
            assert not counts.corrupt
        if given_as == encoding and not is_utf_8(data):
            assert found == texts
        assert found in (None, texts) or data.decode(given_as) != data.decode(encoding)
        if name != "a" and kind != "zip":
            with contextlib.suppress(DataError):
                (prepared,) = files_of(f"{folder}/{name}")
                assert [text.strip() for text in read(prepared, encoding=given_as)] == [
                    each.strip() for each in found or []
                ]


@given(texts=st.lists(TEXTS, min_size=1, max_size=6), encoding=ENCODINGS, given_as=ENCODINGS, escaped=st.booleans())
def test_lines_of_json_are_read_as_written_or_refused(
    texts: list[str], encoding: str, given_as: str, escaped: bool
) -> None:
    written = "".join(f"{json.dumps({'body': text}, ensure_ascii=escaped)}\n" for text in texts)
    data = written.encode(encoding, "ignore")
    texts = [json.loads(line)["body"] for line in data.decode(encoding).removeprefix("\ufeff").split("\n") if line]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a").write_bytes(data)
        (source,) = SourceText([f"{folder}/a"], given_as).files("jsonl")
        found: list[Any] | None = None
        with contextlib.suppress(DataError), io.BytesIO() as rows:
            counts = LineCounts()
            dump = Dump(source, lambda _: None, encoding=given_as)
            jsonl_documents.read_dump(dump, rows, Path(folder), counts)
            found = [json.loads(line)["body"] for line in rows.getvalue().splitlines()]
            assert len(found) + counts.corrupt == counts.lines
        if given_as == encoding and not is_utf_8(data):
            assert found == texts
        assert found in (None, texts) or data.decode(given_as) != data.decode(encoding)


def test_parquet_is_what_duckdb_reads(run: Fetch, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    assert [
        {"body": body} for (body,) in duckdb.execute("SELECT body FROM read_parquet(?)", [str(path)]).fetchall()
    ] == run("csv", path, param=["body=body"])
