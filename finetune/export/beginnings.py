"""Beginnings of a corpus: a few short, different ones, which the page offers to start with.

The page shows them to everybody, so that none are taken from data with chats, mails or direct messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from app.engine.templates import layout_of
from app.errors import DataError
from finetune.data.prepared import Data, Role, open_data
from finetune.run_folder import RunDescription

COUNT = 4
DOCUMENTS = 400
"""Documents that are looked at, evenly spread over the corpus."""
TOKENS = 2000
"""Tokens of each that are looked at, at most."""
WORDS = 8
"""A line of a text is cut to this many words: the model is to go on."""
LONGEST_MESSAGE = 80
PRIVATE = re.compile(r"@|https?:|www\.|\d{4}|[{}<>\\|=_~^]|\[|\]|\d[\d ./-]{4,}\d")
"""What addresses, telephone numbers, dates, tags and mark-up have."""


def corpus_beginnings(run: RunDescription) -> list[str]:
    """Beginnings of the data that a run was trained on; none where that is gone, or another by now, or may be private."""
    folder = Path(str(run.options.get("data", "")))
    try:
        data = open_data(folder)
    except DataError:
        return []
    described = data.description
    may_be_shown = described.private is False and described.corpus_sha256 == run.corpus_sha256
    return choose_beginnings(data) if may_be_shown else []


def choose_beginnings(data: Data) -> list[str]:
    """Up to COUNT beginnings: first lines of documents or, of conversations, their first messages.

    Where there are too few documents, the first lines of their paragraphs count too. No two begin with the same word, if there
    are enough.
    """
    chat = layout_of(data.description.template).has_turns
    texts = [opening(data, int(number), chat) for number in spread(len(data.train), DOCUMENTS)]
    firsts = [clean(text.strip().partition("\n")[0], chat) for text in texts]
    others = [] if chat else [clean(part.partition("\n")[0], chat) for text in texts for part in paragraphs(text)]
    candidates = list(dict.fromkeys(filter(None, chain(firsts, others))))
    by_word = list({line.split()[0].lower(): line for line in reversed(candidates)}.values())[::-1]
    chosen = by_word[:COUNT] if len(by_word) >= COUNT else candidates
    return [chosen[number] for number in spread(len(chosen), COUNT)]


def spread(size: int, count: int) -> list[int]:
    """Up to `count` different numbers below `size`, evenly spread, the first of them 0."""
    return np.unique(np.linspace(0, size, min(size, count), endpoint=False).astype(int)).tolist() if size else []


def opening(data: Data, number: int, chat: bool) -> str:
    """How a document begins: its text without control codes or, of a conversation, the first message without its tag."""
    tokens, roles = data.train[number]
    tokens, roles = tokens[:TOKENS], roles[:TOKENS]
    wanted = (Role.PROMPT,) if chat else (Role.PROMPT, Role.TEXT, Role.REPLY)
    kept = tokens[np.isin(roles, wanted) & (tokens != data.description.end_of_text)]
    text = data.tokenizer.decode(kept.tolist()).strip()
    return text.removeprefix(layout_of(data.description.template).tags[0]).strip() if chat else text


def paragraphs(text: str) -> Iterator[str]:
    return (part.strip() for part in re.split(r"\n\s*\n", text)[1:])


def clean(line: str, chat: bool) -> str | None:
    """The line as a beginning, or None where it is too short, not plain words, or looks private."""
    line = line.strip()
    if PRIVATE.search(line) or not re.match(r"[\w\"“‘'¿¡(«„]", line) or line.isupper() or not line.isprintable():
        return None
    if chat:
        return line if 2 <= len(line) <= LONGEST_MESSAGE and " " in line else None
    words = line.split(" ")
    if len(words) < 3:
        return None
    return " ".join(words[:WORDS]).rstrip(" ,;:") if len(words) > WORDS else line.rstrip(" ,;:")
