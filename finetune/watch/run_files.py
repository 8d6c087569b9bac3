"""What a run's folder says at this moment. Its files may be missing, half copied or replaced while they are read."""

from __future__ import annotations

import csv
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.engine.checkpoint_folder import saves_in, step_of
from app.engine.default_bundle import is_bundle
from app.errors import CheckpointError, SettingError
from finetune.inventory import RUNS
from finetune.run_folder import LogEntry, RunDescription, RunFolder
from finetune.run_progress import FILE, RunProgress, read_progress

HEADING = re.compile(r"^======== step (\d{1,12}) ========\n", re.MULTILINE)
BETWEEN = "\n--------\n"
LARGEST_SAMPLES = 2**21
"""Bytes of samples.txt that are read: the newest."""


class StepSamples(NamedTuple):
    """The texts that the model wrote at the save of a step."""

    step: int
    texts: list[str]


class RunFiles(NamedTuple):
    """A run as its files have it. `log`: the losses so far."""

    folder: Path
    description: RunDescription | None
    progress: RunProgress | None
    log: list[LogEntry]
    samples: list[StepSamples]
    saved: int | None


def run_named(path: Path) -> Path:
    """The folder that is meant: a bare name that is not here is that of a run in checkpoint/."""
    return RUNS / path if len(path.parts) == 1 and RUNS.is_dir() and not path.exists() else path


def refuse_other_folders(folder: Path) -> None:
    """Raises SettingError unless this is a run or may become one."""
    if folder.is_file():
        raise SettingError(f"{folder} is a file: name the run's folder, such as {folder.parent}.")
    if is_bundle(folder):
        raise SettingError(f"{folder} is a bundle: name the run that it was made of, such as checkpoint/{folder.name}.")
    if not folder.exists():
        above = folder.absolute().parent
        if not above.is_dir():
            raise SettingError(
                f"{folder} is not there, and neither is {folder.parent}: name a run, such as checkpoint/NAME."
            )
        if holds_run(above):
            raise SettingError(f"{folder} is not a run, but {folder.parent} is: name that.")
        return
    if any(folder.iterdir()) and not holds_run(folder):
        inside = sorted(path.parent for path in folder.glob("*/description.json"))
        advice = f"name one of the runs in it, such as {inside[0]}" if inside else "name a run, such as checkpoint/NAME"
        raise SettingError(f"{folder} is not a run: {advice}.")


def holds_run(folder: Path) -> bool:
    known = ("description.json", "log.csv", "checkpoint", FILE)
    return any((folder / name).is_file() for name in known) or bool(saves_in(folder))


def file_state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever one of the files changes that are read here."""
    found = []
    for name in ("description.json", "log.csv", FILE, "samples.txt", "checkpoint"):
        with suppress(OSError):
            status = (folder / name).stat()
            found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def read_run(folder: Path) -> RunFiles:
    """All of it. What cannot be read now counts as not there."""
    description, saved = None, None
    with suppress(CheckpointError, OSError):
        description = RunFolder(folder).description
    with suppress(OSError):
        saved = max(map(step_of, saves_in(folder)), default=None)
    progress = read_progress(folder)
    log = read_log(folder / "log.csv")
    return RunFiles(folder, description, progress, log, read_samples(folder / "samples.txt"), saved)


def read_log(path: Path) -> list[LogEntry]:
    """The lines of log.csv that are whole. A step that a resumed run repeated has its newest."""
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = [{name: value or None for name, value in row.items() if name} for row in csv.DictReader(file)]
    except (OSError, csv.Error):
        return []
    entries: list[LogEntry] = []
    for row in rows:
        with suppress(msgspec.ValidationError):
            entry = msgspec.convert(row, LogEntry, strict=False)
            while entries and entries[-1].step >= entry.step:
                entries.pop()
            entries.append(entry)
    return entries


def read_samples(path: Path) -> list[StepSamples]:
    """The samples by step. A step that a resumed run repeated has its newest."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LARGEST_SAMPLES))
            content = file.read().decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return []
    _, *parts = HEADING.split(content)
    found: dict[int, list[str]] = {}
    for step, texts in zip(map(int, parts[::2]), parts[1::2], strict=True):
        for later in [known for known in found if known >= step]:
            del found[later]
        found[step] = [text.strip("\n") for text in texts.removesuffix("\n\n").split(BETWEEN)]
    return [StepSamples(*pair) for pair in found.items()]


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
