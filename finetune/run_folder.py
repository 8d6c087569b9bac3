"""A run: the folder `checkpoint/NAME` that training writes. It is a gpt-2-simple checkpoint, with more in it.

checkpoint, counter, encoder.json, vocab.bpe, hparams.json, model-N.*     the last two saves, as gpt-2-simple keeps them
training-N.npz        what else it takes to go on from save N: the optimizer's state
best/                 the save that predicts the validation text best, a checkpoint of its own
description.json      what it was trained on and how
log.csv               loss, learning rate and speed along the way
loss.png              the same, to look at; events/ for TensorBoard
samples.txt           what it wrote at each save
"""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams, Template
from app.engine.checkpoint_folder import VOCABULARY_FILES, CheckpointFolder
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import Array, newest_whole, older_saves, remove_save, replace_text, save_note, write_checkpoint
from finetune.folder import replace_folder, written_aside

State = dict[str, NDArray[Any]]


class LogEntry(msgspec.Struct, frozen=True):
    """One line of log.csv. Losses in nats per token: `train` the mean since the line before, `validation` at this step."""

    step: int
    train: float
    validation: float | None
    learning_rate: float
    tokens_per_second: float
    seconds: float
    """Since training began, interruptions left out."""


class RunDescription(msgspec.Struct, frozen=True, kw_only=True):
    """description.json."""

    corpus_sha256: str
    end: int
    """The id of the token that ends a text: what to give to `export --end`."""
    template: Template
    init: str
    options: dict[str, Any]
    best_step: int | None
    best_validation: float | None
    made: dict[str, str]


@dataclass(frozen=True)
class RunFolder:
    folder: Path

    @property
    def exists(self) -> bool:
        return (self.folder / "checkpoint").is_file()

    @property
    def description(self) -> RunDescription | None:
        """None for a run that gpt-2-simple wrote."""
        path = self.folder / "description.json"
        if not path.is_file():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=RunDescription)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} does not describe a run ({error}): name another folder.") from None

    def describe(self, description: RunDescription) -> None:
        text = msgspec.json.format(msgspec.json.encode(description), indent=2)
        replace_text(self.folder / "description.json", f"{text.decode()}\n")

    @property
    def best(self) -> RunFolder:
        """The save that predicts the validation text best, with this run's description and log."""
        return RunFolder(self.folder / "best")

    def refuse_strangers(self) -> None:
        """Nobody's files are lost to a slip of the keyboard."""
        if self.exists:
            step = newest_whole(self.folder)[0].step
            raise SettingError(
                f"--out is {self.folder}, a run at step {step}: add --resume to go on with it, or name a new folder."
            )
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise SettingError(f"--out is {self.folder}, which exists and is not a run: name a new folder.")

    def save(self, hparams: Hparams, weights: Mapping[str, Array], vocabulary: Path, step: int, state: State) -> None:
        """Add a save; the one before stays, in case this one is damaged, and older ones go."""
        kept = [save for save in saves(self.folder) if save != f"model-{step}"][-1:]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self.folder / f"training-{step}.npz", state)
        write_checkpoint(self.folder, hparams, weights, vocabulary, step, kept)
        for index in self.folder.glob("model-*.index"):
            if index.stem not in (*kept, f"model-{step}"):
                remove_save(index.with_suffix(""))
                (self.folder / f"training-{index.stem.removeprefix('model-')}.npz").unlink(missing_ok=True)

    def keep_best(self) -> None:
        """Copy the newest save, with what describes it, to `best`."""
        newest = saves(self.folder)[-1]
        with written_aside(self.best.folder) as aside:
            for name in (*VOCABULARY_FILES, "hparams.json", "counter", "description.json", "log.csv"):
                shutil.copyfile(self.folder / name, aside / name)
            for path in self.folder.glob(f"{newest}.*"):
                shutil.copyfile(path, aside / path.name)
            (aside / "checkpoint").write_text(save_note([newest]), encoding="utf-8")
            replace_folder(aside, self.best.folder, [path.name for path in self.best.folder.glob("*")])

    def state(self, source: CheckpointFolder) -> State | None:
        """The training state of a save; None if it has none, as gpt-2-simple's saves."""
        path = self.folder / f"training-{source.step}.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile):
            raise CheckpointError(f"{path} is damaged: delete it to go on without the optimizer's state.") from None

    def log(self) -> list[LogEntry]:
        path = self.folder / "log.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            rows = ({name: value or None for name, value in row.items()} for row in csv.DictReader(file))
            return [msgspec.convert(row, LogEntry, strict=False) for row in rows]

    def write_log(self, entries: list[LogEntry]) -> None:
        path = self.folder / "log.csv"
        aside = path.with_name(".log.csv.new")
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(LogEntry.__struct_fields__)
            writer.writerows(msgspec.structs.astuple(entry) for entry in entries)
        aside.replace(path)

    def add_samples(self, step: int, texts: list[str]) -> None:
        with (self.folder / "samples.txt").open("a", encoding="utf-8") as file:
            file.write(f"======== step {step} ========\n" + "\n--------\n".join(texts) + "\n\n")

    def plot(self, entries: list[LogEntry]) -> None:
        """Draw loss.png."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            [entry.step for entry in entries], [entry.train for entry in entries], label="training", color="#7aa6d8"
        )
        measured = [entry for entry in entries if entry.validation is not None]
        if measured:
            steps = [entry.step for entry in measured]
            axes.plot(
                steps, [entry.validation or 0 for entry in measured], label="validation", color="#c0504d", marker="."
            )
            best = min(measured, key=lambda entry: entry.validation or 0)
            axes.axvline(best.step, color="#999999", linestyle=":", label=f"best: {best.validation:.3f} at {best.step}")
        axes.set_xlabel("step")
        axes.set_ylabel("nats per token")
        axes.set_title(self.folder.name)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(self.folder / ".loss.png", format="png", dpi=120)
        (self.folder / ".loss.png").replace(self.folder / "loss.png")


def saves(folder: Path) -> list[str]:
    """The saves that `checkpoint` lists and that lie there, oldest first."""
    if not (folder / "checkpoint").is_file():
        return []
    from app.engine.checkpoint_folder import newest_save

    listed = [*reversed(older_saves(folder)), newest_save(folder)]
    return [save for save in listed if (folder / f"{save}.index").is_file()]


def write_arrays(path: Path, arrays: State) -> None:
    aside = path.with_name(f".{path.name}")
    try:
        with aside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def vocabulary_differs(one: Path, other: Path) -> bool:
    return any((one / name).read_bytes() != (other / name).read_bytes() for name in VOCABULARY_FILES)
