"""Like rates, their intervals and effective sample sizes are what the textbooks say."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from finetune.votes.like_rates import effective_sample_size, most_liked_texts, rates_by_origin, rates_over_time
from finetune.votes.vote_table import collect_votes
from tests.finetune.votes.polls import NOW, votes


def test_like_rates_and_their_intervals() -> None:
    """Against published figures for Wilson's interval of 8 in 10."""
    [rate] = rates_by_origin(collect_votes(votes("tiny", 8, 2)))
    assert (rate.texts, rate.people, rate.votes, rate.up) == (10, 10, 10, 8)
    assert rate.effective_votes == pytest.approx(10)
    assert (rate.low, rate.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert str(rate) == "80 % (49–94)"


def test_votes_of_one_person_count_less() -> None:
    alone, alike = np.arange(100, dtype=np.int32), np.arange(100, dtype=np.int32) // 10
    mixed, agreed = np.arange(100) % 2 == 0, np.arange(100) < 50
    assert effective_sample_size(mixed, alone) == effective_sample_size(mixed, alike) == 100
    assert effective_sample_size(agreed, alike) == pytest.approx(9.09, abs=0.01)
    assert effective_sample_size(np.ones(100, bool), alike) == 10
    assert effective_sample_size(mixed, np.zeros(100, np.int32)) == 1


def test_texts_that_are_surely_liked_come_first() -> None:
    rows = [
        vote._replace(text_id=name)
        for name, ups, downs in (("often", 9, 1), ("once", 1, 0), ("never", 0, 3))
        for vote in votes(name, ups, downs)
    ]
    assert most_liked_texts(collect_votes(rows)) == [("often", 9, 10), ("once", 1, 1)]


def test_days_become_weeks_that_begin_on_mondays() -> None:
    rows = [vote._replace(at=NOW + timedelta(days=n)) for n, vote in enumerate(votes("tiny", 40, 0))]
    assert rates_over_time(collect_votes(rows[:31]))[0] == "day"
    unit, course = rates_over_time(collect_votes(rows))
    assert NOW.weekday() == 0
    assert unit == "week"
    assert [(str(day), share.votes) for day, share in course["model"].items()][:2] == [
        ("2026-11-02", 7),
        ("2026-11-09", 7),
    ]
    assert course["human"] == {}
