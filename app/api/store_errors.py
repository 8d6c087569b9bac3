"""The store's errors as replies: 503 with Retry-After, within ten seconds also where a request makes several calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import StoreError, Unavailable

# Seconds for all calls of one request.
SECONDS = 9.0


@asynccontextmanager
async def storing(seconds: float | None = SECONDS) -> AsyncIterator[None]:
    """`seconds` is None where more than the store is waited for. Raises Unavailable."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise unavailable(StoreError("votes cannot be stored or read in time: try again later.")) from None
    except StoreError as error:
        raise unavailable(error) from None


def unavailable(error: StoreError) -> Unavailable:
    return Unavailable(str(error), error.retry_after, "store_unavailable")
