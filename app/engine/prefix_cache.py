"""The prefix cache: slots that are kept after their text, so that a chat's next turn reads only its new tokens.

Where the engine shares passes, a text is the same to the bit with a reused prefix or without. Elsewhere a key computed for one
token at a time differs in its last bits from the same key computed among many, so only requests without a seed reuse prefixes.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

from app.engine.base import Tokens

PREFIX_CACHE_BYTES = 96 * 2**20
"""The size of the prefix cache of a server, and of a chat in a terminal."""


# Of a slot's tokens: reading the rest again costs less than the room for both.
NEARLY = 15 / 16


class KeptSlot(NamedTuple):
    """A slot of the model's batch whose first positions hold `tokens` [n], in so many bytes."""

    model: str
    tokens: Tokens
    slot: int
    bytes: int


class PrefixCache:
    """Which slots of all models are kept: those used last that fit into `max_bytes`. Safe to use from several threads.

    The batch of the model alone touches what is in a slot. It asks which slots it may release: see `take_dropped`.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        # From the most to the least recently used.
        self._kept: list[KeptSlot] = []
        self._dropped: list[KeptSlot] = []

    @property
    def bytes(self) -> int:
        """The size of what is kept."""
        with self._lock:
            return self._size()

    def find(self, model: str, tokens: Tokens) -> tuple[int, int] | None:
        """The slot with the longest prefix of `tokens` [n] that this model has read, and its length; None without any."""
        with self._lock:
            lengths = [common_prefix(kept.tokens, tokens) if kept.model == model else 0 for kept in self._kept]
            if not any(lengths):
                return None
            best = int(np.argmax(lengths))
            self._kept.insert(0, self._kept.pop(best))
            return self._kept[0].slot, lengths[best]

    def keep(self, kept: KeptSlot) -> None:
        """Keep a slot, instead of those of which it holds nearly everything, such as the same text a few words ago."""
        with self._lock:
            for other in [*self._kept]:
                if other.model == kept.model and common_prefix(other.tokens, kept.tokens) >= NEARLY * len(other.tokens):
                    self._drop(other)
            self._kept.insert(0, kept)
            self._shrink(self.max_bytes)

    def shrink(self, most: int) -> None:
        """Drop the slots used least recently until no more than `most` bytes are kept."""
        with self._lock:
            self._shrink(most)

    def drop_oldest(self, model: str) -> None:
        """Drop the model's slot that was used least recently."""
        with self._lock:
            for kept in [kept for kept in self._kept if kept.model == model][-1:]:
                self._drop(kept)

    def forget(self, model: str) -> None:
        """All the model's slots are gone."""
        with self._lock:
            self._kept = [kept for kept in self._kept if kept.model != model]
            self._dropped = [kept for kept in self._dropped if kept.model != model]

    def take_dropped(self, model: str) -> list[int]:
        """The model's slots that have been dropped since this was asked before: their memory may be released."""
        with self._lock:
            mine = [kept for kept in self._dropped if kept.model == model]
            self._dropped = [kept for kept in self._dropped if kept.model != model]
            return [kept.slot for kept in mine]

    def _shrink(self, most: int) -> None:
        while self._kept and self._size() > most:
            self._drop(self._kept[-1])

    def _drop(self, kept: KeptSlot) -> None:
        self._kept = [other for other in self._kept if other is not kept]
        self._dropped.append(kept)

    def _size(self) -> int:
        return sum(kept.bytes for kept in self._kept)


def common_prefix(one: Tokens, other: Tokens) -> int:
    """How many tokens at the beginning are the same."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
