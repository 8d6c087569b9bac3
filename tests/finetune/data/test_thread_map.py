"""Results come in order, and errors where they belong."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from finetune.data.thread_map import THREADS, thread_map


def test_results_are_in_order_though_some_take_longer() -> None:
    def slowly(number: int) -> int:
        time.sleep(0.01 * (number % 3 == 0))
        return number

    assert list(thread_map(slowly, range(10))) == list(range(10))


def test_an_error_comes_after_the_results_before_it() -> None:
    results = thread_map(lambda number: 6 / number, [1, 2, 0, 3])
    assert [next(results), next(results)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_only_a_few_items_are_taken_at_a_time() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    next(thread_map(lambda number: number, items()))
    assert len(taken) == THREADS + 1
