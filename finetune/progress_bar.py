"""The progress bar that every verb shows while it works. In a verb of several stages it is a part of theirs."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

wholes: list[Callable[[ProgressBar], None]] = []
"""Who shows the progress of all stages, where there are several."""


class ProgressBar(tqdm):  # type: ignore[misc]  # It has no types.
    """A bar on stderr; as a part of a whole, nothing but what the whole shows of it."""

    def __init__(self, **options: Any) -> None:
        self.whole = wholes[-1] if wholes else None
        super().__init__(file=io.StringIO() if self.whole else None, dynamic_ncols=True, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        return self.whole(self) if self.whole else super().display(msg, pos)

    def in_words(self) -> str:
        """What the whole says of this part."""
        return (
            f"{self.desc.removesuffix(': ')} {self.n / self.total:.0%}" if self.total else self.desc.removesuffix(": ")
        )

    def seconds_left(self) -> float | None:
        """None if it is not known."""
        return None


def progress_bar(name: str, total: int | None, unit: str = " steps", done: int = 0, quiet: bool = False) -> ProgressBar:
    """A bar that disappears when it is closed.

    `unit` follows the numbers, as in " rows"; bytes are "B". `done` is where a resumed job starts. `quiet` shows nothing.
    """
    return ProgressBar(desc=name, total=total, unit=unit, unit_scale=True, initial=done, leave=False, disable=quiet)
