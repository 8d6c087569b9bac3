"""The forecast that a run begins with: how often its steps read the text, and about how long they take."""

from __future__ import annotations

from dataclasses import dataclass

from app.engine.bundle import Hparams
from finetune.data.packing import Packed, Rows, Windows
from finetune.durations import about
from finetune.training.devices import Devices
from finetune.training.model_flops import flops_per_token
from finetune.training.options import TrainingOptions
from finetune.training.training_rate import COLAB_CARD, seconds_of_step

RECOMPUTED = 4 / 3
"""With gradient checkpointing, each layer is computed forwards twice."""


@dataclass(frozen=True)
class TrainingForecast:
    """What is left to do of a run: steps, `epochs` of a text of so many tokens, and seconds without compilation.

    `each` and `of_all` are the epochs of a step and of all steps. `on_colab` is None where a GPU trains already.
    """

    steps: int
    each: float
    of_all: float
    tokens: int
    seconds: float
    on_colab: float | None

    def sentence(self) -> str:
        more = f"{self.steps:,} {'more ' if self.more else ''}step{'s' if self.steps != 1 else ''}"
        read = f"{more} = {self.steps * self.each:,.1f} times through your {self.tokens:,} tokens"
        return f"{read}, about {about(self.seconds)} on this machine{self.elsewhere()}."

    @property
    def more(self) -> bool:
        return self.steps * self.each < 0.999 * self.of_all

    def elsewhere(self) -> str:
        """How long it takes on another machine, where that saves minutes."""
        if self.on_colab is None or self.seconds < 120 or self.on_colab > self.seconds / 2:
            return ""
        return f"; on Colab's GPU about {about(self.on_colab)}"


def forecast_training(
    options: TrainingOptions, hparams: Hparams, rows: Rows, tokens: int, done: int, devices: Devices
) -> TrainingForecast:
    """The forecast for a run that has done so many steps."""
    length = options.context or hparams.n_ctx
    rows_of_step = options.rows * options.accumulate
    flops = flops_per_token(hparams, length) * rows_of_step * length
    flops *= RECOMPUTED if options.gradient_checkpointing else 1.0
    devices_used = 1 if options.parallel == "none" else devices.count
    left = options.steps - done
    here = left * seconds_of_step(flops / devices_used, devices.name, options.precision)
    there = None if devices.gpu else left * seconds_of_step(flops, COLAB_CARD, "float16")
    each = rows_of_step * epochs_of_row(rows)
    return TrainingForecast(left, each, options.steps * each, tokens, here, there)


def epochs_of_row(rows: Rows) -> float:
    """Which part of the whole text a row has."""
    if isinstance(rows, Packed):
        return 1 / max(1, len(rows))
    assert isinstance(rows, Windows)
    return min(1.0, rows.length / max(1, len(rows.documents.tokens)))
