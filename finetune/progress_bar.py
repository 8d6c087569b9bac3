"""The progress bar that every verb shows while it works. In a verb of several stages it says which one it is at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

stages: list[str] = []
"""The stage that this process is at, as `2/4 train`."""


def progress_bar(name: str, total: int | None, unit: str = " steps", done: int = 0, quiet: bool = False) -> tqdm[None]:
    """A bar on stderr that disappears when it is closed.

    `unit` follows the numbers, as in " rows"; bytes are "B". `done` is where a resumed job starts. `quiet` shows nothing.
    """
    return tqdm(
        desc=at_stage(name),
        total=total,
        unit=unit,
        unit_scale=True,
        initial=done,
        leave=False,
        dynamic_ncols=True,
        disable=quiet,
    )


def at_stage(name: str) -> str:
    """What a bar is called: its own name, after the stage's."""
    return ", ".join([*stages, name])


@contextmanager
def stage(number: int, of: int, name: str) -> Iterator[None]:
    """Within it, every bar begins with the stage."""
    stages.append(f"{number}/{of} {name}")
    try:
        yield
    finally:
        stages.pop()
