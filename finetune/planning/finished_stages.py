"""Finished stages of `new`: what an earlier call of the same command has made, and need not be made again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from app.engine.bundle import read_manifest
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import FatalError, SettingError
from finetune.data.input_files import InputFile, printable
from finetune.data.preparation import PreparationOptions
from finetune.data.prepared import DataDescription, read_description
from finetune.run_folder import RunDescription, RunFolder
from finetune.training.options import TrainingOptions
from finetune.training.training_result import TrainingResult


def data_made_of(files: Sequence[InputFile], options: PreparationOptions, folder: Path) -> DataDescription | None:
    """What the folder holds, if it was prepared from these files as they are now, with these options."""
    made_at = folder / "description.json"
    if not made_at.is_file() or any(file.path.stat().st_mtime > made_at.stat().st_mtime for file in files):
        return None
    with suppress(FatalError):
        found = read_description(folder)
        asked = options.described()
        same = {name: value for name, value in found.options.items() if name in asked and name != "model_is"}
        wanted = {name: value for name, value in asked.items() if name in same}
        if found.sources == [printable(str(file)) for file in files] and same == wanted:
            return found
    return None


def options_of_run(begun: RunDescription, data: Path, out: Path, steps: int | None) -> TrainingOptions:
    """The options with which a run goes on: its own, and perhaps more steps."""
    known = {field.name for field in fields(TrainingOptions)}
    kept = {name: value for name, value in begun.options.items() if name in known}
    return TrainingOptions(**kept | {"data": data, "out": out, "resume": True, "steps": steps or kept["steps"]})


def refuse_other_text(begun: RunDescription, data: DataDescription, run: Path) -> None:
    """Raises SettingError where the text is not the one that the run was trained on."""
    if begun.corpus_sha256 != data.corpus_sha256:
        raise SettingError(
            f"the text has changed since {run} was trained on it: name a new model with --out, or delete {run}."
        )


def finished_run(run: RunFolder, options: TrainingOptions) -> TrainingResult | None:
    """How the run ended, if nothing is left to train: its last step is reached, or it no longer learns."""
    step, best = open_checkpoint(run.folder).step, run.lowest_validation
    measured = [entry.step for entry in run.log() if entry.validation is not None and entry.step <= step]
    early = best is not None and 0 < options.patience <= sum(at > best[0] for at in measured)
    return TrainingResult(run.folder, step, options.steps, best, early) if early or step >= options.steps else None


def report_is_of(checkpoint: Path, report: Path, data: DataDescription) -> bool:
    """Whether the report is on this save and this data."""
    with suppress(OSError, ValueError, AttributeError):
        found = json.loads((report / "report.json").read_bytes())
        made_of = (found.get("corpus_sha256"), found.get("step"))
        return (report / "report.html").is_file() and made_of == (data.corpus_sha256, open_checkpoint(checkpoint).step)
    return False


def bundle_is_of(checkpoint: Path, bundle: Path, data: DataDescription) -> bool:
    """Whether the bundle was made of this save of a run on this data."""
    with suppress(FatalError, OSError):
        facts = read_manifest(bundle).training
        made_of = (facts.get("corpus_sha256"), facts.get("step"))
        return made_of == (data.corpus_sha256, open_checkpoint(checkpoint).step)
    return False
