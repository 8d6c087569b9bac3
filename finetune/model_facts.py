"""Everything about one run or bundle: what `show` prints, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from app.engine.bundle import Manifest, read_manifest
from app.engine.checkpoint_folder import newest_save, saves_in, step_of
from app.errors import CheckpointError
from finetune.inventory import StoredModel, files_of
from finetune.run_folder import LogEntry, RunDescription, RunFolder


class Save(msgspec.Struct, frozen=True):
    """A save of a run. `path` names it on the command line."""

    path: str
    step: int
    bytes: int
    newest: bool
    validation_loss: float | None


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run has a description, losses and saves; a bundle has a manifest."""

    model: StoredModel
    files: dict[str, int]
    """Sizes in bytes, by path in the folder."""
    description: RunDescription | None = None
    last: LogEntry | None = None
    saves: list[Save] = []
    manifest: Manifest | None = None


def model_facts(model: StoredModel) -> ModelFacts:
    """Raises FatalError where a file that should say something cannot be read."""
    folder = Path(model.name)
    sizes = {path: status.st_size for path, status in files_of(folder).items()}
    files = {path.relative_to(folder).as_posix(): size for path, size in sizes.items()}
    if model.kind == "bundle":
        return ModelFacts(model=model, files=files, manifest=read_manifest(folder))
    run = RunFolder(folder)
    log = run.log()
    return ModelFacts(
        model=model,
        files=files,
        description=run.description,
        last=log[-1] if log else None,
        saves=[*saves_of(folder, log, sizes), *saves_of(run.best.folder, run.best.log(), sizes)],
    )


def saves_of(folder: Path, log: list[LogEntry], sizes: Mapping[Path, int]) -> list[Save]:
    losses = {entry.step: entry.validation for entry in log}
    try:
        newest = newest_save(folder)
    except CheckpointError:
        newest = ""
    return [
        Save(
            path=str(folder / save),
            step=step_of(save),
            bytes=sum(
                size for path, size in sizes.items() if path.parent == folder and path.name.startswith(f"{save}.")
            ),
            newest=save == newest,
            validation_loss=losses.get(step_of(save)),
        )
        for save in saves_in(folder)
    ]
