"""What a reader sees of the tokens: whole characters, up to where the text stops.

Stop strings are looked for in the characters, so they are found wherever the token borders fall. What could still
become a stop string is held back until it is clear, so a stream never shows a part of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.tokenizer import Detokenizer, Tokenizer


class Text:
    """One text as it grows. `strip` drops newlines at its beginning."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str], strip: bool = False) -> None:
        self._characters = Detokenizer(tokenizer)
        self._stops = stops
        self._strip = strip
        self._held = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """Take one more token; return what can be shown now. Sets `stopped` when a stop string is complete."""
        self._held += self._characters.add(token)
        if self._strip:
            self._held = self._held.lstrip("\n")
            self._strip = not self._held
        found = [position for stop in self._stops if (position := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - max((overlap(self._held, stop) for stop in self._stops), default=0))

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
