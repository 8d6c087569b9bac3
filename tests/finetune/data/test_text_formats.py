"""Markdown, subtitles, fortune files, books and mails become the text that their readers see."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from app.errors import DataError, SettingError
from finetune.data.input_files import find_files
from finetune.data.long_documents import STRETCH
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
        ("<!-- a\ncomment -->Text~~not~~.", "Textnot."),
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


CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"><metadata/>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/on%65.xhtml" media-type="application/xhtml+xml"/>
<item id="notes" href="notes.xhtml" media-type="application/xhtml+xml"/>
<item id="cover" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="picture" href="duck.svg" media-type="image/svg+xml"/>
</manifest>
<spine><itemref idref="cover"/><itemref idref="nav"/><itemref idref="one"/><itemref idref="picture"/><itemref idref="two"/>
<itemref idref="notes" linear="no"/><itemref idref="lost"/></spine>
<guide><reference type="cover" href="cover.xhtml#top"/></guide></package>"""
ONE = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>Not
this</title><style>p { color: red }</style><script src="x.js"/></head><body><h1>One</h1><p>The duck&nbsp;&amp; the
<i>road</i>.<br/>A new line.</p><p>It&#8217;s <ruby>漢<rt>kan</rt></ruby>.</p><ul><li>a</li><li>b</li></ul>
<pre>  x\n   y</pre><table><tr><td>1</td><td>2</td></tr></table></body></html>"""
TWO = '<?xml version="1.0" encoding="iso-8859-1"?><html><body><h1>Two</h1><p>Caf\xe9.</body></html>'
BOOK_TEXT = "One\n\nThe duck & the road.\nA new line.\n\nIt’s 漢.\n\na\n\nb\n\nx\ny\n\n1 2\n\nTwo\n\nCafé."


def book(path: Path, **changes: str | bytes | None) -> Path:
    """An EPUB. `changes` are files by their names; None leaves one out."""
    files: dict[str, str | bytes | None] = {
        "mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OEBPS/content.opf": PACKAGE,
        "OEBPS/text/one.xhtml": ONE, "OEBPS/text/two.xhtml": TWO.encode("latin-1"), "OEBPS/nav.xhtml": "<p>Contents</p>",
        "OEBPS/cover.xhtml": "<p>Cover</p>", "OEBPS/notes.xhtml": "<p>Notes</p>", "OEBPS/duck.svg": "<svg/>",
    }  # fmt: skip
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files | changes).items():
            if content is not None:
                archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["a.epub", "a.zip", "a"])
def test_a_book_is_its_chapters_in_the_order_of_reading(name: str, tmp_path: Path) -> None:
    (text,) = read(book(tmp_path / name))
    assert text.replace("\n \n", "\n\n") == BOOK_TEXT


def test_a_zip_may_hold_books(tmp_path: Path) -> None:
    data = book(tmp_path / "a.epub").read_bytes()
    with zipfile.ZipFile(tmp_path / "books.zip", "w") as archive:
        archive.writestr("b/a.epub", data)
    (file,) = find_files([str(tmp_path / "books.zip")])[0]
    assert (file.kind, read(file)) == ("epub", [BOOK_TEXT])


def test_a_long_book_is_one_document(tmp_path: Path) -> None:
    pages = "".join(f"<p>{number} {'word ' * 100}</p>" for number in range(400))
    (text,) = read(book(tmp_path / "a.epub", **{"OEBPS/text/two.xhtml": pages}))
    assert len(text) > 20 * STRETCH


ENCRYPTION = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">
<enc:EncryptedData><enc:EncryptionMethod Algorithm="{}"/><enc:CipherData><enc:CipherReference URI="OEBPS/text/one.xhtml"/>
</enc:CipherData></enc:EncryptedData></encryption>"""
BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><package>&c;</package>'


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"META-INF/encryption.xml": ENCRYPTION.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}, "protected by DRM"),
        ({"OEBPS/text/one.xhtml": None}, "names OEBPS/text/one.xhtml, which it does not hold"),
        ({"OEBPS/content.opf": PACKAGE.replace("text/on%65", "../../../etc/passwd")}, "which it does not hold"),
        ({"OEBPS/content.opf": "<package"}, "is no EPUB as books are"),
        ({"OEBPS/content.opf": BOMB}, "is no EPUB as books are"),
        ({"META-INF/container.xml": "<container/>"}, "names a list of its chapters, which it does not hold"),
        ({"OEBPS/text/one.xhtml": b"<p>\xff\xfa</p>"}, "is no EPUB as books are"),
        ({"OEBPS/text/one.xhtml": b"<?xml version='1.0' encoding='klingon'?><p>x</p>"}, "is no EPUB as books are"),
        ({"OEBPS/text/one.xhtml": b" " * (2**26 + 1)}, "unpacks to more than 64 MB"),
    ],
)  # fmt: skip
def test_a_book_that_cannot_be_read_is_one_sentence(
    changes: dict[str, str | bytes | None], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=sentence):
        read(book(tmp_path / "a.epub", **changes))


def test_scrambled_fonts_are_no_drm(tmp_path: Path) -> None:
    fonts = ENCRYPTION.format("http://www.idpf.org/2008/embedding")
    assert read(book(tmp_path / "a.epub", **{"META-INF/encryption.xml": fonts})) == [BOOK_TEXT]


def test_a_damaged_book_is_refused(tmp_path: Path) -> None:
    data = book(tmp_path / "a.epub").read_bytes()
    (tmp_path / "a.epub").write_bytes(data[:-100])
    with pytest.raises(DataError, match=r"a\.epub cannot be read to its end: it is damaged"):
        read(tmp_path / "a.epub")
    (tmp_path / "a.epub").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"a\.epub"):
        read(tmp_path / "a.epub")


MBOX = b"""From anna@x.org Sun Dec 13 10:00:00 2020
From: "Anna Schmidt" <anna@x.org>
To: Bob <bob@x.org>
Subject: =?utf-8?q?Ducks_=E2=80=93_again?=
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Hi Bob,

caf=E9 at ten? My number is 555-1234.
>From here it is near.

--=20
Anna
x.org

From bob@x.org Sun Dec 13 11:00:00 2020 +0100
From: bob@x.org
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/html; charset=utf-8

<p>Yes, <b>Anna</b>.</p><p>See you &amp; others.</p>
--b
Content-Type: image/png
Content-Transfer-Encoding: base64

iVBORw0K
--b--

From x@x.org Mon Dec 14 11:00:00 2020
Content-Type: text/plain; charset=klingon

I agree.

On Sunday, Anna Schmidt
<anna@x.org> wrote:
> Hi
> you

-----Original Message-----
Not this.

From x@x.org Mon Dec 14 11:00:00 2020
Content-Type: application/pdf

x
"""
MAILS = [
    "Hi Bob,\n\ncafé at ten? My number is 555-1234.\nFrom here it is near.",
    "Yes, Anna.\n\nSee you & others.",
    "I agree.",
]


@pytest.mark.parametrize("name", ["a.mbox", "Sent", "a.txt"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_mail_is_what_its_writer_wrote(name: str, line_end: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(MBOX.replace(b"\n", line_end))
    assert read(tmp_path / name) == MAILS


def test_a_mail_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MBOX.split(b"\n", 1)[1].split(b"\nFrom bob")[0])
    assert read(tmp_path / "a.eml") == MAILS[:1]
