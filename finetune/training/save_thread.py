"""SaveThread: writes saves and samples beside the training."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from app.engine.deadline import Deadline


class SaveThread:
    """Does its work in order, on one thread. After an error it does nothing more.

    `time_left` ends when the run must not wait for what is only nice to have, such as samples.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "save")
        self._work: list[Future[None]] = []
        self._failed = False
        self.time_left = Deadline()

    def __enter__(self) -> SaveThread:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is KeyboardInterrupt:
            self.hurry()
        self._pool.shutdown()

    def add(self, work: Callable[[], None]) -> None:
        self._work.append(self._pool.submit(self.unless_failed, work))

    def unless_failed(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise

    def check(self) -> None:
        """Raises what went wrong so far. Does not wait."""
        while self._work and self._work[0].done():
            self._work.pop(0).result()

    def wait(self) -> None:
        """Wait until all is done, and raise what went wrong."""
        while self._work:
            self._work[0].result()
            del self._work[0]
        self.time_left = Deadline()

    def hurry(self) -> None:
        """Leave out the samples that are not written yet."""
        self.time_left.at = 0.0
