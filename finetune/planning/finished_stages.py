"""Finished stages of `new`: what an earlier call of the same command has made, and need not be made again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.engine.bundle import read_manifest
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import DataError, FatalError, SettingError
from finetune.data.input_files import InputFile, content_sha256, printable
from finetune.data.preparation import PreparationOptions
from finetune.data.prepared import DataDescription, open_data
from finetune.planning.training_plan import TrainingTime, steps_within, useful_steps
from finetune.run_folder import RunDescription, RunFolder
from finetune.run_progress import read_progress
from finetune.training.longer_training import more_steps
from finetune.training.options import TrainingOptions
from finetune.training.training_result import TrainingResult


def data_made_of(files: Sequence[InputFile], options: PreparationOptions, folder: Path) -> DataDescription | None:
    """What the folder holds, if it was prepared from files of this content and these names, with these options."""
    with suppress(DataError):
        found = open_data(folder).description
        asked = options.described()
        if not options.model_is:  # A person has chosen before, and is not asked again.
            del asked["model_is"]
        same_options = asked.items() <= found.options.items()
        same_names = found.sources == [printable(str(file)) for file in files]
        if same_options and same_names and found.files_sha256 and found.files_sha256 == content_sha256(files):
            return found
    return None


def options_of_run(
    begun: RunDescription, data: DataDescription, out: RunFolder, folder: Path, time: TrainingTime
) -> TrainingOptions:
    """The options with which a run goes on: its own, and perhaps more steps or minutes. `folder` has the data."""
    kept = TrainingOptions.recorded(begun.options)
    more: dict[str, Any] = {"data": folder, "out": out.folder, "resume": True}
    if time.steps:
        more |= {"steps": time.steps, "minutes": 0.0}
    elif 0 < minutes_of(begun) != time.minutes:
        useful = useful_steps(data, kept, open_checkpoint(out.folder).hparams.n_ctx)
        more |= {
            "minutes": time.minutes,
            "steps": max(kept["steps"], steps_within(time.minutes, out.log(), useful)),
        }
    return TrainingOptions(**kept | more)


def minutes_of(begun: RunDescription) -> float:
    """How long the run was to train; 0 where it has a number of steps."""
    return float(begun.options.get("minutes", 0.0))


def option_to_go_on(data: DataDescription, run: RunFolder, minutes: float, step: int) -> str:
    """The option of `new` with which a run is trained longer: minutes where these were too few, else steps."""
    begun = run.description
    useful = useful_steps(data, begun.options, open_checkpoint(run.folder).hparams.n_ctx) if begun else 0
    return f"--minutes {2 * minutes:g}" if minutes and step < useful else f"--steps {more_steps(step)}"


def refuse_other_text(begun: RunDescription | None, run: Path, data: DataDescription) -> None:
    """Raises SettingError where the text is not the one that the run was trained on."""
    if begun is not None and begun.corpus_sha256 != data.corpus_sha256:
        raise SettingError(
            f"the text, or how it is read, has changed since {run} was trained on it: "
            f"name a new model with --out, or delete {run}."
        )


def finished_run(run: RunFolder, begun: RunDescription, options: TrainingOptions) -> TrainingResult | None:
    """How the run ended, if nothing is left to train: its last step is reached, its minutes are over, or it no longer learns."""
    step, best = open_checkpoint(run.folder).step, run.lowest_validation
    log = [entry for entry in run.log() if entry.step <= step]
    early = best is not None and 0 < options.patience <= sum(
        entry.step > best[0] for entry in log if entry.validation is not None
    )
    progress = read_progress(run.folder)
    ended = progress is not None and progress.state == "finished" and minutes_of(begun) >= options.minutes
    time_over = options.minutes > 0 and (ended or (bool(log) and options.seconds_left(log[-1].seconds) <= 0))
    result = TrainingResult(run.folder, step, options.steps, best, early, time_over=time_over)
    return result if result.complete else None


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
