"""Where a run starts: random weights, a checkpoint, or the save of a run to resume."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import CheckpointFolder, saves_in
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import Array, initial_weights, newest_whole
from finetune.data.prepared import Data
from finetune.data.vocabulary import vocabulary_differs
from finetune.openai_shapes import FORMER_NAMES, SHAPES
from finetune.option_ranges import option
from finetune.run_folder import RunDescription, RunFolder, TrainingState
from finetune.training.options import MAY_CHANGE, TrainingOptions

MODELS = Path("models")
EARLIER = {"optimizer": "adamw", "tokens_per_step": None}
"""What a run of an earlier version did, which did not have these options."""


@dataclass(frozen=True)
class StartingPoint:
    """Weights under their checkpoint names, and what a resumed run also needs.

    `vocabulary` is the folder with encoder.json and vocab.bpe. `state` is the optimizer's; None begins with a new one.
    """

    hparams: Hparams
    weights: Mapping[str, Array]
    vocabulary: Path
    step: int = 0
    state: TrainingState | None = None


def starting_point(options: TrainingOptions, data: Data, run: RunFolder) -> StartingPoint:
    """Find the weights to start from. Raises SettingError or CheckpointError naming what does not fit."""
    if options.resume:
        return resumed(options, data, run)
    run.refuse_existing()
    if options.init == "scratch":
        return from_scratch(options, data)
    return from_checkpoint(options, data)


def from_scratch(options: TrainingOptions, data: Data) -> StartingPoint:
    if options.n_embd % options.n_head:
        raise SettingError(
            f"--n-embd {options.n_embd} cannot be divided among --n-head {options.n_head} heads: give a multiple of it."
        )
    shape = {"n_ctx": options.n_ctx, "n_embd": options.n_embd, "n_head": options.n_head, "n_layer": options.n_layer}
    hparams = Hparams(n_vocab=data.description.n_vocab, **shape)
    return StartingPoint(hparams, initial_weights(hparams, options.seed), data.folder)


def from_checkpoint(options: TrainingOptions, data: Data) -> StartingPoint:
    source, weights = newest_whole(initial_folder(options.init), options.save)
    refuse_other_vocabulary(source, data)
    return StartingPoint(source.hparams, weights, source.folder)


def initial_folder(init: str) -> Path:
    """The checkpoint that --init names: its folder, or the path of a save."""
    path = Path(init)
    if path.is_dir():
        return path
    if (MODELS / init).is_dir():
        return MODELS / init
    if (model := FORMER_NAMES.get(init, init)) in SHAPES:
        now = f", which is called {model} now" if model != init else ""
        raise CheckpointError(f"models/{init} does not exist{now}: `python -m finetune download {model}` fetches it.")
    if path.is_file() or saves_in(path.parent):
        return path
    raise CheckpointError(
        f"--init is {init}: give 124M or another model in models/, a checkpoint's folder, or scratch."
    )


def refuse_other_vocabulary(source: CheckpointFolder, data: Data) -> None:
    if vocabulary_differs(source.folder, data.folder):
        raise SettingError(
            f"{data.folder} was prepared with a different vocabulary than that of {source.folder}: "
            f"prepare it again with --vocabulary {source.folder}."
        )


def resumed(options: TrainingOptions, data: Data, run: RunFolder) -> StartingPoint:
    """The newest save that can be read, with its optimizer state."""
    if not run.exists:
        raise SettingError(f"--resume is given and {run.folder} has no run to continue: leave --resume out.")
    source, weights = newest_whole(run.folder, options.save)
    refuse_other_vocabulary(source, data)
    if source.step >= options.steps:
        raise SettingError(f"{run.folder} is at step {source.step} already: give a higher --steps.")
    if run.description is not None:
        refuse_other_run(options, data, run.description, run.folder, source.hparams.n_ctx)
    state = run.state(source)
    if state is None:
        print(
            f"{run.folder / source.save} was saved without optimizer state: the optimizer starts fresh.",
            file=sys.stderr,
        )
    return StartingPoint(source.hparams, weights, source.folder, source.step, state)


def refuse_other_run(options: TrainingOptions, data: Data, before: RunDescription, folder: Path, n_ctx: int) -> None:
    """A run is resumed on its own data and with its own options, apart from MAY_CHANGE."""
    if before.corpus_sha256 != data.description.corpus_sha256:
        raise SettingError(
            f"{folder} was trained on different data than {data.folder}: start a new run with --init {folder}."
        )
    if before.documents is not None and before.documents != data.description.documents:
        raise SettingError(
            f"{folder} held out {before.documents['validation']} documents for validation and {data.folder} holds out "
            f"{data.description.documents['validation']}: prepare it with the --validation of before."
        )
    if before.options.get("trainer") == "gpt-2-simple" != options.trainer:
        return  # Keras continues it with options of its own, as any run of gpt-2-simple.
    began = EARLIER | before.options
    for name, value in options.as_dict().items():
        if name not in MAY_CHANGE and began.get(name, value) != value:
            raise SettingError(
                f"{option(name)} is {value} and was {began[name]} when {folder} began: give that value, "
                f"or start a new run with --init {folder}."
            )
    refuse_other_rows(options.rows_per_step(n_ctx), before, folder)


def refuse_other_rows(rows: int | None, before: RunDescription, folder: Path) -> None:
    """A step keeps its rows; they may be divided into other batches. With `--batch-size auto`, None, they will be."""
    batch_size, accumulate = before.options.get("batch_size", 1), before.options.get("accumulate", 1)
    if rows not in (None, batch_size * accumulate):
        raise SettingError(
            f"a step of {folder} has {batch_size * accumulate} rows, and these options give it {rows}: give --batch-size "
            f"{batch_size} --accumulate {accumulate}, or start a new run with --init {folder}."
        )
