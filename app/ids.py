"""Ids of requests and replies, and seeds: unlikely to repeat, and no secrets."""

from __future__ import annotations

import random

# With a seed of its own. `secrets` asks the system each time, where another thread may take the interpreter away.
CHANCE = random.Random()


def new_id(prefix: str = "", size: int = 16) -> str:
    """The prefix and so many random bytes as hexadecimal digits."""
    return f"{prefix}{CHANCE.randbytes(size).hex()}"


def new_seed() -> int:
    """A seed of 32 bits."""
    return CHANCE.getrandbits(32)
