"""The bar that shows how far a fetch is."""

from __future__ import annotations

from tqdm import tqdm


def bar(name: str, total: int | None, unit: str, done: int = 0) -> tqdm[None]:
    """A bar of bytes (unit B) or of whatever else is counted; gone when it is full."""
    return tqdm(desc=name, total=total, unit=unit, unit_scale=True, initial=done, leave=False, dynamic_ncols=True)
