"""The training loop: optimizer steps and saves, each with validation loss, log, samples."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec
from tqdm import tqdm

from app.engine.generation import GenerationOptions
from finetune.data.packing import Batch, Packed, Rows, Windows, batch
from finetune.data.prepared import Data
from finetune.export.checkpoint_engine import engine_for
from finetune.run_folder import LogEntry, RunFolder, RunSave
from finetune.sampled_texts import sample_texts
from finetune.training.divergence import refuse_divergence, refuse_infinite_weights
from finetune.training.loss_plot import plot_losses
from finetune.training.options import TrainingOptions
from finetune.training.run_description import describe_run
from finetune.training.starting_point import StartingPoint
from finetune.training.stop_signals import StopRequest, stop_signals
from finetune.training.tensorboard_events import TensorboardEvents
from finetune.training.trainer import Trainer
from finetune.training.validation_loss import ValidationLoss, validation_batches

ENTRIES_PER_SAVE = 20


class TrainingResult(NamedTuple):
    """The step that was reached and saved, the step and loss of the best validation, and the signal that stopped the run or 0."""

    step: int
    best: tuple[int, float] | None
    signal: int


def train_with_keras(options: TrainingOptions, data: Data, run: RunFolder, start: StartingPoint) -> TrainingResult:
    """Train to the last step, to an early stop or until a signal, and save.

    Raises TrainingError when the loss becomes NaN or infinite.
    """
    segments = training_rows(options, data, start.hparams.n_ctx).segments
    trainer = Trainer(options, start.hparams, start.weights, data.description.end_of_text, segments)
    if start.state is not None:
        trainer.restore(start.state)
    start = replace(start, weights={}, state=None)  # The trainer holds them now, and they are large.
    with stop_signals() as stop:
        loop = TrainingLoop(options, data, run, start, trainer, stop)
        step = loop.run_to_end()
    return TrainingResult(step, loop.validation.best, stop.signal)


def training_rows(options: TrainingOptions, data: Data, n_ctx: int) -> Rows:
    length = options.context or n_ctx
    if options.packing == "windows":
        return Windows(data.train, length, options.seed, options.learn)
    end = data.description.end_of_text
    return Packed(data.train, end, length, options.seed, options.learn, options.ignore_meta_prob, data.tokenizer)


@dataclass
class LogInterval:
    """What was trained since the last entry of the log."""

    nats: float = 0.0
    counted: float = 0.0
    """The tokens that counted in the loss."""
    tokens: int = 0
    began: float = field(default_factory=time.monotonic)

    def add(self, loss: float, batches: list[Batch]) -> None:
        counted = sum(each.counted for each in batches)
        self.nats += loss * counted
        self.counted += counted
        self.tokens += sum(int((each.segments > 0).sum()) for each in batches)

    def entry(self, step: int, learning_rate: float, seconds_before: float) -> LogEntry:
        seconds = time.monotonic() - self.began
        mean, speed = self.nats / max(self.counted, 1.0), self.tokens / max(seconds, 1e-9)
        return LogEntry(step, mean, None, learning_rate, round(speed, 1), round(seconds_before + seconds, 3))


class TrainingLoop:
    """Runs a Trainer from a StartingPoint to the last step, and writes the run's folder at each save."""

    def __init__(
        self,
        options: TrainingOptions,
        data: Data,
        run: RunFolder,
        start: StartingPoint,
        trainer: Trainer,
        stop: StopRequest,
    ) -> None:
        self.options = options
        self.data = data
        self.run = run
        self.start = start
        self.trainer = trainer
        self.stop = stop
        self.rows = training_rows(options, data, start.hparams.n_ctx)
        self.entries = [entry for entry in run.log() if entry.step <= start.step] if options.resume else []
        self.validation = self.validation_loss()
        if not options.resume:
            run.describe(describe_run(options, data))
        self.progress = tqdm(total=options.steps, initial=start.step, desc=run.folder.name, unit="step")
        self.events = TensorboardEvents(run.folder / "events")

    def validation_loss(self) -> ValidationLoss:
        """The validation loss, with the values that a resumed run measured before."""
        batches = validation_batches(self.options, self.data, self.start.hparams.n_ctx)
        if not batches:
            print("No validation text: overfitting cannot be noticed.", file=sys.stderr)
        history = [(entry.step, entry.validation) for entry in self.entries if entry.validation is not None]
        return ValidationLoss(batches, history, self.run.lowest_validation if self.options.resume else None)

    def run_to_end(self) -> int:
        """Train and save until the last step, an early stop or a signal. Returns the step that was reached."""
        step, last, every = self.start.step, self.options.steps, self.options.save_every
        with self.progress, self.events:
            while step < last and not self.stop.signal:
                before = step
                step = self.train_until(step, min(last, (step // every + 1) * every))
                if step > before:
                    self.save(step)
                if step < last and 0 < self.options.patience <= self.validation.saves_since_best():
                    tqdm.write(
                        f"step {step}: {self.options.patience} saves without a lower validation loss: early stop."
                    )
                    break
        return step

    def train_until(self, step: int, target: int) -> int:
        """Train up to step `target` or until told to stop. Returns the step that was reached."""
        every = max(1, self.options.save_every // ENTRIES_PER_SAVE)
        interval = LogInterval()
        while step < target and not self.stop.signal:
            batches = self.batches(step)
            loss = float(self.trainer.step(batches))
            step += 1
            # A penalty of the unlikelihood loss adds up to 11.5 nats for each token that is almost certain.
            refuse_divergence(loss / (1 + self.options.unlikelihood), step, "loss")
            interval.add(loss, batches)
            self.progress.update()
            if step % every == 0 or step == target or self.stop.signal:
                self.log(step, interval)
                interval = LogInterval()
        return step

    def batches(self, step: int) -> list[Batch]:
        """The batches whose gradients step number `step`, counted from 0, accumulates."""
        first = step * self.options.accumulate
        return [batch(self.rows, first + index, self.options.rows) for index in range(self.options.accumulate)]

    def log(self, step: int, interval: LogInterval) -> None:
        before = self.entries[-1].seconds if self.entries else 0.0
        entry = interval.entry(step, self.trainer.learning_rate(step), before)
        self.entries.append(entry)
        self.progress.set_postfix_str(f"loss {entry.train:.3f}, {entry.tokens_per_second:,.0f} tokens/s")
        self.events.add(
            step,
            {
                "loss/train": entry.train,
                "learning_rate": entry.learning_rate,
                "tokens_per_second": entry.tokens_per_second,
            },
        )

    def save(self, step: int) -> None:
        best = bool(self.validation.batches) and self.validate(step)
        weights = self.trainer.weights()
        refuse_infinite_weights(weights, step)
        self.run.save(
            RunSave(
                step=step,
                hparams=self.start.hparams,
                weights=weights,
                vocabulary=self.start.vocabulary,
                state=self.trainer.state(),
                description=describe_run(self.options, self.data),
                log=self.entries,
                best=best,
            )
        )
        plot_losses(self.entries, self.run.folder.name, self.run.folder / "loss.png")
        if self.options.samples:
            self.write_samples(step)

    def validate(self, step: int) -> bool:
        """Measure the validation loss. Returns whether it is the lowest so far."""
        loss = self.validation.measure(self.trainer, step)
        refuse_divergence(loss, step, "validation loss")
        self.entries[-1] = msgspec.structs.replace(self.entries[-1], validation=loss)
        self.events.add(step, {"loss/validation": loss})
        tqdm.write(
            f"step {step}: training loss {self.entries[-1].train:.3f}, validation loss {loss:.3f} "
            f"(perplexity {math.exp(loss):.1f})"
        )
        if self.validation.rose_twice() and self.validation.best is not None:
            best_step, best = self.validation.best
            tqdm.write(
                f"step {step}: the validation loss rose twice, to {loss:.3f} from {best:.3f} at step {best_step}: "
                f"the model is overfitting. Use the save in {self.run.folder}/best."
            )
        return self.validation.keep_if_lowest()

    def write_samples(self, step: int) -> None:
        options = GenerationOptions(length=self.options.sample_length, seed=step)
        with engine_for(self.run.folder) as engine:
            texts = [sampled.text for sampled in sample_texts(engine, "", self.options.samples, options)]
        self.run.add_samples(step, texts)
