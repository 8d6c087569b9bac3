r"""Documents: a text or the turns of a conversation, in parts with a role each.

app/engine/prompts.py puts the turns, here as in serving:

    text    the turns, joined by newlines
    qa      the turns, tagged [QUESTION] and [ANSWER] in alternation, joined by newlines
    chat    the turns, an end of text after each
    pattern the turns, tagged as it says, such as [USER] %\n[BOT] %

The first turn has the role PROMPT, the last one TEXT, those between REPLY; a single turn is TEXT. The last turn ends with the
end of text. A control code (`meta`) comes before the turns, with the role META. White space around a text, a turn or a code
is removed. Each part is tokenized by itself, which gives the same tokens as the whole text would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from app.engine.prompts import alternating, turn_texts
from app.engine.templates import Template, layout_of
from finetune.data.long_documents import Stretch, stretches_of
from finetune.data.prepared import Role

Meta = str | Mapping[str, str | int | float | bool | None] | None


class Part(NamedTuple):
    """A stretch of a document with one role. If `ends`, the end-of-text token follows, with the same role."""

    role: Role
    text: str
    ends: bool = False


Document = tuple[Part, ...]
EMPTY: Document = ()


def from_text(text: str, meta: Meta = None) -> Iterator[Document]:
    """A document, in stretches if it is long."""
    return (from_stretch(stretch, meta) for stretch in stretches_of(text.strip()))


def from_stretch(stretch: Stretch, meta: Meta = None) -> Document:
    """A stretch of a text. Its control code comes before the first stretch, and the end of text after the last."""
    part = Part(Role.TEXT, stretch.stripped(), ends=stretch.last)
    return assemble(meta, (part,)) if stretch.first else (part,)


def from_turns(turns: Sequence[str], meta: Meta, template: Template) -> Document:
    """A conversation as one document. EMPTY if a turn is blank: the turns beside it would answer nothing."""
    if not turns or not all(turn.strip() for turn in turns):
        return EMPTY
    texts = turn_texts(template, alternating(turns))
    roles = [Role.PROMPT, *[Role.REPLY] * (len(turns) - 2), Role.TEXT][-len(turns) :]
    ends = [layout_of(template).ends_turns] * (len(turns) - 1) + [True]
    return assemble(meta, tuple(map(Part, roles, texts, ends)))


def assemble(meta: Meta, parts: Document) -> Document:
    """Put the control code and a space before the parts. The space is part of the text: GPT-2's words begin with one."""
    if not parts[0].text:
        return EMPTY
    if meta is None or not (code := render(meta)):
        return parts
    return (Part(Role.META, code), parts[0]._replace(text=f" {parts[0].text}"), *parts[1:])


def render(meta: str | Mapping[str, str | int | float | bool | None]) -> str:
    """The text of a control code: a string as it is, an object as [key: value] [key: value]."""
    if isinstance(meta, str):
        return meta.strip()
    values = (value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in meta.values())
    return " ".join(f"[{name}: {value}]" for name, value in zip(meta, values, strict=True))
