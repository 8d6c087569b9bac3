"""Batches are made ahead of the steps, in order, by a thread that ends with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from finetune.data.packing import Batch, empty
from finetune.training.batches_ahead import STEPS_AHEAD, batches_ahead


def numbered(step: int) -> list[Batch]:
    return [empty(1, 4)._replace(tokens=np.full((1, 4), step, np.int32))]


def failing_at(number: int) -> Callable[[int], list[Batch]]:
    def batches_of(step: int) -> list[Batch]:
        if step == number:
            raise OSError("the disk is gone")
        return numbered(step)

    return batches_of


@pytest.mark.parametrize("steps", [range(0), range(1), range(3, 20)])
def test_every_step_gets_its_batches_in_order(steps: range) -> None:
    assert [int(batch.tokens[0, 0]) for (batch,) in batches_ahead(numbered, steps)] == list(steps)


def test_what_the_thread_raises_is_raised_at_its_step() -> None:
    ahead = batches_ahead(failing_at(2), range(10))
    assert [int(next(ahead)[0].tokens[0, 0]) for _ in range(2)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)


def test_the_thread_is_a_few_steps_ahead_and_ends_when_it_is_closed() -> None:
    made, enough = [], threading.Event()

    def batches_of(step: int) -> list[Batch]:
        made.append(step)
        if step == STEPS_AHEAD:
            enough.set()
        return numbered(step)

    threads = threading.active_count()
    with closing(batches_ahead(batches_of, range(1000))) as ahead:
        next(ahead)
        assert enough.wait(60)
    assert threading.active_count() == threads
    assert made == list(range(STEPS_AHEAD + 1))
