"""StagesBar: one bar over all stages of a verb, with one percentage and one time left. What is printed appears above it."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from tqdm import tqdm

from finetune.progress_bar import ProgressBar, wholes

FORMAT = "{desc}: {percentage:3.0f}%|{bar:20}| [{elapsed}<{left}{postfix}]"


class StagesBar(tqdm):  # type: ignore[misc]  # It has no types.
    """The stages in their order, and the seconds that each is expected to take."""

    def __init__(self, expected: Mapping[str, float]) -> None:
        self.expected = dict(expected)
        self.stage_began = time.monotonic()
        self.now = next(iter(expected))
        self.part: ProgressBar | None = None
        self.share = 0.0
        super().__init__(desc=self.numbered(), total=1.0, bar_format=FORMAT, dynamic_ncols=True, file=sys.stderr)

    @property
    def format_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = super().format_dict
        return values | {"left": self.format_interval(self.seconds_left())}

    def numbered(self) -> str:
        return f"{list(self.expected).index(self.now) + 1}/{len(self.expected)} {self.now}"

    def seconds_left(self) -> float:
        """Of this stage and of those after it; 0 in the end."""
        names = list(self.expected)
        left = self.part.seconds_left() if self.part else None
        if left is None:
            left = max(0.0, self.expected[self.now] - (time.monotonic() - self.stage_began))
        return left + sum(self.expected[name] for name in names[names.index(self.now) + 1 :])

    def show(self, part: ProgressBar) -> None:
        """Show how far a part of this stage is."""
        self.part = part
        self.set_postfix_str(part.in_words(), refresh=False)
        self.advance()

    def advance(self) -> None:
        """The time that has passed, as a share of what it takes in all. It never falls."""
        passed = max(1e-9, float(self.format_dict["elapsed"]))
        self.share = max(self.share, passed / (passed + self.seconds_left()))
        self.n = self.share
        self.refresh()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Within it, every bar is a part of this stage."""
        self.now, self.stage_began, self.part = name, time.monotonic(), None
        self.set_description_str(self.numbered(), refresh=False)
        self.set_postfix_str("", refresh=False)
        self.advance()
        yield
        self.part, self.expected[name] = None, 0.0
        self.advance()


class LinesAbove(io.TextIOBase):
    """Prints whole lines on a stream, above a bar."""

    def __init__(self, stream: TextIO, bar: StagesBar) -> None:
        self.stream = stream
        self.bar = bar
        self.begun = ""

    def write(self, text: str) -> int:
        whole, newline, self.begun = (self.begun + text).rpartition("\n")
        if newline:
            with tqdm.get_lock():
                self.bar.clear()
                self.stream.write(whole + newline)
                self.stream.flush()
                self.bar.refresh()
        return len(text)

    def fileno(self) -> int:
        return self.stream.fileno()

    def isatty(self) -> bool:
        return self.stream.isatty()


@contextmanager
def stages_bar(expected: Mapping[str, float]) -> Iterator[StagesBar]:
    """Within it, what is printed appears above the bar, and the bars of all that is called are parts of it."""
    with StagesBar(expected) as bar:
        wholes.append(bar.show)
        try:
            with redirect_stdout(LinesAbove(sys.stdout, bar)), redirect_stderr(LinesAbove(sys.stderr, bar)):
                yield bar
        finally:
            wholes.remove(bar.show)
