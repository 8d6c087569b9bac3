"""The lowest validation loss, overfitting, and the saves since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Verdicts = list[tuple[bool, bool, int]]


def verdicts(losses: list[float]) -> Verdicts:
    """After each loss: whether it rose twice, whether it is the lowest, and how many saves came after the lowest."""
    from finetune.training.validation_loss import ValidationLoss

    validation, found = ValidationLoss([], [], None), []
    for step, loss in enumerate(losses):
        validation.history.append((step, loss))
        found.append((validation.rose_twice(), validation.keep_if_lowest(), validation.saves_since_best()))
    return found


def test_the_lowest_loss_and_two_rises_after_it_are_noticed(keras: Callable[..., Any]) -> None:
    found: Verdicts = keras(verdicts, [3.0, 2.0, 2.1, 2.2, 2.15, 1.9])
    assert [twice for twice, _, _ in found] == [False, False, False, True, False, False]
    assert [lowest for _, lowest, _ in found] == [True, True, False, False, False, True]
    assert [since for _, _, since in found] == [0, 0, 1, 2, 3, 0]
