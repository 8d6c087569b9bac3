"""Markdown as its reader sees it: without front matter, links' addresses, pictures, tags and marks of emphasis.

Headings, paragraphs, the lines of a list and the rows of a table stay lines, and code stays as it is. The title of the front
matter becomes the first line where the text itself has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from finetune.data.html_text import html_text

FRONT_MATTER = re.compile(
    r"\s*(---|\+\+\+)[ \t]*\n(?=[ \t]*[\w#-]+[ \t]*[:=\w])(?P<fields>(?:[^\n]*\n)*?)(?:\1|\.\.\.)[ \t]*(?:\n|$)"
)
TITLE = re.compile(r"^title\s*[:=]\s*(?P<quote>[\"']?)(?P<title>.+?)(?P=quote)\s*$", re.MULTILINE | re.IGNORECASE)
# What Markdown does not know: footnotes, and of Obsidian comments, links and pictures: %%so%%, [[note|text]], ![[picture]].
LEFT_OUT = re.compile(r"%%[^%\n]+%%|!\[\[[^\[\]\n]*\]\]|\[\^[\w-]+\](?!:)")
WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|\n]*\|)?([^\[\]|\n]*)\]\]")
WRAPPED = 60
"""Characters from which on all lines of a paragraph but the last were broken for the width of a page, and are joined."""


def markdown_text(source: str) -> str:
    front = FRONT_MATTER.match(source)
    title = TITLE.search(front["fields"]) if front else None
    body = WIKI_LINK.sub(r"\1", LEFT_OUT.sub("", source[front.end() :] if front else source))
    tokens = MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(body)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines_of_blocks(tokens))).strip()
    has_heading = bool(tokens) and tokens[0].type == "heading_open"
    return f"{title['title']}\n\n{text}" if title and not has_heading else text


def lines_of_blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """The lines of a document, with a blank one after each block."""
    depth, item, cells = 0, "", list[str]()
    for token in tokens:
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                depth += 1
            case "bullet_list_close" | "ordered_list_close":
                depth -= 1
            case "list_item_open":
                item = "  " * (depth - 1) + (f"{token.info}. " if token.info else "- ")
            case "fence" | "code_block":
                yield token.content.rstrip("\n")
            case "html_block":
                yield html_text(token.content)
            case "hr":
                yield "* * *"
            case "th_open" | "td_open":
                cells.append("")
            case "inline" if cells:
                cells[-1] = inline_text(token)
            case "inline":
                yield item + inline_text(token)
                item = ""
            case "tr_close":
                yield " | ".join(cells)
                cells = []
        if ends_block(token, depth):
            yield ""


def ends_block(token: Token, depth: int) -> bool:
    """Paragraphs of a list whose items are close together are hidden, and follow one another without a blank line."""
    if token.type == "paragraph_close":
        return not token.hidden
    if token.type in ("bullet_list_close", "ordered_list_close"):
        return not depth
    return token.type in ("heading_close", "table_close", "fence", "code_block", "html_block", "hr")


def inline_text(token: Token) -> str:
    text = "".join(map(shown, token.children or []))
    lines = text.split("\n")
    joint = " " if len(lines) > 1 and all(len(line) >= WRAPPED for line in lines[:-1]) else "\n"
    return joint.join(line.strip() for line in lines)


def shown(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return token.content if token.type in ("text", "text_special", "code_inline") else ""
