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


class PrefixCache:
    """Keeps the newest texts that fit into `max_bytes`. Safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: list[tuple[Tokens, KVCache]] = []

    def take(self, tokens: Tokens) -> CachedPrefix | None:
        """The longest cached prefix of `tokens` [n], shorter than n, or None.

        If it is more than half of the cached text, that text leaves the prefix cache and the caller owns its KV cache.
        """
        with self._lock:
            lengths = [common_prefix(kept, tokens[:-1]) for kept, _ in self._kept]
            if not any(lengths):
                return None
            best = int(np.argmax(lengths))
            kept, cache = self._kept[best]
            owned = 2 * lengths[best] > len(kept)
            if owned:
                del self._kept[best]
            return CachedPrefix(lengths[best], cache, owned)

    def keep(self, tokens: Tokens, cache: KVCache) -> None:
        """Keep the KV cache of `tokens` [n], or of as many of them as fit. The caller must not use the arrays afterwards."""
        if size_of(cache) > self._max_bytes:
            bytes_per_token = sum(part[:, :, :1].nbytes for part in cache.values())
            tokens = tokens[: self._max_bytes // bytes_per_token]
            cache = {name: part[:, :, : len(tokens)].copy() for name, part in cache.items()}
        with self._lock:
            self._kept.insert(0, (tokens, cache))
            while sum(size_of(held) for _, held in self._kept) > self._max_bytes:
                self._kept.pop()


def size_of(cache: KVCache) -> int:
    """Bytes."""
    return sum(part.nbytes for part in cache.values())


def common_prefix(one: Tokens, other: Tokens) -> int:
    """How many tokens at the beginning are the same."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
