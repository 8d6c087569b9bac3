"""Clients that leave: cancels work as soon as nobody waits for its result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from app.api.state import State

T = TypeVar("T")


async def while_connected(request: Request[State], work: Awaitable[T]) -> T:
    """Await `work`, but cancel it when the client leaves. Raises ClientDisconnect."""
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(disconnected(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        left.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def disconnected(request: Request[State]) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
