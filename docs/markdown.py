"""Markdown for generated tables."""

from __future__ import annotations

from collections.abc import Iterable


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def code(value: object) -> str:
    """A value as the page shows it; nothing for a value that is empty."""
    return "" if value is None or value == [] else f"`{value}`" if value != "" else "empty"
