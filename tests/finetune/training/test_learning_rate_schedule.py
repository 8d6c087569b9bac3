"""The learning-rate schedule: linear warm-up, then half a cosine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.training.options import TrainingOptions


def learning_rates(options: dict[str, Any]) -> list[float]:
    """The learning rate at each step from 0 to the last."""
    from keras import ops

    from finetune.training.learning_rate_schedule import learning_rate_schedule

    chosen = TrainingOptions(data=Path("data"), out=Path("out"), **options)
    schedule = learning_rate_schedule(chosen)
    return [float(ops.convert_to_numpy(schedule(step))) for step in range(chosen.steps + 1)]


def test_it_warms_up_linearly_and_decays_along_half_a_cosine(keras: Callable[..., Any]) -> None:
    rates = keras(learning_rates, {"steps": 14, "learning_rate": 1.0, "warmup": 4, "decay_to": 0.2})
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[9] == pytest.approx(0.6)
    assert rates[14] == pytest.approx(0.2)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_it_is_constant_when_it_decays_to_the_whole(keras: Callable[..., Any]) -> None:
    assert set(keras(learning_rates, {"steps": 5, "learning_rate": 0.5, "decay_to": 1.0})) == {0.5}
