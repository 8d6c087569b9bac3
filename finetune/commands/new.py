"""`new`: from your text to a model: prepare, train, evaluate and export, with everything chosen for you.

    gpt2 new jokes.txt

makes data/jokes, checkpoint/jokes, reports/jokes and models/jokes. The same command goes on where it was stopped, and what is
finished is not done again. finetune/planning/ chooses the vocabulary, the model and the steps.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import SettingError
from finetune.commands.evaluate import evaluate
from finetune.commands.export import export
from finetune.commands.prepare import prepare_inputs
from finetune.data.input_files import find_files
from finetune.data.preparation import PreparationOptions
from finetune.data.prepared import DataDescription
from finetune.option_ranges import Count
from finetune.planning.machine import Machine, this_machine
from finetune.planning.starting_weights import StartingWeights, starting_weights
from finetune.planning.training_plan import plan_training, training_options, validation_share, vocabulary_plan
from finetune.run_folder import RunFolder
from finetune.training.closed_output import output_may_close
from finetune.training.training_result import TrainingResult
from finetune.training.training_run import train_run
from finetune.watch.page_file import leave_page


@dataclass(frozen=True)
class ModelFolders:
    """The folders of a model by its name."""

    name: str

    @property
    def data(self) -> Path:
        return Path("data") / self.name

    @property
    def run(self) -> Path:
        return Path("checkpoint") / self.name

    @property
    def report(self) -> Path:
        return Path("reports") / self.name

    @property
    def bundle(self) -> Path:
        return Path("models") / self.name


def new(
    inputs: list[str],
    /,
    *,
    out: str | None = None,
    minutes: float = 15.0,
    steps: Count | None = None,
    init: str | None = None,
    model_is: list[str] | None = None,
) -> None:
    """Make a model of your text: prepare, train, evaluate and export, with everything chosen.

    Args:
        inputs: your text: files, folders or patterns, as in `prepare`; or the folder of data that `prepare` wrote
        out: the name of the model; by default that of the first file, so jokes.txt makes models/jokes
        minutes: how long to train, at most
        steps: optimizer steps to train, instead of --minutes
        init: the weights to start from: a model in models/, a checkpoint's folder, or scratch for a small model of your text
            alone; by default 124M, which is downloaded if need be, or scratch where that cannot be had
        model_is: the person of a chat whose messages the model learns to write; by default you are asked
    """
    check(minutes, steps)
    folders = ModelFolders(out or name_of(inputs[0]))
    begun = RunFolder(folders.run).description if RunFolder(folders.run).exists else None
    machine = this_machine()
    weights = starting_weights(begun.init if begun else init, machine)
    if weights.told:
        print(weights.told)
    data = prepared(inputs, folders, weights, model_is or [])
    with output_may_close():
        result = trained(folders, data, weights, machine, minutes, steps)
    evaluated(folders, data, result)
    exported(folders, result)
    print(f"{folders.bundle} is ready. Now: gpt2 serve. To put it online: gpt2 deploy")


def check(minutes: float, steps: int | None) -> None:
    """Raises SettingError naming the option that is out of range."""
    if not 0 < minutes <= 60 * 24 * 365:
        raise SettingError(f"--minutes is {minutes} and should be above 0 and at most a year.")
    if steps is not None and steps < 1:
        raise SettingError(f"--steps is {steps} and should be at least 1.")


def name_of(given: str) -> str:
    """The name that a model gets from its text: jokes for texts/jokes.csv.gz."""
    name = re.sub(r"\W+", "-", Path(given).name.split(".")[0]).strip("-")
    if not name:
        raise SettingError(f"{given} gives the model no name: name it with --out.")
    return name


def prepared(
    inputs: list[str], folders: ModelFolders, weights: StartingWeights, model_is: Sequence[str]
) -> DataDescription:
    """The data, prepared now unless it was prepared from the same files."""
    files, _ = find_files(inputs)
    size = sum(path.stat().st_size for path in {file.path for file in files})
    if weights.source is not None:
        options = PreparationOptions(vocabulary=weights.source.folder, validation=validation_share(size))
    else:
        plan = vocabulary_plan(size)
        options = PreparationOptions(vocabulary_size=plan.size, validation=plan.validation)
    return prepare_inputs(inputs, folders.data, replace(options, model_is=tuple(model_is)))


def trained(
    folders: ModelFolders,
    data: DataDescription,
    weights: StartingWeights,
    machine: Machine,
    minutes: float,
    steps: int | None,
) -> TrainingResult:
    plan = plan_training(data, weights.hparams, machine, minutes, steps)
    options = training_options(plan, weights.init, folders.data, folders.run)
    try:
        result = train_run(options)
    finally:
        leave_page(folders.run)
    print(result.summary())
    if result.signal:
        print(result.ending("the same command"), file=sys.stderr)
        sys.exit(128 + result.signal)
    return result


def evaluated(folders: ModelFolders, data: DataDescription, result: TrainingResult) -> None:
    evaluate(checkpoint=result.checkpoint, data=folders.data, out=folders.report)


def exported(folders: ModelFolders, result: TrainingResult) -> None:
    export(checkpoint=result.checkpoint, out=folders.bundle)
