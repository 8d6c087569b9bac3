"""The prefix cache: KV caches of the newest texts, so that a chat's next turn reads only its new tokens.

A key computed for one token at a time differs in its last bits from the same key computed among many. A text that reuses a prefix
may therefore differ from one that does not, so only requests without a seed reuse prefixes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Tokens

KVCache = Mapping[str, NDArray[np.float32]]
"""Keys and values of one text, by part and layer (key_0, value_0, …), each [1, n_head, capacity, n_embd / n_head]."""


class CachedPrefix(NamedTuple):
    """The first `length` tokens of a cached text. If `owned`, the KV cache is the caller's to write to."""

    length: int
    cache: KVCache
    owned: bool


class CachedText(NamedTuple):
    """The tokens [n] of a text that was cached, the name of the model that read them, and its KV cache."""

    model: str
    tokens: Tokens
    cache: KVCache


class PrefixCache:
    """Keeps the newest texts of all models that fit into `max_bytes`. Safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: list[CachedText] = []

    @property
    def bytes(self) -> int:
        """The size of what is kept."""
        with self._lock:
            return self._size()

    def take(self, model: str, tokens: Tokens) -> CachedPrefix | None:
        """The longest cached prefix of `tokens` [n] that this model has read, shorter than n, or None.

        If it is more than half of the cached text, that text leaves the prefix cache and the caller owns its KV cache.
        """
        with self._lock:
            lengths = [common_prefix(text.tokens, tokens[:-1]) if text.model == model else 0 for text in self._kept]
            if not any(lengths):
                return None
            best = int(np.argmax(lengths))
            text = self._kept[best]
            owned = 2 * lengths[best] > len(text.tokens)
            if owned:
                del self._kept[best]
            return CachedPrefix(lengths[best], text.cache, owned)

    def keep(self, model: str, tokens: Tokens, cache: KVCache) -> None:
        """Keep the KV cache of `tokens` [n], or of as many of them as fit. The caller must not use the arrays afterwards."""
        if size_of(cache) > self._max_bytes:
            bytes_per_token = sum(part[:, :, :1].nbytes for part in cache.values())
            tokens = tokens[: self._max_bytes // bytes_per_token]
            cache = {name: part[:, :, : len(tokens)].copy() for name, part in cache.items()}
        with self._lock:
            self._kept.insert(0, CachedText(model, tokens, cache))
            self._shrink(self._max_bytes)

    def shrink(self, most: int) -> None:
        """Drop the oldest texts until no more than `most` bytes are kept."""
        with self._lock:
            self._shrink(most)

    def _shrink(self, most: int) -> None:
        while self._kept and self._size() > most:
            self._kept.pop()

    def _size(self) -> int:
        return sum(size_of(text.cache) for text in self._kept)


def size_of(cache: KVCache) -> int:
    """Bytes."""
    return sum(part.nbytes for part in cache.values())


def common_prefix(one: Tokens, other: Tokens) -> int:
    """How many tokens at the beginning are the same."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
