"""What was read and written last, kept as keys and values, so that the next turn of a chat reads only what is new.

A key computed one token at a time is not bit for bit the one computed among many, so a text that goes on from here may differ
from one that was read anew: only requests that name no seed do it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from app.engine.base import Logits, Tokens

Caches = Mapping[str, Logits]
"""By layer and part, [1, n_head, capacity, n_embd / n_head]."""


class PrefixCache:
    """The newest texts that fit into so many bytes. Safe to use from several threads."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._kept: list[tuple[Tokens, Caches]] = []

    def take(self, tokens: Tokens) -> tuple[int, Caches | None, bool]:
        """How many of `tokens` [n], never all, begin a text that is kept; its keys and values; whether they are yours.

        They are where more than half of that text is gone on from: it is kept no longer, and may be written over.
        """
        with self._lock:
            found = [common(kept, tokens[:-1]) for kept, _ in self._kept]
            if not any(found):
                return 0, None, False
            best = int(np.argmax(found))
            kept, caches = self._kept[best]
            yours = 2 * found[best] > len(kept)
            if yours:
                del self._kept[best]
            return found[best], caches, yours

    def keep(self, tokens: Tokens, caches: Caches) -> None:
        """Keep the keys and values of `tokens` [n], as many as there is room for. The arrays are given away with it."""
        if size_of(caches) > self._room:
            tokens = tokens[: self._room // sum(cache[:, :, :1].nbytes for cache in caches.values())]
            caches = {name: cache[:, :, : len(tokens)].copy() for name, cache in caches.items()}
        with self._lock:
            self._kept.insert(0, (tokens, caches))
            while sum(size_of(held) for _, held in self._kept) > self._room:
                self._kept.pop()


def size_of(caches: Caches) -> int:
    """Bytes."""
    return sum(cache.nbytes for cache in caches.values())


def common(one: Tokens, other: Tokens) -> int:
    """Tokens at the beginning that are the same."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
