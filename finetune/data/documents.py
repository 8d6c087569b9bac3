"""A document: its parts, each with what it is to the training. Made of a text, or of the turns of a conversation.

Turns are put as app/engine/prompts.py puts them to the model. The last one is text to learn, the first is a prompt, what lies
between are replies. `meta`, a control code, comes first. White space around a text, a turn or a code is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from app.engine.bundle import Template
from app.engine.prompts import ends_turns, turn_texts
from app.engine.tokenizer import END_OF_TEXT
from finetune.data.prepared import Role

PIECE = 2**16
"""Characters. A longer text becomes several documents, cut between paragraphs, else lines, else words."""
SLACK = 32
"""Characters at the end of what was read so far, in which a mark may have begun."""
Meta = str | Mapping[str, str | int | float | bool | None] | None


class Part(NamedTuple):
    """Some of a document. `ends`: the end-of-text token follows, with the same role."""

    role: Role
    text: str
    ends: bool = False


Document = tuple[Part, ...]
EMPTY: Document = ()


def from_text(text: str, meta: Meta = None) -> Iterator[Document]:
    """The documents of one text: itself, unless it is longer than a piece."""
    for piece in cut(text.strip()):
        yield assemble(meta, [Part(Role.TEXT, piece.strip(), ends=True)])


def from_turns(turns: Sequence[str], meta: Meta, template: Template) -> Document:
    """A conversation. With a blank turn it is empty: what answers nothing, or nothing answers, teaches nothing."""
    said = [turn.strip() for turn in turns]
    if not all(said):
        return EMPTY
    texts = turn_texts(template, said)
    roles = [Role.PROMPT, *[Role.REPLY] * (len(said) - 2), Role.TEXT][-len(said) :]
    ends = [ends_turns(template)] * (len(said) - 1) + [True]
    return assemble(meta, list(map(Part, roles, texts, ends)))


def assemble(meta: Meta, parts: list[Part]) -> Document:
    """Put the control code, if there is one, before the parts. The space between belongs to the text, as in GPT-2's words."""
    if not any(part.text for part in parts):
        return EMPTY
    if not (code := render(meta)):
        return tuple(parts)
    return (Part(Role.META, code), parts[0]._replace(text=f" {parts[0].text}"), *parts[1:])


def render(meta: Meta) -> str:
    """A control code: a string as it is, an object as [key: value] [key: value]."""
    if meta is None or isinstance(meta, str):
        return (meta or "").strip()
    values = (value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in meta.values())
    return " ".join(f"[{name}: {value}]" for name, value in zip(meta, values, strict=True))


def text_of(document: Document) -> str:
    """All of a document as one text, ends between turns written out."""
    return "".join(part.text + END_OF_TEXT * part.ends for part in document).removesuffix(END_OF_TEXT)


def cut(text: str) -> Iterator[str]:
    """Pieces of a text, the last with the slack in it."""
    start = 0
    while len(text) - start > PIECE + SLACK:
        end = border(text, start)
        yield text[start:end]
        start = end
    yield text[start:]


def border(text: str, start: int) -> int:
    """Where the piece that begins at `start` ends best, in its second half."""
    for mark in ("\n\n", "\n", " "):
        at = text.rfind(mark, start + PIECE // 2, start + PIECE)
        if at >= 0:
            return at + len(mark)
    return start + PIECE
