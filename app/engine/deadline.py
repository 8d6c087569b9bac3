"""The deadline of a generation, which every loop asks between two steps: a chunk of a prompt, a token, a text, a prompt."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final


class DeadlinePassed(Exception):
    """The time is up. Nobody but the code that runs generations sees this."""


@dataclass(eq=False)
class Deadline:
    """When a generation must have ended, in seconds of time.monotonic(). It may be moved meanwhile, from any thread."""

    at: float = math.inf

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at

    def check(self) -> None:
        """Raises DeadlinePassed."""
        if self.passed:
            raise DeadlinePassed


NEVER: Final = Deadline()
"""For callers who wait as long as it takes. It is never moved."""
