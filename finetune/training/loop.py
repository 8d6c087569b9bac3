"""The course of a training: updates, and at each save a look at where the model stands. It runs on Keras's backend."""

from __future__ import annotations

import importlib.metadata
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import msgspec
from tqdm import tqdm

from app.engine.bundle import Hparams
from app.engine.generation import GenerationOptions
from app.errors import TrainingError
from finetune.commands.train import StartingPoint
from finetune.data.packing import Batch, Packed, Rows, Windows, batch, empty, side_by_side
from finetune.data.prepared import Data
from finetune.export.checkpoint_engine import engine_for
from finetune.run_folder import LogEntry, RunDescription, RunFolder
from finetune.sampled_texts import sample_texts
from finetune.training.options import TrainingOptions, as_dict
from finetune.training.trainer import Trainer

ENTRIES_PER_SAVE = 20


def follow(options: TrainingOptions, data: Data, run: RunFolder, start: StartingPoint) -> int:
    """Train to the last step. Returns the signal that ended it early, or 0; what was learned is saved either way."""
    trainer = Trainer(options, start.hparams, start.weights, data.description.end_of_text)
    if start.state is not None:
        trainer.restore(start.state)
    rows = rows_of(options, data, start.hparams)
    start = replace(start, weights={}, state=None)  # The trainer has them now, and they are large.
    with stop_signals() as stop:
        TrainingLoop(options, data, run, start, rows, trainer).follow(stop)
    return stop.signal


def rows_of(options: TrainingOptions, data: Data, hparams: Hparams) -> Rows:
    length = options.context or hparams.n_ctx
    if options.packing == "windows":
        return Windows(data.train, length, options.seed, options.learn)
    end = data.description.end_of_text
    return Packed(data.train, end, length, options.seed, options.learn, options.ignore_meta_prob)


