"""`list`: the runs and bundles of this folder.

python -m finetune list
"""

from __future__ import annotations

from collections.abc import Sequence

from finetune.inventory import StoredModel, stored_models
from finetune.readable_json import readable_json

HEADINGS = ("", "name", "kind", "shape", "step", "validation loss", "size", "date")
RIGHT = (4, 5, 6)
"""The columns of numbers."""


def list_(*, json: bool = False) -> None:
    """Show the runs and bundles of this folder: shape, step, validation loss, size and date.

    Args:
        json: print one JSON list instead of a table
    """
    models = stored_models()
    if json:
        print(readable_json(models).decode(), end="")
    elif not models:
        print("There are no bundles in models/ and no runs in checkpoint/ of this folder.")
    else:
        print("\n".join([*table([HEADINGS, *map(row, models)]), *notes(models)]))


def notes(models: Sequence[StoredModel]) -> list[str]:
    default = ["* is the default: what is served and deployed."] if any(model.default for model in models) else []
    return [*default, *(f"{model.name}: {model.problem}" for model in models if model.problem)]


def row(model: StoredModel) -> tuple[str, ...]:
    loss = "" if model.validation_loss is None else f"{model.validation_loss:.3f}"
    step = "" if model.step is None else f"{model.step:,}"
    return (
        "*" if model.default else "",
        model.name,
        model.kind,
        shape(model),
        step,
        loss,
        size(model.bytes),
        f"{model.date.astimezone():%Y-%m-%d %H:%M}",
    )


def shape(model: StoredModel) -> str:
    if model.hparams is None or model.parameters is None:
        return "unknown"
    return f"{millions(model.parameters)}: {model.hparams.n_layer} layers, {model.hparams.n_embd} wide"


def millions(parameters: int) -> str:
    return f"{parameters / 1e6:.{0 if parameters >= 1e7 else 1}f}M"


def size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(cell, cells, widths, range(len(widths)))).rstrip() for cells in rows]


def cell(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column in RIGHT else text.ljust(width)
