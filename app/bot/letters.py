"""Whether a model's vocabulary has the letters that somebody writes in, as far as that can be known."""

from __future__ import annotations

from collections import Counter

from app.engine.tokenizer import Tokenizer

# Token ids of single bytes, and of the end of a text: a vocabulary without more tells nothing about letters.
BYTES = 257


def has_letters(tokenizer: Tokenizer, text: str) -> bool:
    """False if most letters of the text are unknown: those that the vocabulary spells byte by byte, also after a space.

    A vocabulary is learned from texts, and joins what is frequent there. A letter that it never joins was hardly ever seen.
    """
    letters = Counter(character for character in text if character.isalpha())
    if len(tokenizer) <= BYTES or not letters:
        return True
    unknown = sum(count for letter, count in letters.items() if not is_known(tokenizer, letter))
    return 2 * unknown <= letters.total()


def is_known(tokenizer: Tokenizer, letter: str) -> bool:
    size = len(letter.encode(errors="replace"))
    return size == 1 or len(tokenizer.encode(letter)) < size or len(tokenizer.encode(f" {letter}")) <= size
