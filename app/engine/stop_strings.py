"""Stop strings: from tokens to the characters that may be shown, up to where the text stops.

They are searched for in the characters, so they are found across token borders. Characters that may be the beginning of a stop
string are held back until more characters decide it, so a stream never shows a part of one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.engine.tokenizer import Detokenizer, Tokenizer


class StopStringFilter:
    """One text as it grows. It ends before the first of `stops`, `marks` and `tags`, or after the first of `shown_stops`.

    Where a text breaks off within a mark or a tag, that part is not shown either. White space before a tag belongs to it. A tag
    that begins with a line end is searched for where lines begin, and the text does unless it `follows` other text. Characters of
    `strip` are dropped at the beginning of the text, before anything is searched for.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        stops: Sequence[str],
        strip: str = "",
        shown_stops: Sequence[str] = (),
        marks: Sequence[str] = (),
        tags: Sequence[str] = (),
        follows: str = "",
    ) -> None:
        self._characters = Detokenizer(tokenizer)
        self._marks = marks
        self._tags = [TurnTag(tag) for tag in tags]
        self._stops = [(stop, 0) for stop in (*stops, *marks)] + [(stop, len(stop)) for stop in shown_stops]
        # The stop string that ended the text. It stays empty where a mark or a tag did.
        self.found = ""
        self._strip = strip
        self._held = ""
        self._last = follows[-1:]
        self.stopped = False
        # Characters of all the tokens so far, shown or not.
        self.length = 0

    @property
    def settled(self) -> int:
        """Characters that have been shown or dropped, and will not change any more."""
        return self.length - len(self._held)

    def add(self, token: int, may_stop: bool = True) -> str:
        """Add a token; return the characters that can be shown now.

        Sets `stopped` when a stop string is complete. Unless the text `may_stop`, marks are left out and the text goes on,
        and other stop strings do not count.
        """
        new = self._characters.add(token)
        self.length += len(new)
        self._held += new
        if self._strip:
            self._held = self._held.lstrip(self._strip)
            self._strip = "" if self._held else self._strip
        if not may_stop:
            self._held = self._without_marks()
        ends = self._ends() if may_stop else []
        if ends:
            self.stopped = True
            _, shown, self.found = min(ends)
            return self._release(shown)
        return self._release(len(self._held) - max([self._tag_overlap(blanks=True), *self._overlaps()]))

    def rest(self) -> str:
        """The characters that were held back, when no more tokens come. Half a character or mark at the very end is not shown."""
        if self.stopped:
            return ""
        end = len(self._held) - max(
            [self._tag_overlap(blanks=False), *(overlap(self._held, mark) for mark in self._marks)]
        )
        # Blanks with which a mark may begin are text.
        return self._release(end if self._held[end:].strip() else len(self._held))

    def _ends(self) -> list[tuple[int, int, str]]:
        """Where the text could end: where what ends it begins, how much is shown, and the stop string if it is one."""
        stops = [
            (position, position + shown, "" if stop in self._marks else stop)
            for stop, shown in self._stops
            if (position := self._held.find(stop)) >= 0
        ]
        tags = [found for tag in self._tags if (found := tag.find(self._held, self._last)) is not None]
        return stops + [(found, found, "") for found in tags]

    def _without_marks(self) -> str:
        """What is held back, without marks and tags, where the text must go on."""
        held = self._held
        for mark in self._marks:
            held = held.replace(mark, "")
        for tag in self._tags:
            held = tag.removed(held)
        return held

    def _overlaps(self) -> list[int]:
        return [overlap(self._held, stop) for stop, _ in self._stops]

    def _tag_overlap(self, *, blanks: bool) -> int:
        """How many of the last characters may be the beginning of a tag with the white space before it, or `blanks` alone."""
        found = [tag.overlap(self._held, self._last) for tag in self._tags]
        blank = len(self._held) - len(self._held.rstrip()) if blanks and self._tags else 0
        return max([blank, *found])

    def _release(self, end: int) -> str:
        shown, self._held = self._held[:end], self._held[end:]
        self._last = shown[-1:] or self._last
        return shown


class TurnTag:
    """The tag of a turn, which ends the turn before it. It may begin with a line end, and then stands where a line begins."""

    def __init__(self, tag: str) -> None:
        self._tag = tag.removeprefix("\n")
        self._at_line = tag.startswith("\n")
        # A word such as `Bot` is no tag within another word.
        word = re.escape(self._tag)
        word = rf"(?<!\w){word}" if re.match(r"\w", self._tag) else word
        self._longest = len(self._tag) - 1
        if re.search(r"\w\Z", self._tag):
            self._longest, word = len(self._tag), rf"{word}(?=\W)"
        self._inside = re.compile((r"\s*\n\s*" if self._at_line else r"\s*") + word)
        self._at_start = re.compile(rf"\s*{word}")

    def find(self, text: str, last: str) -> int | None:
        """Where the tag with the white space before it begins in `text`. `last` is the character before that, if there is any."""
        found = None if last else self._at_start.match(text)
        found = found or self._inside.search(last + text, len(last))
        return found.start() - len(last) if found else None

    def removed(self, text: str) -> str:
        return self._inside.sub("", text)

    def overlap(self, text: str, last: str) -> int:
        """How many of the last characters of `text` may be the beginning of the tag, with the white space before it.

        0 if that is white space alone.
        """
        for length in range(min(len(text), self._longest), 0, -1):
            if text.endswith(self._tag[:length]):
                before = text[: len(text) - length].rstrip()
                blanks = text[len(before) : len(text) - length]
                if not self._at_line or "\n" in blanks or not (last or before):
                    return len(text) - len(before)
        return 0


def overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` may be the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
