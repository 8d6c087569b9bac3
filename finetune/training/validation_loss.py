"""The validation loss: its held-out text, its lowest value, and when to stop early."""

from __future__ import annotations

from finetune.data.document_sample import sample_documents
from finetune.data.packing import Batch, Packed
from finetune.data.prepared import Data
from finetune.training.options import TrainingOptions
from finetune.training.trainer import Trainer


class ValidationLoss:
    """Measures the loss on held-out text, and remembers each value and the lowest one."""

    def __init__(self, batches: list[Batch], history: list[tuple[int, float]], best: tuple[int, float] | None) -> None:
        """`history` holds (step, loss) of earlier parts of the run, `best` the lowest of them."""
        self.batches = batches
        self.history = history
        self.best = best

    def measure(self, trainer: Trainer, step: int) -> float:
        """Nats per token at this step."""
        loss = trainer.loss(self.batches)
        self.history.append((step, loss))
        return loss

    def rose_twice(self) -> bool:
        """Whether the last two losses rose above the lowest, one after the other: the model overfits."""
        if len(self.history) < 3 or self.best is None:
            return False
        (_, previous), (_, last) = self.history[-2:]
        return last > previous > self.best[1]

    def keep_if_lowest(self) -> bool:
        """Whether the last loss is the lowest so far; if so it becomes `best`."""
        step, loss = self.history[-1]
        if self.best is not None and loss >= self.best[1]:
            return False
        self.best = (step, loss)
        return True

    def saves_since_best(self) -> int:
        best = self.best
        return sum(step > best[0] for step, _ in self.history) if best else 0


def validation_batches(options: TrainingOptions, data: Data, n_ctx: int) -> list[Batch]:
    """A sample of the held-out documents, `validation_tokens` at most, in batches of the training's size; the last one is padded.

    It depends on nothing else, so the losses of all saves compare, and those of runs with other options too. No batch is
    returned where nothing in the sample counts in the loss.
    """
    length = options.context or n_ctx
    sample = sample_documents(data.validation, options.validation_tokens)
    rows = Packed(sample, data.description.end_of_text, length, learn=options.learn)
    batches = list(rows.in_order(options.rows))
    return batches if any(batch.counted for batch in batches) else []
