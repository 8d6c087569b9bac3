"""The training loop: optimizer steps and saves, each with validation loss, log, samples."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial

import msgspec
from tqdm import tqdm

from app.engine.deadline import DeadlinePassed
from app.engine.generation import GenerationOptions
from finetune.data.packing import Batch, Packed, Rows, Windows, batch
from finetune.data.prepared import Data
from finetune.export.checkpoint_engine import engine_for
from finetune.out_of_memory import explain_memory
from finetune.run_folder import RunFolder, RunSave
from finetune.sampled_texts import sample_texts
from finetune.training.batch_size import trainer_that_fits
from finetune.training.batches_ahead import batches_ahead
from finetune.training.devices import found_devices, peak_flops
from finetune.training.divergence import refuse_divergence, refuse_infinite_weights, refuse_overflow
from finetune.training.learning_rate_schedule import learning_rate_at
from finetune.training.log_interval import LogInterval, QueuedStep, queued_step
from finetune.training.loss_plot import plot_losses
from finetune.training.model_flops import ModelFlops, flops_per_token
from finetune.training.options import TrainingOptions
from finetune.training.progress_file import ProgressFile
from finetune.training.run_description import describe_run
from finetune.training.save_thread import SaveThread
from finetune.training.shown_samples import shown_samples
from finetune.training.start_line import start_line
from finetune.training.starting_point import StartingPoint
from finetune.training.stop_signals import StopRequest, stop_signals
from finetune.training.tensorboard_events import TensorboardEvents
from finetune.training.trainer import Trainer
from finetune.training.training_bar import TrainingBar
from finetune.training.training_forecast import TrainingForecast, forecast_training
from finetune.training.training_result import TrainingResult
from finetune.training.validation_loss import ValidationLoss, validation_batches

ENTRIES_PER_SAVE = 20
LONGEST = 60.0
"""Seconds between two lines of the log, where steps take long."""
STEPS_IN_FLIGHT = 2
"""Steps that are queued on the device behind the one whose loss is awaited."""


def train_with_keras(options: TrainingOptions, data: Data, run: RunFolder, start: StartingPoint) -> TrainingResult:
    """Train to the last step, to an early stop or until a signal, and save.

    Raises TrainingError when the loss becomes NaN or infinite.
    """
    n_ctx = start.hparams.n_ctx
    rows = training_rows(options, data, n_ctx)
    held_out = validation_batches(replace(options, batch_size=1), data, n_ctx)
    segments = max([rows.segments, *(int(batch.segments.max()) for batch in held_out)])

    def make(options: TrainingOptions) -> Trainer:
        return Trainer(options, start.hparams, start.weights, data.description.end_of_text, segments)

    devices = found_devices()
    before = run.description if options.resume else None
    options, trainer = trainer_that_fits(options, start, before, devices, make)
    forecast = forecast_training(options, start.hparams, rows, data.description.tokens["train"], start.step, devices)
    print(
        start_line(options, devices, trainer, options.context or n_ctx), forecast.sentence(), sep="\n", file=sys.stderr
    )
    held_out = validation_batches(options, data, n_ctx)
    if start.state is not None:
        trainer.restore(start.state, int(before.options.get("accumulate", 1)) if before else options.accumulate)
    start = replace(start, weights={}, state=None)  # The trainer holds them now, and they are large.
    with explain_memory(options.smaller()), stop_signals() as stop:
        loop = TrainingLoop(options, data, run, start, trainer, stop, rows, held_out, forecast)
        step = loop.run_to_end()
    best, early, time_over = loop.validation.best, loop.stopped_early, step < options.steps and loop.time_over
    return TrainingResult(run.folder, step, options.steps, best, early, stop.signal, time_over and not stop.signal)


def training_rows(options: TrainingOptions, data: Data, n_ctx: int) -> Rows:
    length = options.context or n_ctx
    if options.packing == "windows":
        return Windows(data.train, length, options.seed, options.learn)
    end = data.description.end_of_text
    return Packed(data.train, end, length, options.seed, options.learn, options.ignore_meta_prob, data.tokenizer)


class TrainingLoop:
    """Runs a Trainer from a StartingPoint to the last step, and saves into the run's folder.

    Nothing waits for the device but a save, which reads the weights: rows are filled ahead, losses are read when
    they are there, and files are written beside the next steps.
    """

    def __init__(
        self,
        options: TrainingOptions,
        data: Data,
        run: RunFolder,
        start: StartingPoint,
        trainer: Trainer,
        stop: StopRequest,
        rows: Rows,
        held_out: list[Batch],
        forecast: TrainingForecast,
    ) -> None:
        self.options = options
        self.data = data
        self.run = run
        self.start = start
        self.trainer = trainer
        self.stop = stop
        self.rows = rows
        self.entries = [entry for entry in run.log() if entry.step <= start.step] if options.resume else []
        self.validation = self.validation_loss(held_out)
        self.interval = LogInterval()
        length = options.context or start.hparams.n_ctx
        self.flops = ModelFlops(flops_per_token(start.hparams, length), peak_flops(options.precision))
        if not options.resume:
            run.describe(describe_run(options, data))
        run.write_log(self.entries)
        self.progress = TrainingBar(run.folder.name, options.steps, start.step, forecast)
        self.events = TensorboardEvents(run.folder / "events")
        self.told = ProgressFile(run.folder, start.step, options.steps, stop)
        self.saves = SaveThread()
        self.stopped_early = False
        self.ends = time.monotonic() + options.seconds_left(self.entries[-1].seconds if self.entries else 0.0)
        self.progress.ends = self.ends
        stop.hurry = self.saves.hurry

    def validation_loss(self, held_out: list[Batch]) -> ValidationLoss:
        """The validation loss, with the values that a resumed run measured before."""
        if not held_out:
            print("No validation text: overfitting cannot be noticed.", file=sys.stderr)
        history = [(entry.step, entry.validation) for entry in self.entries if entry.validation is not None]
        return ValidationLoss(held_out, history, self.run.lowest_validation if self.options.resume else None)

    @property
    def time_over(self) -> bool:
        return time.monotonic() >= self.ends

    def run_to_end(self) -> int:
        """Train and save until the last step, an early stop, the last minute or a signal. Returns the step that was reached."""
        step, last, every = self.start.step, self.options.steps, self.options.save_every
        ahead_of_it = closing(batches_ahead(self.batches, range(step, last)))
        with self.progress, self.events, self.told, self.saves, ahead_of_it as ahead:
            while step < last and not self.stop.signal and not self.stopped_early:
                before, target = step, min(last, (step // every + 1) * every)
                step = self.train_until(step, target, ahead)
                if step > before:
                    self.save(step, measured=step == target or (self.time_over and not self.stop.signal))
                self.stopped_early = step < last and self.no_longer_learns(step)
                if self.time_over:
                    break
            self.saves.wait()
            self.stop.saved = True
            if self.stop.signal == signal.SIGINT and step > self.start.step and self.validation.best is None:
                with suppress(KeyboardInterrupt):
                    self.keep_as_best(step)
        return step

    def no_longer_learns(self, step: int) -> bool:
        """Whether it is time for an early stop."""
        patience = self.options.patience
        if not 0 < patience <= self.validation.saves_since_best():
            return False
        tqdm.write(f"step {step}: {patience} saves without a lower validation loss: early stop.")
        return True

    def keep_as_best(self, step: int) -> None:
        """Measure the validation loss of a run that a person has stopped before it was measured, so that it has a best save."""
        if self.validation.batches and self.validate(step):
            self.run.save_best(self.content(step, best=True))

    def train_until(self, step: int, target: int, ahead: Iterator[list[Batch]]) -> int:
        """Train up to step `target`, until told to stop, or for --save-minutes. Returns the step that was reached."""
        in_flight: deque[QueuedStep] = deque()
        self.interval = LogInterval()
        due = min(self.ends, time.monotonic() + (self.options.save_minutes * 60 or math.inf))
        first = step
        while step < target and not self.stop.signal and (step == first or time.monotonic() < due):
            batches = next(ahead)
            step += 1
            in_flight.append(queued_step(step, self.trainer.step(batches), batches))
            while in_flight and (in_flight[0].ready or len(in_flight) > STEPS_IN_FLIGHT):
                self.finish(in_flight.popleft())
            self.saves.check()
        while in_flight:
            self.finish(in_flight.popleft())
        if self.interval.tokens:
            self.log(step)
        return step

    def batches(self, step: int) -> list[Batch]:
        """The batches whose gradients step number `step`, counted from 0, accumulates."""
        first = step * self.options.accumulate
        return [batch(self.rows, first + index, self.options.rows) for index in range(self.options.accumulate)]

    def finish(self, step: QueuedStep) -> None:
        """Wait until a step is computed, and log it."""
        loss = float(step.loss)
        # A penalty of the unlikelihood loss adds up to 11.5 nats for each token that is almost certain.
        refuse_divergence(loss / (1 + self.options.unlikelihood), step.number, "loss")
        self.interval.add(loss, step)
        self.progress.step(loss)
        if step.number % max(1, self.options.save_every // ENTRIES_PER_SAVE) == 0 or self.interval.seconds > LONGEST:
            self.log(step.number)
        self.told.reach(step.number)

    def log(self, step: int) -> None:
        """Log the interval that ends with this step, and begin another."""
        before = self.entries[-1].seconds if self.entries else 0.0
        entry = self.interval.entry(step, learning_rate_at(self.options, step), before, self.flops)
        self.interval = LogInterval()
        self.entries.append(entry)
        self.run.append_log(entry)
        values = {
            "loss/train": entry.train,
            "learning_rate": entry.learning_rate,
            "tokens_per_second": entry.tokens_per_second,
        }
        self.progress.speed = f", {entry.tokens_per_second:,.0f} tokens/s"
        if entry.mfu is not None:
            values["mfu"] = entry.mfu
            self.progress.speed += f", MFU {entry.mfu:.0%}"
        self.events.add(step, values)

    def save(self, step: int, *, measured: bool) -> None:
        """Take a copy of the weights. The thread writes it, after the save before.

        At the steps of --save-every, the validation loss is measured and samples are written. A save between them, after
        --save-minutes or a signal, only keeps what was trained. So neither changes which save is the best, or an early stop.
        """
        refuse_overflow(self.trainer.loss_scale(), step)
        best = measured and bool(self.validation.batches) and self.validate(step)
        self.saves.wait()
        content = self.content(step, best)
        self.saves.add(partial(self.write, content))
        self.saves.add(partial(plot_losses, content.log, self.run.folder.name, self.run.folder / "loss.png"))
        if measured and self.options.samples:
            self.saves.add(partial(self.write_samples, step))

    def content(self, step: int, best: bool) -> RunSave:
        return RunSave(
            step=step,
            hparams=self.start.hparams,
            weights=self.trainer.weights(),
            vocabulary=self.start.vocabulary,
            state=self.trainer.state(),
            description=describe_run(self.options, self.data),
            log=self.entries.copy(),
            best=best,
        )

    def write(self, content: RunSave) -> None:
        refuse_infinite_weights(content.weights, content.step)
        self.run.save(content)

    def validate(self, step: int) -> bool:
        """Measure the validation loss. Returns whether it is the lowest so far."""
        loss = self.validation.measure(self.trainer, step)
        refuse_divergence(loss, step, "validation loss")
        self.entries[-1] = msgspec.structs.replace(self.entries[-1], validation=loss)
        self.run.write_log(self.entries)
        self.progress.validation = loss
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
        """Let the newest save write texts, unless there is no time left for all of them."""
        options = GenerationOptions(length=self.options.sample_length, seed=step)
        time_left = self.saves.time_left
        with suppress(DeadlinePassed):
            time_left.check()
            with engine_for(self.run.folder, quiet=True) as engine:
                sampled = list(sample_texts(engine, "", self.options.samples, options, time_left))
            time_left.check()
            self.run.add_samples(step, [each.text for each in sampled])
            tqdm.write(shown_samples(step, [each.text for each in sampled]))
