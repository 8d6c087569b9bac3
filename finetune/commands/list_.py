"""`list`: the runs and bundles of this folder: shape, step, validation loss, size, date, and which one is the default.

gpt2 list
"""

from __future__ import annotations

from collections.abc import Sequence

from finetune.columns import columns, shown_bytes, shown_parameters, shown_shape
from finetune.inventory import StoredModel, stored_models
from finetune.readable_json import readable_json
from finetune.terminal import harmless

HEADINGS = ("", "name", "kind", "weights", "shape", "step", "validation loss", "size", "date")
NUMBERS = (3, 5, 6, 7)


def list_(*, json: bool = False) -> None:
    """Show the runs and bundles of this folder.

    Args:
        json: print one JSON list instead of a table
    """
    models = stored_models()
    if json:
        print(readable_json(models).decode(), end="")
    elif not models:
        print("There are no bundles in models/ and no runs in checkpoint/ of this folder: `gpt2 new FILE` makes one.")
    else:
        print(harmless("\n".join([*columns([HEADINGS, *map(row, models)], NUMBERS), *notes(models)])))


def row(model: StoredModel) -> tuple[str, ...]:
    return (
        "*" if model.default else "",
        model.name,
        model.kind,
        "" if model.parameters is None else shown_parameters(model.parameters),
        "" if model.hparams is None else shown_shape(model.hparams),
        "" if model.step is None else f"{model.step:,}",
        "" if model.validation_loss is None else f"{model.validation_loss:.3f}",
        shown_bytes(model.bytes),
        f"{model.date.astimezone():%Y-%m-%d %H:%M}",
    )


def notes(models: Sequence[StoredModel]) -> list[str]:
    default = ["* is the default: what is served and deployed."] if any(model.default for model in models) else []
    training = (f"{model.name} is being trained now." for model in models if model.training)
    return [*default, *training, *(f"{model.name}: {model.problem}" for model in models if model.problem)]
