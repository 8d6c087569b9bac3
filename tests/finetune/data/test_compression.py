"""Compressed files are read by their content, whatever they are called; a file that is cut off or damaged is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DataError, SettingError
from finetune.data.compression import decompressed
from finetune.data.input_files import find_files
from tests.finetune.data.reading import read


def zipped(data: bytes, name: str = "inside/a.txt") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._a.txt", b"\0\0")
        archive.writestr(name, data)
    return file.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress,
}  # fmt: skip


@pytest.mark.parametrize("name", ["a.txt.{}", "a.txt", "A.TXT.{}"])
@pytest.mark.parametrize("kind", [*PACK, "zip"])
def test_compressed_text_is_read_whatever_it_is_called(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name.format(kind)
    path.write_bytes({**PACK, "zip": zipped}[kind](b"Hello.\nHow are you?"))
    assert read(path) == ["Hello.\nHow are you?"]


@pytest.mark.parametrize("kind", PACK)
def test_several_compressed_files_in_one_are_read_to_the_end(kind: str, tmp_path: Path) -> None:
    pack = PACK[kind]
    (tmp_path / "a.txt").write_bytes(
        pack(b"Hello. ") + pack(b"") + pack(b"Bye.") + (b"\0" * 8 if kind != "zst" else b"")
    )
    assert read(tmp_path / "a.txt") == ["Hello. Bye."]


def test_a_zstandard_file_may_begin_with_a_frame_to_skip(tmp_path: Path) -> None:
    """The parallel pzstd writes one."""
    (tmp_path / "a.txt").write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(b"Hello."))
    assert read(tmp_path / "a.txt") == ["Hello."]


@pytest.mark.parametrize("kind", [*PACK, "zip"])
def test_a_file_that_is_cut_off_is_refused(kind: str, tmp_path: Path) -> None:
    data = {**PACK, "zip": zipped}[kind](bytes(range(256)) * 2000)
    (tmp_path / "a.txt").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"a\.txt cannot be read to its end: it is (cut off|damaged \(.+\))\. Download"):
        read(tmp_path / "a.txt", encoding="latin-1" if kind == "zip" else "cp437")


def test_a_zip_stands_for_its_files_and_says_which(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, text in {
            "b.csv": "id;text\n1;Two.\n",
            "a/c.txt.gz": "",
            "notes.org": "x",
            ".hidden.txt": "x",
        }.items():
            archive.writestr(name, gzip.compress(b"One.") if name.endswith("gz") else text)
    files, others = find_files([str(tmp_path / "all.zip")])
    assert [str(file.member) for file in files] == ["a/c.txt.gz", "b.csv"]
    assert others == [tmp_path / "all.zip/notes.org"]
    with zipfile.ZipFile(tmp_path / "all.zip", "a") as archive:
        archive.writestr("b.jsonl", '{"Body": 1}')
    *files, wrong = find_files([str(tmp_path / "all.zip")])[0]
    assert [read(file) for file in files] == [["One."], ["Two."]]
    with pytest.raises(DataError, match=r"all\.zip/b\.jsonl, line 1: should be"):
        read(wrong)


def test_a_zip_that_needs_a_password_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(b"x"))
    for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # The flags of each file, in its two headers.
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + flag] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip cannot be unpacked \(.*password.*\): unpack it yourself\."):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.txt", b"%PDF-1.7 ...", "a PDF"),
        ("a.csv", b"PAR1....", "a Parquet file"),
        ("a.docx", zipped(b"x", "[Content_Types].xml"), "an archive or an Office document"),
        ("a.txt.gz", gzip.compress(b"\0" * 257 + b"ustar  ", mtime=0), "a tar archive"),
        ("a.xml", b"<?xml?><a/>", "none of .txt, "),
        ("a", b"\1\2", "none of .txt, "),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_by_what_it_is(name: str, data: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SettingError) as error:
        find_files([str(tmp_path / name)])
    assert f"{name} is {what}" in str(error.value)


@pytest.mark.parametrize("name", ["RC_2019-08", "a.json", "a.txt", "a.csv", "a.data", "a"])
def test_json_lines_are_told_by_their_first_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b'\xef\xbb\xbf{"meta": "x", "body": "Hello."}\n')
    assert read(tmp_path / name) == ["x Hello."]


def test_a_folder_may_hold_other_json(tmp_path: Path) -> None:
    for name, text in {
        "encoder.json": '{"a": 1}', "m.json": '{\n "body": 1}', "RC_2019": '{"x": 1}', "a.json": '{"body": "x"}',
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    files, _ = find_files([str(tmp_path)])
    assert [file.name for file in files] == ["RC_2019", "a.json"]


@given(data=st.binary(max_size=4000), parts=st.integers(1, 3), kind=st.sampled_from([*PACK]), cut=st.integers(0, 50))
def test_what_was_packed_comes_out_or_is_refused(data: bytes, parts: int, kind: str, cut: int) -> None:
    packed = PACK[kind](data) * parts
    packed = packed[: len(packed) - cut]
    try:
        found = b"".join(decompressed(Path("a"), io.BytesIO(packed), lambda _: None))
    except DataError:
        assert cut
    else:
        whole = {data * number for number in range(parts + 1)}
        assert found in (whole if len(packed) > 5 else {packed})  # Fewer bytes are no compressed file any more.
