"""Results of queries: asked for once for all who wait, and shown again for a while if each query is billed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class QueryResult(NamedTuple, Generic[T]):
    """A result, and how many seconds ago it was asked for."""

    value: T
    age: float


class QueryCache(Generic[T]):
    """Keeps what `ask` returns for `seconds`. A failure is not kept."""

    def __init__(
        self, ask: Callable[[], Coroutine[Any, Any, T]], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._asked: asyncio.Task[T] | None = None
        self._at = 0.0

    async def result(self) -> QueryResult[T]:
        """Raises StoreError."""
        if self._asked is None or (self._asked.done() and self._is_over(self._asked)):
            self._asked, self._at = asyncio.create_task(self._ask()), self._clock()
        # Shielded, because others may wait for the same result.
        value = await asyncio.shield(self._asked)
        return QueryResult(value, self._clock() - self._at)

    def _is_over(self, asked: asyncio.Task[T]) -> bool:
        failed = asked.cancelled() or asked.exception() is not None
        return failed or self._clock() - self._at >= self._seconds
