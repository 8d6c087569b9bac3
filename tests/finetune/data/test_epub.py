"""A book is the text of its chapters, or one sentence that says why not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from app.errors import DataError
from finetune.data.input_files import find_files
from finetune.data.long_documents import STRETCH
from tests.finetune.data.reading import read

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
