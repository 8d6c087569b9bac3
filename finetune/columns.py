"""Columns in the terminal: tables, and sizes and shapes of models in few characters."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from app.engine.bundle import Hparams


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """The rows as lines. The columns `right`, of numbers, end at the same place."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            text.rjust(width) if number in right else text.ljust(width)
            for number, (text, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return [line(cells) for cells in rows]


def shown_bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def shown_parameters(count: int) -> str:
    """124M, as models are called."""
    if count < 1e6:
        return f"{count / 1e3:.0f}k"
    return f"{count / 1e6:.1f}M" if count < 1e7 else f"{count / 1e6:.0f}M"


def shown_shape(hparams: Hparams) -> str:
    return f"{hparams.n_layer} layers, {hparams.n_embd} wide"
