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
"""By layer and part, [1, n_head, positions, n_embd / n_head]."""


class Prefixes:
    """The newest texts that fit into so many bytes. Safe to use from several threads."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._kept: list[tuple[Tokens, Caches]] = []

    def find(self, tokens: Tokens) -> tuple[int, Caches]:
        """How many of `tokens` [n], never all, begin a text that is kept, and its keys and values."""
        with self._lock:
            found = [(common(kept, tokens[:-1]), caches) for kept, caches in self._kept]
        return max(found, key=lambda one: one[0], default=(0, {}))

    def keep(self, tokens: Tokens, caches: Caches) -> None:
        """Copy the keys and values of `tokens` [n], as many as there is room for; what these go on from is replaced."""
        size = sum(cache[:, :, :1].nbytes for cache in caches.values())
        tokens = tokens[: self._room // size]
        copies = {name: cache[:, :, : len(tokens)].copy() for name, cache in caches.items()}
        with self._lock:
            kept = [(other, held) for other, held in self._kept if common(other, tokens) < len(other)]
            self._kept = [(tokens, copies), *kept]
            while sum(len(other) for other, _ in self._kept) * size > self._room:
                self._kept.pop()


def common(one: Tokens, other: Tokens) -> int:
    """Tokens at the beginning that are the same."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
