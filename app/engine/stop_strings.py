"""Stop strings: from tokens to the characters that may be shown, up to where the text stops.

They are searched for in the characters, so they are found across token borders. Characters that may be the beginning of a stop
string are held back until more characters decide it, so a stream never shows a part of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.tokenizer import Detokenizer, Tokenizer


class StopStringFilter:
    """One text as it grows. It ends before the first of `stops` and `marks`, or after the first of `shown_stops`.

    Where a text breaks off within a mark, that part is not shown either. Characters of `strip` are dropped at the beginning of
    the text, before anything is searched for.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        stops: Sequence[str],
        strip: str = "",
        shown_stops: Sequence[str] = (),
        marks: Sequence[str] = (),
    ) -> None:
        self._characters = Detokenizer(tokenizer)
        self._marks = marks
        self._stops = [(stop, 0) for stop in (*stops, *marks)] + [(stop, len(stop)) for stop in shown_stops]
        self._strip = strip
        self._held = ""
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
            for mark in self._marks:
                self._held = self._held.replace(mark, "")
        found = [
            (position, position + shown)
            for stop, shown in self._stops
            if may_stop and (position := self._held.find(stop)) >= 0
        ]
        if found:
            self.stopped = True
            return self._release(min(found)[1])
        return self._release(len(self._held) - max((overlap(self._held, stop) for stop, _ in self._stops), default=0))

    def rest(self) -> str:
        """The characters that were held back, when no more tokens come. Half a character or mark at the very end is not shown."""
        if self.stopped:
            return ""
        end = len(self._held) - max((overlap(self._held, mark) for mark in self._marks), default=0)
        # Blanks with which a mark may begin are text.
        return self._release(end if self._held[end:].strip() else len(self._held))

    def _release(self, end: int) -> str:
        shown, self._held = self._held[:end], self._held[end:]
        return shown


def overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` may be the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
