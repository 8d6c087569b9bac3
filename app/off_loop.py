"""Work off the event loop: what takes long for a large request is done on a thread, while all others are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
# Characters. What is done with so many takes a millisecond, which is what two changes of threads may take.
SMALL = 4000
# One thread: with each more that computes, the event loop waits longer for its turn.
THREAD = ThreadPoolExecutor(1, thread_name_prefix="large")


async def off_loop(size: int, function: Callable[[], Result]) -> Result:
    """Call a function that works on `size` characters: at once, or on the thread that all large requests share."""
    if size <= SMALL:
        return function()
    return await asyncio.get_running_loop().run_in_executor(THREAD, function)
