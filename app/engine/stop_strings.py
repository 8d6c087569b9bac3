"""What a reader sees of the tokens: whole characters, up to where the text stops.

Stop strings are looked for in the characters, so they are found wherever the token borders fall. What could still
become a stop string is held back until it is clear, so a stream never shows a part of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.tokenizer import Detokenizer, Tokenizer


class StopStringFilter:
    """One text as it grows. Characters of `strip` are dropped at its beginning.

    It ends before the first of `stops` and after the first of `shown_stops`.
    """

    def __init__(
        self, tokenizer: Tokenizer, stops: Sequence[str], strip: str = "", shown_stops: Sequence[str] = ()
    ) -> None:
        self._characters = Detokenizer(tokenizer)
        self._stops = [(stop, 0) for stop in stops] + [(stop, len(stop)) for stop in shown_stops]
        self._strip = strip
        self._held = ""
        self.stopped = False
        # Characters that the tokens came to so far, whether they could be shown or not.
        self.length = 0

    @property
    def settled(self) -> int:
        """How many of the characters have been shown or dropped."""
        return self.length - len(self._held)

    def add(self, token: int, may_stop: bool = True) -> str:
        """Take one more token; return what can be shown now.

        Sets `stopped` when a stop string is complete. Those that are before the text `may_stop` do not count.
        """
        new = self._characters.add(token)
        self.length += len(new)
        self._held += new
        if self._strip:
            self._held = self._held.lstrip(self._strip)
            self._strip = "" if self._held else self._strip
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
        """What was held back, when no more tokens come. Half a character at the very end is not shown."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, end: int) -> str:
        shown, self._held = self._held[:end], self._held[end:]
        return shown


def overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` could be the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
