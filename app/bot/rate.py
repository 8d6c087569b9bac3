"""How many texts a person may ask for in a minute."""

from __future__ import annotations

import math
import time
from collections import deque

MINUTE = 60.0
# People remembered: those who asked last.
PEOPLE = 10_000


class Rate:
    """`texts` a minute, 0 for no limit."""

    def __init__(self, texts: int) -> None:
        self._texts = texts
        self._asked: dict[int, deque[float]] = {}

    def wait(self, person: int) -> int:
        """Seconds until this person may have another text."""
        asked = self._asked.get(person)
        if not asked or len(asked) < self._texts:
            return 0
        return max(0, math.ceil(asked[0] + MINUTE - time.monotonic()))

    def count(self, person: int) -> None:
        """Note that this person was given a text."""
        if not self._texts:
            return
        # Put at the end.
        self._asked[person] = asked = self._asked.pop(person, None) or deque(maxlen=self._texts)
        asked.append(time.monotonic())
        if len(self._asked) > PEOPLE:
            del self._asked[next(iter(self._asked))]
