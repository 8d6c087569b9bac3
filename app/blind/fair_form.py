"""Fair form: white space, quotation marks and length are the same for texts by models and by people, and tell nothing."""

from __future__ import annotations

import re

from app.blind.jokes import Joke

LONGEST = 400
"""Characters of a question, and of an answer."""
SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|\Z)|[。！？]")  # Full width, as in Chinese.
# A keyboard has the signs on the right. A telephone and a word processor write the others.
TYPED = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "…": "...", "—": "-", "–": "-", "\ufeff": ""}
)


def fair(joke: Joke) -> Joke:
    """A joke by a person as it is shown."""
    return Joke(as_typed(joke.question)[:LONGEST], ending(as_typed(joke.answer), ended=True))


def fair_answer(text: str, like: Joke, ended: bool) -> str:
    """A model's text as it is shown where `like`, a person's, might have been. `ended`: the model has ended it by itself."""
    return ending(as_typed(text), ended, len(like.answer))


def as_typed(text: str) -> str:
    """The text on one line, with plain signs."""
    return " ".join(text.translate(TYPED).split())


def ending(text: str, ended: bool, least: int = LONGEST) -> str:
    """The text itself if it is whole; else its first whole sentences of at least `least` characters, or fewer if it has no more.

    A text without the end of a sentence is cut between two words.
    """
    if ended and len(text) <= LONGEST:
        return text
    ends = [found.end() for found in SENTENCE_END.finditer(text[:LONGEST])]
    ends = ends or [found.start() for found in re.finditer(r" |\Z", text) if found.start() <= LONGEST] or [LONGEST]
    return text[: next((end for end in ends if end >= least), ends[-1])]
