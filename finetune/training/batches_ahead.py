"""Batches ahead: a thread fills the rows of the next steps while a step runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

from finetune.data.packing import Batch

STEPS_AHEAD = 2


def batches_ahead(batches_of: Callable[[int], list[Batch]], steps: range) -> Generator[list[Batch], None, None]:
    """The batches of each step in order. A thread makes them, up to STEPS_AHEAD steps before they are asked for.

    What the thread raises is raised here. It ends when the generator is closed.
    """
    with ThreadPoolExecutor(1, "batches") as pool:
        filling: deque[Future[list[Batch]]] = deque()
        try:
            for step in steps:
                filling.append(pool.submit(batches_of, step))
                if len(filling) > STEPS_AHEAD:
                    yield filling.popleft().result()
            while filling:
                yield filling.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
