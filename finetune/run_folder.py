"""The folder of a training run: a checkpoint with a description, a log and samples.

checkpoint, counter, encoder.json, vocab.bpe, hparams.json, model-N.*     the last two saves, in gpt-2-simple's format
training-N.npz        the optimizer's state at save N, which --resume needs
best/                 the save with the lowest validation loss, a checkpoint of its own
description.json      the data and options of the run
log.csv               loss, learning rate, speed and utilisation over the steps, a line as soon as it is known
loss.png              the losses as a plot; events/ has them for TensorBoard
samples.txt           texts that the model wrote at each save
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shutil
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import CheckpointFolder, newest_save, open_checkpoint, saves_in, step_of
from app.engine.json_text import decode_json
from app.engine.templates import Template, layout_of
from app.engine.vocabulary_files import read_text
from app.engine.wrong_files import POINTERS, wrong_file
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import Array, older_saves, replace_text, write_checkpoint
from finetune.readable_json import readable_json

WRONG_ARCHIVE = (
    ValueError,
    OSError,
    EOFError,
    AttributeError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    MemoryError,
    zlib.error,
    zipfile.BadZipFile,
)
"""What NumPy and zipfile raise for an .npz that is none."""
TrainingState = dict[str, NDArray[Any]]
"""The optimizer's variables by name, as training-N.npz stores them."""
OF_A_SAVE = re.compile(
    r"(?P<hidden>\.?)(model|training)-(?P<step>\d+)\.(index|meta|npz|data-\d+-of-\d+)(?P<unfinished>\.tempstate\d+)?"
)
"""The files of a save. NumPy's are hidden until they are whole; TensorFlow's have another ending."""


class LogEntry(msgspec.Struct, frozen=True):
    """One line of log.csv. Losses are in nats per token: `train` is the mean since the line before, `validation` at this step."""

    step: int
    train: float
    validation: float | None
    learning_rate: float
    tokens_per_second: float
    seconds: float
    """Training time so far, without interruptions."""
    mfu: float | None = None
    """Model FLOP utilisation, from 0 to 1; None where the devices' peak rate is not known, and in logs of earlier versions."""


class RunDescription(msgspec.Struct, frozen=True, kw_only=True):
    """description.json: what the run was trained on and how."""

    corpus_sha256: str
    end: int
    """The id of the token that ends a text, as in `export --end`."""
    template: Template
    init: str
    options: dict[str, Any]
    made: dict[str, str]
    documents: dict[str, int] | None = None
    """The documents of each split; None in runs of earlier versions."""

    def __post_init__(self) -> None:
        layout_of(self.template)


