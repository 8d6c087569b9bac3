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
        """Seconds until this person may ask again. 0 is now, and counts."""
        if not self._texts:
            return 0
        now = time.monotonic()
        asked = self._asked.pop(person, None) or deque(maxlen=self._texts)
        self._asked[person] = asked
        if len(self._asked) > PEOPLE:
            del self._asked[next(iter(self._asked))]
        if len(asked) == self._texts and now - asked[0] < MINUTE:
            return math.ceil(MINUTE - (now - asked[0]))
        asked.append(now)
        return 0
