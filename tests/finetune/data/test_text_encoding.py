"""Text is decoded as it was written, or refused with its line and the encoding that it looks like."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DataError, SettingError
from finetune.data.text_encoding import check_encoding, decode
from tests.finetune.data.reading import read

WRITTEN = [
    ("cp1252", "It’s “fine”."),
    ("cp1252", "L’été dernier, à Noël, la façade était belle… où ça ?"),
    ("cp1252", "El niño comió piña mañana, ¿verdad? ¡Sí!"),
    ("cp1250", "Zażółć gęślą jaźń, proszę państwa, to jest łódź."),
    ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
    ("cp1252", "Það er gott að vera hér, sagði öndin."),
    ("cp1252", "Ísland er fögur eyja og þar býr fólk sem talar íslensku."),
    ("cp1254", "Günaydın, bugün hava nasıl?"),
    ("cp1254", "Şu ağacın altında bir ördek yaşıyordu, çok güzeldi."),
    ("cp1254", "İyi akşamlar, değil mi?"),
    ("cp1251", "Привет, как дела? Это просто текст."),
    ("cp1253", "Καλημέρα, τι κάνεις; Αυτό είναι κείμενο."),
    ("koi8_r", "Привет, как дела? Это просто текст."),
    ("cp866", "Привет, как дела? Это просто текст."),
    ("cp437", "L'été dernier, à Noël, la façade était belle, où ça ?"),
    ("mac_roman", "L’été dernier, à Noël, la façade était belle… où ça ?"),
    ("mac_roman", "It’s “fine”, don’t you think?"),
    ("cp932", "こんにちは、元気ですか。これは文章です。"),
    ("euc_jp", "こんにちは、元気ですか。これは文章です。"),
    ("iso2022_jp", "こんにちは、元気ですか。これは文章です。"),
    ("gb18030", "你好，今天天气怎么样？这是一段文字。"),
    ("big5", "你好，今天天氣怎麼樣？這是一段文字。"),
    ("euc_kr", "안녕하세요, 오늘 날씨가 어때요? 이것은 글입니다."),
    ("utf-16", "It is fine."),
    ("utf-16-le", "It is fine, and it was."),
    ("utf-16-be", "It is fine, and it was."),
    ("utf-32", "It is fine."),
    ("utf-32-le", "It is fine, and it was."),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(("encoding", "text"), WRITTEN)
def test_text_in_another_encoding_is_refused_by_its_name(
    encoding: str, text: str, line_end: str, tmp_path: Path
) -> None:
    """cp1252 was once told --encoding latin-1, which makes control characters of its quotation marks."""
    (tmp_path / "a.txt").write_bytes(f"{text}{line_end}".encode(encoding))
    with pytest.raises(DataError, match=rf" on line 1 \(byte \d+\).*: convert it, or give --encoding {encoding} if"):
        read(tmp_path / "a.txt")
    assert read(tmp_path / "a.txt", encoding=encoding) == [text]


@pytest.mark.parametrize(
    ("data", "encoding", "sentence"),
    [
        (b"Yes.\nIt\x92s.", "latin-1", "has the control character U+0092 on line 2 (byte 7) when read as latin-1: convert"),
        (b"It\x92s.", "iso8859-15", "give --encoding cp1252 if"),
        (b"It\x85s.", "latin-1", "U+0085 on line 1 (byte 2)"),
        ("It\x92s.".encode(), "utf-8", "U+0092 on line 1 (byte 2) when read as utf-8: it was converted from the wrong"),
        (b"It is\0 fine.", "utf-8", "U+0000 on line 1 (byte 5) when read as utf-8: take it out"),
        ("été\r\nété\r\n".encode() + b"caf\xc3", "utf-8", "is utf-8, and damaged on line 3 (byte 17): repair that line"),
        ("ok\n“été".encode(), "cp1252", "is utf-8, and not cp1252 on line 2 (byte 3): give --encoding utf-8."),
        ("ok\nété".encode("utf-8-sig"), "latin-1", "is utf-8, and not latin-1 on line 1 (byte 0)"),
        (b"Plain.", "utf-16", "is not utf-16 on line 1 (byte 0): convert it, or give --encoding utf-8"),
        ("Le café, c’est à côté!\r\n".encode("cp1252"), "utf-16-be", "line 1 (byte 0): convert it, or give --encoding cp1252"),
        (b"Plain.", "cp037", "is utf-8, and not cp037 on line 1 (byte 0)"),
        ("你好".encode(), "ascii", "is not ascii on line 1 (byte 0): convert it, or give --encoding utf-8"),
        (bytes(range(256)), "utf-8", "it looks like no known encoding, so convert it to utf-8, or name"),
    ],
)  # fmt: skip
def test_text_that_is_read_wrongly_is_refused(data: bytes, encoding: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(DataError) as error:
        read(tmp_path / "a.txt", encoding=encoding)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"na\xefve", "latin-1", "naïve"),
        (b"na\xefve", "cp1252", "naïve"),
        ("a\x85b".encode(), "utf-8", "a\x85b"),
        (b"\x1b[31mred\x1b[0m and \x07\x08\x0c", "utf-8", "\x1b[31mred\x1b[0m and \x07\x08"),
        ("été".encode("utf-8-sig"), "utf-8", "été"),
        ("été".encode("utf-8-sig"), "utf-8-sig", "été"),
        ("été \n".encode("utf-16"), "utf-16", "été"),
        ("为什么鸡要过马路因为它想到另一边去".encode("utf-16-le"), "utf-16-le", "为什么鸡要过马路因为它想到另一边去"),
        ("hi".encode("cp037"), "cp037", "hi"),
    ],
)
def test_text_of_the_given_encoding_is_read(data: bytes, encoding: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert read(tmp_path / "a.txt", encoding=encoding) == [text]


def test_json_may_have_control_characters_and_is_checked_all_the_same(tmp_path: Path) -> None:
    """Dumps have them as their writers left them. In an encoding of one byte a character they mean cp1252, as in text."""
    (tmp_path / "a.jsonl").write_bytes('{"body": "It\x92s \\u0093fine"}\n'.encode())
    assert read(tmp_path / "a.jsonl") == ["It\x92s \x93fine"]
    (tmp_path / "a.jsonl").write_bytes(b'{"body": "It\x92s"}\n')
    with pytest.raises(DataError, match="give --encoding cp1252"):
        read(tmp_path / "a.jsonl", encoding="latin-1")


@pytest.mark.parametrize("encoding", ["klingon", "hex", "idna", "unicode_escape", "a\0b", "\udcff", "", "undefined"])
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(SettingError, match="should be a text encoding that Python knows, such as cp1252"):
        check_encoding(encoding)


@given(
    text=st.text(st.characters(codec="utf-8")),
    encoding=st.sampled_from(
        [
            "utf-8",
            "utf-8-sig",
            "utf-16",
            "utf-16-be",
            "utf-32",
            "cp1252",
            "latin-1",
            "cp437",
            "koi8_r",
            "cp932",
            "gb18030",
        ]
    ),
    given_as=st.sampled_from(["utf-8", "utf-16", "cp1252", "latin-1", "gb18030", "same"]),
    cut=st.integers(0, 9),
)
def test_no_text_is_read_as_something_that_its_bytes_do_not_say(
    text: str, encoding: str, given_as: str, cut: int
) -> None:
    """In its own encoding a text is read as it was written. In another it is refused, or read as Python reads it."""
    data = text.encode(encoding, "ignore")
    read_as = encoding if given_as == "same" else given_as
    with contextlib.suppress(DataError):
        found = "".join(decode("a.txt", [data[:cut], data[cut:]], read_as))
        assert found == data.decode(read_as).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        assert not {*found} & {chr(code) for code in {0, *range(0x80, 0xA0)} - {0x85}}
