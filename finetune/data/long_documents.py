"""Long documents: cut into stretches, which are compared, held out and tokenized one by one, and then joined again.

A document of up to LONGEST_TEXT characters is one stretch. A longer one is cut at paragraphs, else lines, else words. Its
neighbouring stretches are joined again unless one of them was dropped or held out: there a border is put, an end of text that
does not count in the loss. So memory holds a stretch at a time, and a single book still has text to validate on.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LONGEST_TEXT = 2**16
"""Characters of a document that is not cut."""
STRETCH = 6 * 2**10
"""Characters of a stretch at most, and twice as many as at least: about what GPT-2's window holds."""
SLACK = 32
"""Characters at the end of the text read so far that may belong to an incomplete mark, and that choose where to cut."""
# All are before white space, where GPT-2's tokenizer cuts too.
BORDERS = [re.compile(rf"(?<=\S)(?={space})") for space in (r"[ \t]*\n[ \t]*\n", r"[ \t]*\n", r"\s")]


class Stretch(NamedTuple):
    """A text, or a part of one. `first` and `last` say whether the text begins and ends with it."""

    text: str
    first: bool = True
    last: bool = True

    def stripped(self) -> str:
        """The text without the white space around the whole."""
        text = self.text.lstrip() if self.first else self.text
        return text.rstrip() if self.last else text


def stretches_of(text: str, first: bool = True) -> Iterator[Stretch]:
    """A text, or the rest of one, in stretches."""
    *pieces, last = cut(text, first)
    for piece in pieces:
        yield Stretch(piece, first, last=False)
        first = False
    yield Stretch(last, first)


def split_text(blocks: Iterable[str], border: re.Pattern[str]) -> Iterator[Stretch]:
    """The texts between matches of `border`, from a text that comes in blocks.

    Blank text before the first border and after the last one is dropped.
    """
    rest, bordered, first = "", False, True
    for block in chain(blocks, [None]):
        rest += block or ""
        start, end = 0, len(rest) - (SLACK if block is not None else 0)
        for match in border.finditer(rest):
            if match.end() > len(rest) - SLACK and block is not None:  # The border may continue in the next block.
                end = match.start()
                break
            if bordered or not first or not is_blank(rest[start : match.start()]):
                yield from stretches_of(rest[start : match.start()], first)
            start, bordered, first = match.end(), True, True
        *pieces, last = cut(rest[start : max(start, end)], first)
        for piece in pieces:
            yield Stretch(piece, first, last=False)
            first = False
        rest = last + rest[max(start, end) :]
    if not (bordered and first and is_blank(rest)):
        yield Stretch(rest, first)


def is_blank(text: str) -> bool:
    return not text or text.isspace()


def cut(text: str, first: bool) -> Iterator[str]:
    """Pieces of at most STRETCH characters; the last may be longer by SLACK. A whole text may be as long as LONGEST_TEXT."""
    start, most = len(text) - len(text.lstrip()) if first else 0, LONGEST_TEXT if first else STRETCH
    if len(text) - start <= most + SLACK:
        yield text
        return
    while len(text) - start > STRETCH + SLACK:
        end = place_to_cut(text, start)
        yield text[start:end]
        start = end
    yield text[start:]


def place_to_cut(text: str, start: int) -> int:
    """Where to end the stretch that begins at `start`: at a paragraph in its second half, else a line, else a word.

    Which of them, the characters behind it decide. So a text is cut at the same places when its beginning changes.
    """
    for border in BORDERS:
        places = [match.end() for match in border.finditer(text, start + STRETCH // 2, start + STRETCH)]
        if places:
            return min(
                places, key=lambda place: zlib.crc32(text[place : place + SLACK].encode("utf-8", "surrogatepass"))
            )
    return start + STRETCH


@dataclass(frozen=True)
class StretchTable:
    """Which stretches belong together. A stretch `goes_on` in the next one unless its document ends, [stretch]."""

    goes_on: NDArray[np.bool_]

    @property
    def begins(self) -> NDArray[np.bool_]:
        """Whether a document begins with it, [stretch]."""
        return np.concatenate([np.ones(len(self.goes_on[:1]), np.bool_), ~self.goes_on[:-1]])

    @property
    def is_whole(self) -> NDArray[np.bool_]:
        """Whether it is a whole document, [stretch]."""
        return self.begins & ~self.goes_on

    def documents(self, chosen: NDArray[np.bool_]) -> int:
        """The number of documents of which a stretch is `chosen`, [stretch]."""
        return int(np.count_nonzero(self.any_of(chosen)))

    def stretches(self, chosen: NDArray[np.bool_]) -> int:
        """The number of stretches of the documents that are `chosen`, [document]."""
        return int(np.diff(np.flatnonzero(np.append(self.begins, True)))[chosen].sum())

    def any_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether a stretch is `chosen`, [document]."""
        if not len(chosen):
            return chosen
        found: NDArray[np.bool_] = np.logical_or.reduceat(chosen, np.flatnonzero(self.begins))
        return found

    def joined(self, chosen: NDArray[np.bool_], held_out: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether a stretch is written together with the next one: both are `chosen`, for the same split, [stretch]."""
        joined = self.goes_on & chosen
        joined[:-1] &= chosen[1:] & (held_out[:-1] == held_out[1:])
        joined[-1:] = False
        return joined
