"""The heap of the C library, if that is glibc: all threads share one, and what is freed goes back to the system."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections.abc import Iterator

# From glibc's malloc.h: the largest number of heaps, and the size from which on a block has memory of its own.
M_ARENA_MAX = -8
M_MMAP_THRESHOLD = -3
# That size in bytes, while weights are loaded: they lie side by side in pages of 2 MB. With the other, the tokens of 124M took a
# fifth longer (measured).
LARGE_WEIGHTS = 2**22
# And afterwards: what is so large, such as a long reply, goes back to the system at once, and leaves no hole in the heap over
# which small blocks would spread. What each token needs is smaller.
LARGE_BLOCK = 2**19
# Seconds. Small blocks leave holes, too.
RETURN_SECONDS = 60.0


def share_heap() -> None:
    """Let threads that begin from now on use the first heap.

    glibc would give each thread a heap of its own, which has no pages of 2 MB. A model that is loaded there is a fifth slower.
    """
    set_option(M_ARENA_MAX, 1)


@contextlib.contextmanager
def loading_weights() -> Iterator[None]:
    """Let weights lie in the heap, and large blocks outside of it from then on."""
    set_option(M_MMAP_THRESHOLD, LARGE_WEIGHTS)
    try:
        yield
    finally:
        set_option(M_MMAP_THRESHOLD, LARGE_BLOCK)


def set_option(number: int, value: int) -> None:
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(number, value)


def return_free_memory() -> None:
    """Give what has been freed back to the system. glibc would keep it for later."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


async def return_free_memory_regularly() -> None:
    """Do so until this is cancelled. A server would keep the holes that its busiest moments left."""
    while True:
        await asyncio.sleep(RETURN_SECONDS)
        await asyncio.to_thread(return_free_memory)
