"""The heap of the C library, if that is glibc: all threads share one, and what is freed goes back to the system."""

from __future__ import annotations

import ctypes

# From glibc's malloc.h: the largest number of heaps.
M_ARENA_MAX = -8


def share_heap() -> None:
    """Let threads that begin from now on use the first heap.

    glibc would give each thread a heap of its own, which has no pages of 2 MB. A model that is loaded there is a fifth slower.
    """
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(M_ARENA_MAX, 1)


def return_free_memory() -> None:
    """Give what has been freed back to the system. glibc would keep it for later."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