@dataclass(frozen=True, kw_only=True)
class RunSave:
    """What is saved. `best`: its validation loss is the lowest. `vocabulary`: a folder with encoder.json and vocab.bpe."""

    step: int
    hparams: Hparams
    weights: Mapping[str, Array]
    vocabulary: Path
    state: TrainingState
    description: RunDescription
    log: list[LogEntry]
    best: bool


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes the files of one run."""

    folder: Path

    @property
    def exists(self) -> bool:
        return (self.folder / "checkpoint").is_file() or bool(saves_in(self.folder))

    @property
    def description(self) -> RunDescription | None:
        """None for a run of gpt-2-simple. Raises CheckpointError if description.json cannot be read."""
        path = self.folder / "description.json"
        if not path.is_file():
            return None
        try:
            return decode_json(read_text(path), RunDescription)
        except msgspec.DecodeError as error:
            raise CheckpointError(f"{path} does not describe a run ({error}): give another folder.") from None

    def describe(self, description: RunDescription) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_text(self.folder / "description.json", readable_json(description).decode())

    @property
    def best(self) -> RunFolder:
        """The folder of the save with the lowest validation loss."""
        return RunFolder(self.folder / "best")

    @property
    def whole(self) -> RunFolder:
        """The run that this is the best save of, or this one."""
        above = RunFolder(self.folder.parent)
        return above if self.folder.name == "best" and above.exists else self

    @property
    def lowest_validation(self) -> tuple[int, float] | None:
        """The step and the validation loss of the save in `best`, read there, so that they cannot disagree with it."""
        if not (kept := saves(self.best.folder)):
            return None
        step = step_of(kept[-1])
        loss = next((entry.validation for entry in self.best.log() if entry.step == step), None)
        return None if loss is None else (step, loss)

    def refuse_existing(self) -> None:
        """Raises SettingError unless the folder is new or empty, so that a typing mistake costs nobody a file."""
        if self.exists:
            step = open_checkpoint(self.folder).step
            raise SettingError(
                f"--out is {self.folder}, a run at step {step}: add --resume to continue it, or name a new folder."
            )
        if self.folder.exists() and not self.without_saves:
            raise SettingError(f"--out is {self.folder}, which exists and is not a run: name a new folder.")

    @property
    def without_saves(self) -> bool:
        """Whether the folder is empty, or left by a run that ended before its first save."""
        if not self.folder.is_dir():
            return False
        if not any(self.folder.iterdir()):
            return True
        with contextlib.suppress(CheckpointError):
            # A save writes `counter` at its end. Where only that is left, somebody has moved the rest.
            return self.description is not None and not any(
                [*self.folder.glob("model-*.index"), *self.folder.glob("counter")]
            )
        return False

    def save(self, content: RunSave) -> None:
        """Write a save and delete all but the one before it, which replaces it if it turns out damaged.

        In the run and in `best` alike, the file `checkpoint` is replaced last, and that decides which save is the newest: a
        stop at any moment leaves the run at this save or at the one before. `best` comes first. A resumed run that repeats
        the step then finds what it is about to keep.

        Raises CheckpointError when the disk is full; the earlier saves stay as they are.
        """
        if content.best:
            self.save_best(content)
        earlier = [save for save in saves(self.folder) if step_of(save) < content.step]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self.folder / f"training-{content.step}.npz", content.state)
        self.write(content, kept=earlier[-1:])

    def save_best(self, content: RunSave) -> None:
        """Replace the save in `best`, with the log as it was then."""
        self.best.folder.mkdir(parents=True, exist_ok=True)
        self.best.write_log(content.log)
        self.best.write(content, kept=[])

    def write(self, content: RunSave, kept: list[str]) -> None:
        """Write a save with its description, and delete all other saves but those `kept`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.describe(content.description)
        write_checkpoint(self.folder, content.hparams, content.weights, content.vocabulary, content.step, kept)
        remove_other_saves(self.folder, {step_of(save) for save in kept} | {content.step})

    def state(self, source: CheckpointFolder) -> TrainingState | None:
        """The optimizer state of a save; None if it has none, as in gpt-2-simple's saves. Raises CheckpointError if damaged."""
        path = self.folder / f"training-{source.step}.npz"
        if not path.is_file():
            return None
        if found := wrong_file(path, POINTERS):
            raise CheckpointError(*found)
        try:
            with np.load(path, allow_pickle=False) as stored:
                refuse_bomb(path, stored.zip)
                return {name: stored[name] for name in stored.files}
        except WRONG_ARCHIVE:
            raise CheckpointError(f"{path} is damaged: delete it to resume with a new optimizer state.") from None

    def log(self) -> list[LogEntry]:
        """Without a last line that is being written, or that a stop has cut."""
        path = self.folder / "log.csv"
        if not path.is_file():
            return []
        try:
            text = path.read_bytes().decode()
            lines = io.StringIO(text[: text.rfind("\n") + 1], newline="")
            rows = ({name: value or None for name, value in row.items()} for row in csv.DictReader(lines))
            return [msgspec.convert(row, LogEntry, strict=False) for row in rows]
        except (msgspec.ValidationError, csv.Error, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} is not the log of a run ({error}): delete it, or copy it again.") from None

    def write_log(self, entries: list[LogEntry]) -> None:
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        writer.writerow(LogEntry.__struct_fields__)
        writer.writerows(msgspec.structs.astuple(entry) for entry in entries)
        replace_text(self.folder / "log.csv", lines.getvalue())

    def append_log(self, entry: LogEntry) -> None:
        """Add a line. A full disk does not end the training here: the next save says so, and the line comes then."""
        with contextlib.suppress(OSError), (self.folder / "log.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(msgspec.structs.astuple(entry))

    def add_samples(self, step: int, texts: list[str]) -> None:
        with (self.folder / "samples.txt").open("a", encoding="utf-8") as file:
            file.write(f"======== step {step} ========\n" + "\n--------\n".join(texts) + "\n\n")


def saves(folder: Path) -> list[str]:
    """The saves that `checkpoint` lists and that exist, oldest first; without such a file, all saves."""
    if not (folder / "checkpoint").is_file():
        return saves_in(folder)
    listed = [*reversed(older_saves(folder)), newest_save(folder)]
    return [save for save in listed if (folder / f"{save}.index").is_file()]


def remove_other_saves(folder: Path, kept: Collection[int]) -> None:
    """Remove the files of all saves but those of the steps `kept`, and what a killed process left of writing any."""
    for path in folder.iterdir():
        found = OF_A_SAVE.fullmatch(path.name)
        if found and (int(found["step"]) not in kept or found["hidden"] or found["unfinished"]):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises ValueError where an archive's arrays are larger than itself: `save` compresses nothing."""
    if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
        raise ValueError("its arrays are larger than the file")


def write_arrays(path: Path, arrays: TrainingState) -> None:
    aside = path.with_name(f".{path.name}")
    try:
        with aside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
