"""`new`: from your text to a model: prepare, train, evaluate and export, with everything chosen for you.

    gpt2 new jokes.txt

makes data/jokes, checkpoint/jokes, reports/jokes and models/jokes. The same command goes on where it was stopped, and what is
finished is not done again. finetune/planning/ chooses the vocabulary, the model and the steps.
"""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from functools import partial
from pathlib import Path

from app.errors import FatalError, SettingError
from finetune.commands.evaluate import evaluate
from finetune.commands.export import export
from finetune.commands.prepare import prepare_inputs, refuse_unused, refuse_values
from finetune.data.input_files import InputFile, find_files, total_bytes
from finetune.data.prepared import DataDescription, read_description
from finetune.data.sources import SplitAt
from finetune.option_ranges import Count, option
from finetune.planning.finished_stages import (
    bundle_is_of,
    data_made_of,
    finished_run,
    minutes_of,
    option_to_go_on,
    options_of_run,
    refuse_other_text,
    report_is_of,
)
from finetune.planning.given_text import GivenText
from finetune.planning.machine import Machine, this_machine
from finetune.planning.model_folders import ModelFolders, model_folders
from finetune.planning.stage_seconds import prepare_seconds, seconds_after, seconds_of_plan
from finetune.planning.starting_weights import StartingWeights, starting_weights
from finetune.planning.training_plan import (
    LITTLE_TEXT,
    TrainingTime,
    plan_training,
    training_options,
)
from finetune.readable_json import readable_json
from finetune.run_folder import RunDescription, RunFolder
from finetune.stages_bar import StagesBar, stages_bar
from finetune.training.closed_output import output_may_close
from finetune.training.options import TrainingOptions
from finetune.training.stop_signals import ended_by_signals
from finetune.training.training_result import TrainingResult
from finetune.training.training_run import train_run
from finetune.watch.page_file import leave_page

STOPPED = "Stopped. What was finished stays, and nothing is half-written. To go on: the same command"


def new(
    inputs: list[str],
    /,
    *,
    out: str | None = None,
    minutes: float = 15.0,
    steps: Count | None = None,
    init: str | None = None,
    split: SplitAt = "marks",
    column: list[str] | None = None,
    encoding: str = "utf-8",
    model_is: list[str] | None = None,
    keep_names: bool = False,
    json: bool = False,
) -> None:
    """Make a model of your text: prepare, train, evaluate and export, with everything chosen.

    Args:
        inputs: your text: files, folders or patterns, as in `prepare`; or the folder of data that `prepare` wrote
        out: the name of the model; by default that of the first file, so jokes.txt makes models/jokes
        minutes: how long to train, at most; a run goes on with more
        steps: optimizer steps to train, instead of --minutes
        init: the weights to start from: a model in models/, a checkpoint's folder, or scratch for a small model of your text
            alone; by default 124M, which is downloaded if need be, or scratch where that cannot be had
        split: where one document of a .txt ends, as in `prepare`: at gpt-2-simple's marks, or also at lines or blank_lines
        column: the column of .csv and .tsv to read, by default the one that is called as a text is; given twice, a question and
            its answer
        encoding: the text encoding of the inputs, such as utf-8 or cp1252
        model_is: the person of a chat whose messages the model learns to write; by default you are asked
        keep_names: keep the names, user names, telephone numbers, addresses and links of chats, tweets and mails
        json: print the folders that were made as JSON, and all else on standard error
    """
    check(minutes, steps)
    folders, time = model_folders(inputs, out), TrainingTime(minutes, steps)
    text = GivenText(inputs, split, tuple(model_is or ()), tuple(column or ()), encoding, keep_names)
    text.refuse_options(folders)
    folders.refuse_foreign()
    with output_may_close(), ended_by_signals(STOPPED):
        with redirect_stdout(sys.stderr) if json else nullcontext():
            make_model(folders, text, init, time)
        if json:
            print(readable_json({name: str(folder) for name, folder in folders.all().items()}).decode(), end="")


def make_model(folders: ModelFolders, text: GivenText, init: str | None, time: TrainingTime) -> None:
    """Make what is not there yet."""
    begun = RunFolder(folders.run).description if RunFolder(folders.run).exists else None
    refuse_other_start(begun, init, folders.run)
    files = found_files(text) if folders.given is None else []  # Before anything is fetched for them.
    machine = this_machine()
    weights = starting_weights(begun.init if begun else init, machine)
    if weights.told:
        print(weights.told)
    with stages_bar({"prepare": prepare_seconds(files), **seconds_after(time, weights.hparams)}) as bar:
        with bar.stage("prepare"):
            data = prepared(text, files, folders, weights, begun)
        with bar.stage("train"):
            result = (
                resumed(begun, folders, data, time) if begun else trained(folders, data, weights, machine, time, bar)
            )
        with bar.stage("evaluate"):
            if not report_is_of(result.checkpoint, folders.report, data):
                longer = f"{shlex.join(text.command(folders))} {longer_option(folders, data, result.step)}"
                evaluate(result.checkpoint, folders.data, folders.report, longer=longer)
        with bar.stage("export"):
            if not bundle_is_of(result.checkpoint, folders.bundle, data):
                export(result.checkpoint, folders.bundle)
    print(f"{folders.bundle} is ready. How good it is: {folders.report}/report.html")
    print("Now: gpt2 serve\nthen: gpt2 deploy")


