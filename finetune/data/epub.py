"""EPUB: a book, as the text of its chapters in the order in which they are read.

A book is one document, since a chapter goes on from those before it. Covers, tables of contents and notes beside the text are
left out. Only what the book's list names is unpacked, in memory and up to a limit that no book reaches.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from app.errors import DataError
from finetune.data.compression import zip_errors
from finetune.data.html_text import html_text
from finetune.data.input_files import InputFile

LARGEST = 2**26
"""Bytes of a book's text at most, unpacked."""
PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml")
BESIDE_THE_TEXT = ("cover", "toc", "copyright-page", "index", "loi", "lot")
# Fonts are scrambled in books that anybody may read.
FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
DECLARED = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.-]+)[\"']")


def read_epub(file: InputFile, progress: Callable[[int], object]) -> Iterator[str]:
    """The book's text, chapter by chapter. Raises DataError."""
    opened: Any = file.path
    if file.member:
        data = b"".join(file.chunks(progress))
        opened = BytesIO(data)
    try:
        with zip_errors(file.path), zipfile.ZipFile(opened) as archive:
            book = EpubArchive(str(file), archive)
            for number, name in enumerate(book.chapters()):
                yield ("\n\n" if number else "") + html_text(book.page(name))
    except (ParseError, DefusedXmlException, LookupError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} is no EPUB as books are ({error}): convert it with a program such as Calibre."
        ) from None
    if not file.member:
        progress(file.path.stat().st_size)


class EpubArchive:
    """The files of a book, which are read once each, up to LARGEST bytes in all."""

    def __init__(self, name: str, archive: zipfile.ZipFile) -> None:
        self._name, self._archive = name, archive
        self._names = set(archive.namelist())
        self._left = LARGEST
        self._refuse_drm()

    def chapters(self) -> Iterator[str]:
        """The names of the pages with the book's text, in their order."""
        container = fromstring(self._read("META-INF/container.xml"))
        roots = [node.get("full-path") for node in container.iter() if tag_of(node) == "rootfile"]
        package = roots[0] if roots and roots[0] else "a list of its chapters"
        root = fromstring(self._read(package))
        folder = posixpath.dirname(package)
        items = {node.get("id"): node for node in root.iter() if tag_of(node) == "item"}
        beside = {
            address(folder, node.get("href"))
            for node in root.iter()
            if tag_of(node) == "reference" and node.get("type") in BESIDE_THE_TEXT
        }
        for entry in root.iter():
            if tag_of(entry) != "itemref" or entry.get("linear") == "no" or entry.get("idref") not in items:
                continue
            item = items[entry.get("idref")]
            name = address(folder, item.get("href"))
            if item.get("media-type") in PAGES and "nav" not in (item.get("properties") or "") and name not in beside:
                yield name

    def page(self, name: str) -> str:
        data = self._read(name)
        declared = DECLARED.match(data)
        encoding = (
            "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else declared[1].decode() if declared else "utf-8-sig"
        )
        return data.decode("utf-8-sig" if encoding.lower() == "utf-8" else encoding)

    def _read(self, name: str) -> bytes:
        if name not in self._names:
            raise DataError(
                f"{self._name} names {name}, which it does not hold: convert it with a program such as Calibre."
            )
        with self._archive.open(name) as file:
            data = file.read(self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._name} unpacks to more than {LARGEST // 2**20} MB of text, and is no book.")
        return data

    def _refuse_drm(self) -> None:
        """Raises DataError where the text itself is encrypted."""
        methods = set[str | None]()
        if "META-INF/encryption.xml" in self._names:
            nodes = fromstring(self._read("META-INF/encryption.xml")).iter()
            methods = {node.get("Algorithm") for node in nodes if tag_of(node) == "EncryptionMethod"}
        if methods - {*FONT_SCRAMBLING}:
            raise DataError(
                f"{self._name} is protected by DRM, so that only its shop's program can read it: give one without."
            )


def tag_of(node: Any) -> str:
    """The name of an element without its namespace."""
    return str(node.tag).rpartition("}")[2]


def address(folder: str, href: str | None) -> str:
    """The name in the archive that a book's list means by an address."""
    return posixpath.normpath(posixpath.join(folder, unquote((href or "").partition("#")[0])))
