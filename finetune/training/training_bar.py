"""The bar of a training run: its step, loss, time left, epochs and last validation loss."""

from __future__ import annotations

import math
import time
from typing import Any

from finetune.progress_bar import ProgressBar
from finetune.training.training_forecast import TrainingForecast

FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{left}{postfix}]"


class TrainingBar(ProgressBar):
    """The time left comes from the steps since the first, in which the step is compiled. Before, it is the forecast's.

    `ends`: when the run ends at the latest, in time.monotonic.
    """

    def __init__(self, name: str, steps: int, done: int, forecast: TrainingForecast) -> None:
        self.forecast = forecast
        self.first_done_at: float | None = None
        self.first = done + 1
        self.validation: float | None = None
        self.speed = ""
        self.ends = math.inf
        super().__init__(total=steps, initial=done, desc=name, bar_format=FORMAT)
        self.set_postfix_str("compiling the first step")

    @property
    def format_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = super().format_dict
        return values | {"left": self.format_interval(self.seconds_left())}

    def in_words(self) -> str:
        return f"step {self.n}/{self.total}{f', {self.postfix}' if self.postfix else ''}"

    def seconds_left(self) -> float:
        return max(0.0, min(self.seconds_of_steps(), self.ends - time.monotonic()))

    def seconds_of_steps(self) -> float:
        if self.first_done_at is None or self.n <= self.first:
            return self.forecast.seconds
        seconds = time.monotonic() - self.first_done_at
        return seconds / float(self.n - self.first) * float(self.total - self.n)

    def step(self, loss: float) -> None:
        """A step is done. The least important stands last, where a narrow terminal cuts."""
        self.first_done_at = self.first_done_at or time.monotonic()
        validation = "" if self.validation is None else f", validation {self.validation:.3f}"
        epoch = f", epoch {(self.n + 1) * self.forecast.each:.1f}/{self.forecast.of_all:.1f}"
        self.set_postfix_str(f"loss {loss:.3f}{validation}{epoch}{self.speed}", refresh=False)
        self.update()
