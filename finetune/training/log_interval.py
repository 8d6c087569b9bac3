"""A line of the log: mean loss, speed and utilisation since the line before."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from finetune.data.packing import Batch
from finetune.run_folder import LogEntry
from finetune.training.model_flops import ModelFlops

if TYPE_CHECKING:
    from finetune.training.trainer import Loss


class QueuedStep(NamedTuple):
    """A step that the device may still compute. `counted`: its tokens that count in the loss; `tokens`: all but padding."""

    number: int
    loss: Loss
    counted: float
    tokens: int

    @property
    def ready(self) -> bool:
        """Whether its loss can be read without waiting. If it were read later, the speed in the log would be another."""
        if is_ready := getattr(self.loss, "is_ready", None):
            return bool(is_ready())
        return "GPU" not in getattr(
            self.loss, "device", ""
        )  # On CPUs TensorFlow returns when it has computed the loss.


def queued_step(number: int, loss: Loss, batches: list[Batch]) -> QueuedStep:
    counted = sum(each.counted for each in batches)
    return QueuedStep(number, loss, counted, sum(int((each.segments > 0).sum()) for each in batches))


@dataclass
class LogInterval:
    """What was trained since the last line."""

    nats: float = 0.0
    counted: float = 0.0
    tokens: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def add(self, loss: float, step: QueuedStep) -> None:
        self.nats += loss * step.counted
        self.counted += step.counted
        self.tokens += step.tokens

    def entry(self, step: int, learning_rate: float, seconds_before: float, flops: ModelFlops) -> LogEntry:
        seconds = self.seconds
        speed = self.tokens / max(seconds, 1e-9)
        utilisation = flops.utilisation(speed)
        return LogEntry(
            step=step,
            train=self.nats / max(self.counted, 1.0),
            validation=None,
            learning_rate=learning_rate,
            tokens_per_second=round(speed, 1),
            seconds=round(seconds_before + seconds, 3),
            mfu=None if utilisation is None else round(utilisation, 4),
        )