def check(minutes: float, steps: int | None) -> None:
    """Raises SettingError naming the option that is out of range."""
    if not 0 < minutes <= 60 * 24 * 365:
        raise SettingError(f"--minutes is {minutes} and should be above 0 and at most a year.")
    if steps is not None and steps < 1:
        raise SettingError(f"--steps is {steps} and should be at least 1.")


def found_files(text: GivenText) -> list[InputFile]:
    """Raises SettingError where there are none, or for an option that none would use."""
    files, _ = find_files(text.inputs)
    options = text.options()
    refuse_values(options)
    refuse_unused({file.kind for file in files}, options)
    return files


def refuse_other_start(begun: RunDescription | None, init: str | None, run: Path) -> None:
    """Raises SettingError where --init contradicts the run that goes on."""
    if begun is not None and init not in (None, begun.init):
        raise SettingError(
            f"--init is {init} and {run} began with {begun.init}: leave it out, or name a new model with --out."
        )


def prepared(
    text: GivenText,
    files: Sequence[InputFile],
    folders: ModelFolders,
    weights: StartingWeights,
    begun: RunDescription | None,
) -> DataDescription:
    """The data, prepared now unless it was prepared from the same files, or is what was given.

    What the run that has begun was trained on is not replaced by another text.
    """
    if folders.given is not None:
        return read_description(folders.given)
    options = text.preparation(total_bytes(files), weights)
    if (data := data_made_of(files, options, folders.data)) is not None:
        print(f"{folders.data} is prepared already.")
        return data
    return prepare_inputs(text.inputs, folders.data, options, partial(refuse_other_text, begun, folders.run))


def trained(
    folders: ModelFolders,
    data: DataDescription,
    weights: StartingWeights,
    machine: Machine,
    time: TrainingTime,
    bar: StagesBar,
) -> TrainingResult:
    """Train a new run, as planned."""
    plan = plan_training(data, weights.hparams, machine, time)
    print(plan.sentence())
    if data.tokens["train"] < LITTLE_TEXT:
        print("That is little text: the model will mostly repeat it. It learns to write its own from 100 KB or more.")
    bar.expected |= seconds_of_plan(plan, data)
    return run_shown(training_options(plan, weights.init, folders.data, folders.run))


def resumed(begun: RunDescription, folders: ModelFolders, data: DataDescription, time: TrainingTime) -> TrainingResult:
    """Go on with the run that is there, unless it has ended."""
    refuse_other_text(begun, folders.run, data)
    run = RunFolder(folders.run)
    options = options_of_run(begun, data, run, folders.data, time)
    finished = finished_run(run, begun, options)
    if finished is not None:
        more = (
            "It no longer learned" if finished.early else f"{longer_option(folders, data, finished.step)} would go on"
        )
        print(f"{folders.run} is trained already. {more}.")
        return finished
    return run_shown(options)


def longer_option(folders: ModelFolders, data: DataDescription, step: int) -> str:
    run = RunFolder(folders.run)
    return option_to_go_on(data, run, minutes_of(run.description) if run.description else 0.0, step)


def run_shown(options: TrainingOptions) -> TrainingResult:
    """Train. A stopped run ends the command here: the same command goes on."""
    try:
        result = train_run(options)
    except FatalError as error:
        raise followable(error, options) from None
    finally:
        leave_page(options.out)
    if result.signal:
        print(result.ending("the same command"), file=sys.stderr)
        sys.exit(128 + result.signal)
    print(result.summary())
    return result


def followable(error: FatalError, options: TrainingOptions) -> FatalError:
    """The same error, with the command that takes the options which it advises, where `new` has none of that name."""
    named = set(re.findall(r"--[a-z][a-z-]+", str(error)))
    if named <= {option(name) for name in inspect.signature(new).parameters}:
        return error
    command = options.command(resume=RunFolder(options.out).exists)
    return SettingError(
        f"{str(error).rstrip('.')}. Here, `new` chose the options: change them in {command}, and call `new` again at its end."
    )
