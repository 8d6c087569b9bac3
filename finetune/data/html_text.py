"""HTML as text: paragraphs with a blank line between, without tags, scripts and pictures."""

from __future__ import annotations

import re
from html.parser import HTMLParser

# A blank line comes around a block, and a new line around a row of a list or a table.
BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "ol", "p", "pre", "section", "table", "ul",
}  # fmt: skip
ROWS = {"br", "li", "tr", "caption", "option"}
UNSEEN = {
    "head",
    "script",
    "style",
    "svg",
    "math",
    "template",
    "noscript",
    "rt",
    "rp",
    "nav",
    "iframe",
    "object",
    "audio",
    "video",
}
VOID = {"br", "hr", "img", "meta", "link", "input", "col", "area", "base", "embed", "source", "track", "wbr"}


class HtmlText(HTMLParser):
    """Collects the text of a page that is fed to it. Tags that were never closed do no harm."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._unseen: list[str] = []
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen.append(tag)
        self._preformatted += tag == "pre"
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """XHTML closes empty tags at once, such as <script/>."""
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
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
    parser.feed(page)
    parser.close()
    return parser.text()
