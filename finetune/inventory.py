"""The runs and bundles of this folder: what there is in checkpoint/ and models/, and which one a name means."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from app.engine.bundle import Hparams, read_manifest
from app.engine.checkpoint_folder import find_save, listed, read_hparams, saves_in, step_of
from app.engine.default_bundle import MODELS, PACKAGED, STARTER, is_bundle
from app.errors import FatalError, SettingError
from finetune.checkpoint import count_parameters
from finetune.default_choice import default_or_none, is_default
from finetune.run_folder import RunFolder
from finetune.run_progress import read_progress

RUNS = Path("checkpoint")
Kind = Literal["run", "checkpoint", "bundle"]
"""A checkpoint is a run without its training: OpenAI's weights, or what `import` wrote."""
KINDS: tuple[Kind, ...] = ("bundle", "run", "checkpoint")


class StoredModel(msgspec.Struct, frozen=True, kw_only=True):
    """What `list` says about a folder. `problem` says why it does not say more."""

    name: str
    kind: Kind
    default: bool
    hparams: Hparams | None = None
    parameters: int | None = None
    step: int | None = None
    validation_loss: float | None = None
    """In nats per token: of a run the lowest, which is that of its best/."""
    bytes: int
    date: datetime
    """When a bundle was made, and when a run was last written to."""
    training: bool = False
    """Whether a process is training it now."""
    problem: str | None = None


def stored_models() -> list[StoredModel]:
    """All bundles, checkpoints and runs of this folder, and the packaged starter where it is the default."""
    packaged = [PACKAGED] if default_or_none() == PACKAGED else []
    return [describe(folder) for folder in [*packaged, *model_folders()]]


def model_folders() -> Iterator[Path]:
    for parent in (MODELS, RUNS):
        if parent.is_dir():
            yield from sorted(path for path in parent.iterdir() if path.name[0] != "." and kind_of(path))


def kind_of(folder: Path) -> Kind | None:
    """What a folder holds; None if it is neither a run nor a bundle."""
    if is_bundle(folder):
        return "bundle"
    if (folder / "description.json").is_file():
        return "run"
    saves = saves_in(folder) if folder.is_dir() else []
    return None if not saves else "run" if step_of(saves[-1]) else "checkpoint"


def describe(folder: Path) -> StoredModel:
    kind = kind_of(folder)
    assert kind is not None
    files = files_of(folder)
    size, date = sum(status.st_size for status in files.values()), written_at(folder, files)
    whole = StoredModel(name=str(folder), kind=kind, default=is_default(folder), bytes=size, date=date)
    try:
        return with_bundle(whole, folder) if kind == "bundle" else with_run(whole, folder)
    except FatalError as error:
        return msgspec.structs.replace(whole, problem=str(error))
    except OSError as error:
        return msgspec.structs.replace(whole, problem=f"{error.filename} cannot be read ({error.strerror}).")


def with_bundle(model: StoredModel, folder: Path) -> StoredModel:
    manifest = read_manifest(folder)
    step, loss = (manifest.training.get(name) for name in ("step", "validation_loss"))
    made = model.date
    with contextlib.suppress(KeyError, ValueError):
        made = datetime.fromisoformat(manifest.made["at"])
    return msgspec.structs.replace(
        model,
        date=made,
        hparams=manifest.hparams,
        parameters=count_parameters(manifest.hparams),
        step=step if isinstance(step, int) else None,
        validation_loss=float(loss) if isinstance(loss, int | float) else None,
    )


def with_run(model: StoredModel, folder: Path) -> StoredModel:
    run = RunFolder(folder)
    progress = read_progress(folder)
    model = msgspec.structs.replace(model, training=progress is not None and progress.alive(folder))
    if not run.exists:
        return msgspec.structs.replace(model, problem="there is no save yet.")
    hparams = read_hparams(folder)
    lowest = run.lowest_validation
    return msgspec.structs.replace(
        model,
        hparams=hparams,
        parameters=count_parameters(hparams),
        step=step_of(find_save(folder)[1]),
        validation_loss=lowest[1] if lowest else None,
    )


def files_of(folder: Path) -> dict[Path, os.stat_result]:
    """All files in a folder. A training, which replaces its saves, may delete some meanwhile: they do not count."""
    found = {}
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(OSError):
                found[path] = path.stat()
    return {path: found[path] for path in sorted(found) if stat.S_ISREG(found[path].st_mode)}


def written_at(folder: Path, files: Mapping[Path, os.stat_result]) -> datetime:
    """When a file of the folder was last written."""
    times = (status.st_mtime for status in files.values())
    return datetime.fromtimestamp(max(times, default=folder.stat().st_mtime), UTC).replace(microsecond=0)


def find_model(name: str, *kinds: Kind) -> Path:
    """The folder that a name means: a path, such as models/jokes, or the last part of one. Raises SettingError."""
    found = find_models(name, *kinds)
    if len(found) > 1:
        raise SettingError(f"{name} could be {listed([str(each) for each in found])}: write which.")
    return found[0]


def find_models(name: str, *kinds: Kind) -> list[Path]:
    """All folders that a name may mean, at least one. Raises SettingError."""
    path = Path(os.path.normpath(name))
    beside = [MODELS / path, RUNS / path] if len(path.parts) == 1 else []
    packaged = [PACKAGED] if name == STARTER else []
    for places in (beside, [path], packaged):
        if found := [each for each in places if kind_of(each) in kinds]:
            return found
    raise unknown(name, kinds)


def unknown(name: str, kinds: Sequence[Kind]) -> SettingError:
    """Names the nearest of the names that would do."""
    known = [str(folder) for folder in model_folders() if kind_of(folder) in kinds]
    short = {Path(each).name: each for each in reversed(known)}
    near = difflib.get_close_matches(name, [*known, *short], 1)
    remedy = f"did you mean {short.get(near[0], near[0])}?" if near else "`gpt2 list` shows what there is."
    return SettingError(f"{name!r} is no {' and no '.join(kinds)} here: {remedy}")


def find_bundle(name: str) -> Path:
    """The bundle that a name means. Raises SettingError, which for a run says how it is made a bundle."""
    path = Path(os.path.normpath(name))
    run = next((each for each in (path, RUNS / path, MODELS / path) if kind_of(each) in ("run", "checkpoint")), None)
    if run and not any(is_bundle(each) for each in (path, MODELS / path)):
        best = run / "best" if kind_of(run / "best") else run
        export = f"gpt2 export {shlex.quote(str(best))} {shlex.quote(str(MODELS / run.name))}"
        raise SettingError(f"{run} is a {kind_of(run)}, not a bundle: `{export}` makes one of it.")
    return find_model(name, "bundle")
