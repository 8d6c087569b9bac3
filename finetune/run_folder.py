"""The folder of a training run: a checkpoint with a description, a log and samples.

checkpoint, counter, encoder.json, vocab.bpe, hparams.json, model-N.*     the last two saves, in gpt-2-simple's format
training-N.npz        the optimizer's state at save N, which --resume needs
best/                 the save with the lowest validation loss, a checkpoint of its own
description.json      the data and options of the run
log.csv               loss, learning rate and speed over the steps
loss.png              the losses as a plot; events/ has them for TensorBoard
samples.txt           texts that the model wrote at each save
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
from app.engine.checkpoint_folder import VOCABULARY_FILES, CheckpointFolder, newest_save, open_checkpoint
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import Array, older_saves, remove_save, replace_text, save_note, write_checkpoint
from finetune.folder import replace_folder, written_aside
from finetune.readable_json import readable_json

TrainingState = dict[str, NDArray[Any]]
"""The optimizer's variables by name, as training-N.npz stores them."""


class LogEntry(msgspec.Struct, frozen=True):
    """One line of log.csv. Losses are in nats per token: `train` is the mean since the line before, `validation` at this step."""

    step: int
    train: float
    validation: float | None
    learning_rate: float
    tokens_per_second: float
    seconds: float
    """Training time so far, without interruptions."""


class RunDescription(msgspec.Struct, frozen=True, kw_only=True):
    """description.json: what the run was trained on and how."""

    corpus_sha256: str
    end: int
    """The id of the token that ends a text, as in `export --end`."""
    template: Template
    init: str
    options: dict[str, Any]
    best_step: int | None
    best_validation: float | None
    made: dict[str, str]


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes the files of one run."""

    folder: Path

    @property
    def exists(self) -> bool:
        return (self.folder / "checkpoint").is_file()

    @property
    def description(self) -> RunDescription | None:
        """None for a run of gpt-2-simple. Raises CheckpointError if description.json cannot be read."""
        path = self.folder / "description.json"
        if not path.is_file():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=RunDescription)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} does not describe a run ({error}): give another folder.") from None

    def describe(self, description: RunDescription) -> None:
        replace_text(self.folder / "description.json", readable_json(description).decode())

    @property
    def best(self) -> RunFolder:
        """The save with the lowest validation loss, with this run's description and log."""
        return RunFolder(self.folder / "best")

    def refuse_existing(self) -> None:
        """Raises SettingError unless the folder is new or empty, so that a typing mistake costs nobody a file."""
        if self.exists:
            step = open_checkpoint(self.folder).step
            raise SettingError(
                f"--out is {self.folder}, a run at step {step}: add --resume to continue it, or name a new folder."
            )
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise SettingError(f"--out is {self.folder}, which exists and is not a run: name a new folder.")

    def save(
        self, hparams: Hparams, weights: Mapping[str, Array], vocabulary: Path, step: int, state: TrainingState
    ) -> None:
        """Write a save and delete all but the one before it, which replaces it if it turns out damaged.

        Raises CheckpointError when the disk is full; the earlier saves stay as they are.
        """
        kept = [save for save in saves(self.folder) if save != f"model-{step}"][-1:]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self.folder / f"training-{step}.npz", state)
        write_checkpoint(self.folder, hparams, weights, vocabulary, step, kept)
        for index in self.folder.glob("model-*.index"):
            if index.stem not in (*kept, f"model-{step}"):
                remove_save(index.with_suffix(""))
                (self.folder / f"training-{index.stem.removeprefix('model-')}.npz").unlink(missing_ok=True)

    def keep_best(self) -> None:
        """Copy the newest save, its description and the log to `best`."""
        newest = saves(self.folder)[-1]
        with written_aside(self.best.folder) as aside:
            for name in (*VOCABULARY_FILES, "hparams.json", "counter", "description.json", "log.csv"):
                shutil.copyfile(self.folder / name, aside / name)
            for path in self.folder.glob(f"{newest}.*"):
                shutil.copyfile(path, aside / path.name)
            (aside / "checkpoint").write_text(save_note([newest]), encoding="utf-8")
            replace_folder(aside, self.best.folder, [path.name for path in self.best.folder.glob("*")])

    def state(self, source: CheckpointFolder) -> TrainingState | None:
        """The optimizer state of a save; None if it has none, as in gpt-2-simple's saves. Raises CheckpointError if damaged."""
        path = self.folder / f"training-{source.step}.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile):
            raise CheckpointError(f"{path} is damaged: delete it to resume with a new optimizer state.") from None

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


def saves(folder: Path) -> list[str]:
    """The saves that `checkpoint` lists and that exist, oldest first."""
    if not (folder / "checkpoint").is_file():
        return []
    listed = [*reversed(older_saves(folder)), newest_save(folder)]
    return [save for save in listed if (folder / f"{save}.index").is_file()]


def write_arrays(path: Path, arrays: TrainingState) -> None:
    aside = path.with_name(f".{path.name}")
    try:
        with aside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
