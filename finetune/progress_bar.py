"""The progress bar that every verb shows while it works."""

from __future__ import annotations

from tqdm import tqdm


def progress_bar(name: str, total: int | None, unit: str = " steps", done: int = 0, quiet: bool = False) -> tqdm[None]:
    """A bar on stderr that disappears when it is closed.

    `unit` follows the numbers, as in " rows"; bytes are "B". `done` is where a resumed job starts. `quiet` shows nothing.
    """
    return tqdm(
        desc=name,
        total=total,
        unit=unit,
        unit_scale=True,
        initial=done,
        leave=False,
        dynamic_ncols=True,
        disable=quiet,
    )
