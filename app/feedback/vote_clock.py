"""The time of a vote: that of the wall clock, and never before that of the vote before, though the clock be set back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TICK = timedelta(microseconds=1)


class VoteClock:
    """One for all votes of a process, since a voter's latest vote counts."""

    def __init__(self) -> None:
        self._latest = datetime.fromtimestamp(0, UTC)

    def now(self) -> datetime:
        self._latest = max(datetime.now(UTC), self._latest + TICK)
        return self._latest


VOTE_CLOCK = VoteClock()
