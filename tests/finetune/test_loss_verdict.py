"""The verdict says what a person sees in the curve."""

from __future__ import annotations

import math

import pytest

from finetune.loss_verdict import judge_losses
from finetune.run_folder import LogEntry


def entries(train: list[float], validation: list[float | None]) -> list[LogEntry]:
    return [
        LogEntry(10 * (index + 1), loss, held_out, 1e-4, 100.0, float(index))
        for index, (loss, held_out) in enumerate(zip(train, validation, strict=True))
    ]


FALLING = [5.0, 4.0, 3.5, 3.2, 3.0, 2.9]
RISES = "the validation loss rises since step 30: the best save is that one"
NONE: list[float | None] = [None] * 6


@pytest.mark.parametrize(
    ("train", "validation", "trend", "said", "best"),
    [
        ([], [], "unknown", "no loss is known", None),
        (FALLING[:1], [5.1], "unknown", "too early to tell", 10),
        (FALLING, NONE, "falling", "the training loss is falling", None),
        ([3.0] * 6, NONE, "level", "the training loss has levelled off", None),
        (FALLING, [5.0, 4.2, 3.8, 3.5, 3.4, 3.3], "falling", "the validation loss is still falling", 60),
        (FALLING, [5.0, 4.2, 3.5, 3.501, 3.5, 3.499], "level", "the validation loss has levelled off", 60),
        (FALLING, [5.0, 4.2, 3.8, 3.5, 3.4, 3.6], "turning", "the validation loss was lowest at step 50", 50),
        (FALLING, [5.0, 4.2, 3.8, 3.5, 3.8, 3.6], "turning", "the validation loss was lowest at step 40", 40),
        (FALLING, [5.0, 3.3, 3.8, 3.7, 3.6, 3.5], "rising", RISES.replace("30", "20"), 20),
        (FALLING, [5.0, 4.2, 3.5, 3.6, 3.7, 3.8], "rising", RISES, 30),
        ([*FALLING[:5], math.nan], NONE, "diverged", "diverged: the loss is not a number any more", None),
        ([3.0, 2.9, 2.8, 9.0, 9.0, 9.0], NONE, "diverged", "diverged: the loss rose from 2.80 to 9.00", None),
        (FALLING, [5.0, 4.0, math.inf, 3.5, 3.4, 3.3], "falling", "the validation loss is still falling", 60),
    ],
)  # fmt: skip
def test_the_verdict(
    train: list[float], validation: list[float | None], trend: str, said: str, best: int | None
) -> None:
    verdict = judge_losses(entries(train, validation))
    assert (verdict.trend, verdict.best) == (trend, best)
    assert verdict.sentence == said
