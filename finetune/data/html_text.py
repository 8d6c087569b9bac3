"""HTML as text: paragraphs with a blank line between, without tags, scripts and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

# A blank line comes around a block, and a new line around a row of a list or a table.
BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "ol", "p", "pre", "section", "table", "ul",
}  # fmt: skip
ROWS = {"br", "li", "tr", "caption", "option"}
UNSEEN = {
    "head", "script", "style", "svg", "math", "template", "noscript", "rt", "rp", "nav", "iframe", "object", "audio", "video",
}  # fmt: skip
# HTML may leave out these ends.
ENDED_BY = {"head": "<body>", "rt": "</ruby>", "rp": "</ruby>"}
# What begins no tag, comment or declaration that ends: the parser would look for its end again and again. Nothing is tried twice.
OPEN = re.compile(r"""<(?!(?:/?[a-zA-Z](?:[^<>"']|"[^"]*+"|'[^']*+')*+|[/!?a-zA-Z][^<>]*+)>)""")


class HtmlText(HTMLParser):
    """Collects the text of a page that is fed to it. Tags that were never closed do no harm."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._unseen = ""
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if f"<{tag}>" == ENDED_BY.get(self._unseen):
            self._unseen = ""
        if tag in UNSEEN and not self._unseen:
            self._unseen = tag
        self._preformatted += tag == "pre"
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """XHTML closes empty tags at once, such as <script/>."""
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unseen and (tag == self._unseen or f"</{tag}>" == ENDED_BY.get(self._unseen)):
            self._unseen = ""
        self._preformatted = max(0, self._preformatted - (tag == "pre"))
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._pieces.append(data if self._preformatted else re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in BLOCKS or tag in ROWS:
            self._pieces.append("\n\n" if tag in BLOCKS else "\n")
        elif tag in ("td", "th"):
            self._pieces.append(" ")

    def text(self) -> str:
        joined = re.sub(r"[ \t\xa0]*\n[ \t]*", "\n", "".join(self._pieces).replace("\xad", ""))
        return re.sub(r"\n{3,}", "\n\n", re.sub(r" {2,}", " ", joined)).strip()


def html_text(page: str) -> str:
    """The text of a page. Its head, with the title, is left out."""
    parser = HtmlText()
    parser.feed(OPEN.sub("&lt;", "".join(without_comments(page))))
    parser.close()
    return parser.text()


def without_comments(page: str) -> Iterator[str]:
    """The parts of a page between its comments. One that does not end is none."""
    start = 0
    while (opened := page.find("<!--", start)) >= 0 and (closed := page.find("-->", opened + 4)) >= 0:
        yield page[start:opened]
        start = closed + 3
    yield page[start:]