class TrainingLoop:
    """The way from a start to the last step: updates, and at each save a look at where the model stands."""

    def __init__(
        self, options: TrainingOptions, data: Data, run: RunFolder, start: StartingPoint, rows: Rows, trainer: Trainer
    ) -> None:
        self.options = options
        self.data = data
        self.run = run
        self.start = start
        self.rows = rows
        self.trainer = trainer
        self.entries = [entry for entry in run.log() if entry.step <= start.step] if options.resume else []
        before = run.description if options.resume else None
        self.best_step = before.best_step if before else None
        self.best = before.best_validation if before else None
        self.unseen = self.validation_batches()

    def validation_batches(self) -> list[Batch]:
        """Validation text in batches as large as those of training, the last filled up with empty rows."""
        length = self.options.context or self.start.hparams.n_ctx
        packed = Packed(self.data.validation, self.data.description.end_of_text, length, learn=self.options.learn)
        rows = list(islice(packed.in_order(), math.ceil(self.options.validation_tokens / length)))
        size = self.options.batch_size
        rows += [empty(length)] * (-len(rows) % size)
        return [side_by_side(rows[first : first + size]) for first in range(0, len(rows), size)]

    def follow(self, stop: Stop) -> None:
        if not self.unseen:
            print("no validation text: whether the model learns or memorizes will not be seen.", file=sys.stderr)
        step = self.start.step
        with self.progress() as progress, self.events() as events:
            while step < self.options.steps and not stop.signal:
                target = min(self.options.steps, (step // self.options.save_every + 1) * self.options.save_every)
                before, step = step, self.learn(step, target, stop, progress, events)
                if step > before:
                    self.save(step, events)
                if self.out_of_patience(step):
                    tqdm.write(f"step {step}: {self.options.patience} saves without a better validation loss: stopped.")
                    break
        self.summarize(step)

    def learn(self, step: int, target: int, stop: Stop, progress: tqdm[None], events: Events) -> int:
        """Update until step `target` or until told to stop. Returns the step that was reached."""
        every = max(1, self.options.save_every // ENTRIES_PER_SAVE)
        losses: list[float] = []
        tokens, began = 0, time.monotonic()
        while step < target and not stop.signal:
            batches = self.batches(step)
            losses.append(self.trainer.step(batches))
            if not math.isfinite(losses[-1]):
                raise TrainingError(f"the loss is not a number at step {step + 1}: give a lower --learning_rate.")
            tokens += sum(int((part.segments > 0).sum()) for part in batches)
            step += 1
            progress.update()
            if step % every == 0 or step == target or stop.signal:
                seconds = time.monotonic() - began
                self.enter(step, losses, tokens / seconds, seconds, progress, events)
                losses, tokens, began = [], 0, time.monotonic()
        return step

    def batches(self, step: int) -> list[Batch]:
        first = step * self.options.accumulate
        return [batch(self.rows, first + index, self.options.batch_size) for index in range(self.options.accumulate)]

    def enter(
        self, step: int, losses: list[float], speed: float, seconds: float, progress: tqdm[None], events: Events
    ) -> None:
        before = self.entries[-1].seconds if self.entries else 0.0
        mean = sum(losses) / len(losses)
        rate = self.trainer.learning_rate(step)
        self.entries.append(LogEntry(step, mean, None, rate, round(speed, 1), round(before + seconds, 3)))
        progress.set_postfix_str(f"loss {mean:.3f}, {speed:,.0f} tokens/s")
        events.add(step, {"loss/train": mean, "learning_rate": rate, "tokens_per_second": speed})

    def save(self, step: int, events: Events) -> None:
        best = bool(self.unseen) and self.validate(step, events)
        hparams, vocabulary = self.start.hparams, self.start.vocabulary
        self.run.save(hparams, self.trainer.weights(), vocabulary, step, self.trainer.state())
        self.run.describe(self.description())
        self.run.write_log(self.entries)
        if best:
            self.run.keep_best()
        self.run.plot(self.entries)
        if self.options.samples:
            self.write_samples(step)

    def validate(self, step: int, events: Events) -> bool:
        """Measure the validation loss. Returns whether it is the lowest so far."""
        loss = self.trainer.loss(self.unseen)
        self.entries[-1] = msgspec.structs.replace(self.entries[-1], validation=loss)
        events.add(step, {"loss/validation": loss})
        self.say(step, loss)
        if self.best is not None and loss >= self.best:
            return False
        self.best, self.best_step = loss, step
        return True

    def say(self, step: int, loss: float) -> None:
        measured = [entry for entry in self.entries if entry.validation is not None]
        tqdm.write(
            f"step {step}: training {self.entries[-1].train:.3f}, validation {loss:.3f} ({math.exp(loss):.1f} perplexity)"
        )
        if len(measured) > 2 and self.best is not None and loss > (measured[-2].validation or 0) > self.best:
            tqdm.write(
                f"step {step}: the validation loss has risen twice, to {loss:.3f} from {self.best:.3f} at step "
                f"{self.best_step}: the model now learns this text by heart. {self.run.folder}/best is the save to use."
            )

    def out_of_patience(self, step: int) -> bool:
        measured = [entry.step for entry in self.entries if entry.validation is not None]
        since = [each for each in measured if self.best_step is not None and each > self.best_step]
        return 0 < self.options.patience <= len(since) and step < self.options.steps

    def write_samples(self, step: int) -> None:
        options = GenerationOptions(length=self.options.sample_length, seed=step)
        with engine_for(self.run.folder) as engine:
            texts = [sampled.text for sampled in sample_texts(engine, "", self.options.samples, options)]
        self.run.add_samples(step, texts)

    def description(self) -> RunDescription:
        described = self.data.description
        libraries = ("keras", "tensorflow", "numpy")
        return RunDescription(
            corpus_sha256=described.corpus_sha256,
            end=described.end_of_text,
            template=described.template,
            init=self.options.init,
            options=as_dict(self.options),
            best_step=self.best_step,
            best_validation=self.best,
            made={library: importlib.metadata.version(library) for library in libraries},
        )

    def summarize(self, step: int) -> None:
        folder = self.run.folder
        print(f"{folder}: step {step}.", end=" ")
        if self.best is not None and self.best_step is not None:
            print(f"Best validation loss {self.best:.3f} at step {self.best_step}, kept in {folder}/best.", end=" ")
        print(f"The curve is in {folder}/loss.png.")

    def progress(self) -> tqdm[None]:
        return tqdm(total=self.options.steps, initial=self.start.step, desc=self.run.folder.name, unit="step")

    def events(self) -> Events:
        return Events(self.run.folder / "events")


class Events:
    """TensorBoard's file: `tensorboard --logdir checkpoint`."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary import Writer

        folder.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(str(folder))

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)


@dataclass(eq=False)
class Stop:
    """Which signal asked for an end, 0 for none."""

    signal: int = 0


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Let Ctrl-C, or a machine that is taken away, end the training after this step; a second Ctrl-C ends it at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # Notebooks and tests may train in another.
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        stop.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
