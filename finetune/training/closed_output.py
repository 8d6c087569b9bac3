"""A terminal or a pipe that closes during a run: the run goes on, and what it prints is dropped."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

from finetune.terminal import drop_output


class DroppedWhenClosed:
    """A text stream, such as sys.stderr. What can no longer be written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self.dropped():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self.dropped():
            self._stream.flush()

    @contextmanager
    def dropped(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # ValueError: closed by this process.
            drop_output(self._stream)


@contextmanager
def output_may_close() -> Iterator[None]:
    """A terminal or a pipe that closes meanwhile is no reason to end."""
    with ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(DroppedWhenClosed(sys.stdout)))
        stack.enter_context(contextlib.redirect_stderr(DroppedWhenClosed(sys.stderr)))
        yield
