"""The learning-rate schedule: linear warm-up, then half a cosine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.training.options import TrainingOptions


def learning_rates(options: dict[str, Any]) -> list[float]:
    """The learning rate at each step from 0 to the last. The log has the same."""
    from keras import ops

    from finetune.training.learning_rate_schedule import learning_rate_at, learning_rate_schedule

    chosen = TrainingOptions(data=Path("data"), out=Path("out"), **options)
    schedule = learning_rate_schedule(chosen)
    rates = [float(ops.convert_to_numpy(schedule(step))) for step in range(chosen.steps + 1)]
    assert [learning_rate_at(chosen, step) for step in range(chosen.steps + 1)] == pytest.approx(rates)
    return rates


def test_it_warms_up_linearly_and_decays_along_half_a_cosine(keras: Callable[..., Any]) -> None:
    rates = keras(learning_rates, {"steps": 14, "learning_rate": 1.0, "warmup": 4, "decay_to": 0.2})
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[9] == pytest.approx(0.6)
    assert rates[14] == pytest.approx(0.2)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_warm_up_may_last_to_the_end(keras: Callable[..., Any]) -> None:
    rates = keras(learning_rates, {"steps": 4, "learning_rate": 1.0, "warmup": 9})
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_it_is_constant_when_it_decays_to_the_whole(keras: Callable[..., Any]) -> None:
    assert set(keras(learning_rates, {"steps": 5, "learning_rate": 0.5, "decay_to": 1.0})) == {0.5}
