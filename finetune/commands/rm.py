"""`rm`: delete runs and bundles, after saying what goes.

gpt2 rm checkpoint/jokes
gpt2 rm models/jokes models/cats --yes
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

from app.engine.default_bundle import MODELS, default_bundle, deployed_model
from app.errors import FatalError, SettingError
from finetune.build_context import send_default
from finetune.columns import shown_bytes
from finetune.default_choice import forget_default
from finetune.folder import written_aside
from finetune.inventory import RUNS, StoredModel, describe, find_model
from finetune.terminal import consents, harmless


def rm(names: list[str], /, *, yes: bool = False) -> None:
    """Delete runs and bundles, after saying what goes.

    Args:
        names: runs and bundles, such as checkpoint/jokes, models/jokes, or jokes if only one has that name
        yes: do not ask
    """
    models = [describe(folder) for folder in {folder.resolve(): folder for folder in map(deletable, names)}.values()]
    print(harmless("\n".join(line for model in models for line in what_goes(model))), flush=True)
    agree(yes)
    for model in models:
        delete(model)
    print(harmless(f"deleted {', '.join(model.name for model in models)}"))
    if any(model.default for model in models):
        print(default_now())


def deletable(name: str) -> Path:
    """The folder that a name means. Raises SettingError for all that is not a run or a bundle right in checkpoint/ or models/."""
    folder = find_model(name, "bundle", "run", "checkpoint")
    if folder.is_symlink():
        raise SettingError(f"{folder} is a link to {folder.readlink()}: delete the link and what it means yourself.")
    if folder.parent.resolve() not in (RUNS.resolve(), MODELS.resolve()):
        raise SettingError(f"{folder} is not right in {RUNS} or {MODELS} of this folder, where `rm` deletes.")
    return folder


def what_goes(model: StoredModel) -> list[str]:
    step = "" if model.step is None else f" at step {model.step:,}"
    lines = [
        f"{model.name}: a {model.kind}{step}, {shown_bytes(model.bytes)}, of {model.date.astimezone():%Y-%m-%d %H:%M}"
    ]
    if model.training:
        lines.append(f"warning: {model.name} is being trained now.")
    if model.default:
        lines.append(f"warning: {model.name} is the default: it is what is served and deployed.")
    return lines


def agree(yes: bool) -> None:
    """Ask. Raises SettingError where nobody can answer, SystemExit for a no."""
    if not yes and not consents("Delete?", "nobody is here to be asked, so nothing was deleted: add --yes."):
        print("nothing was deleted.", file=sys.stderr)
        raise SystemExit(1)


def delete(model: StoredModel) -> None:
    """Delete a folder. It loses its name first: an interruption leaves no half of it under that name."""
    folder = Path(model.name)
    with written_aside(folder) as aside:
        folder.rename(aside / folder.name)
        if model.default:
            forget_default()
        with contextlib.suppress(FatalError):
            send_default()
        shutil.rmtree(aside / folder.name)


def default_now() -> str:
    """What is the default after the one that was chosen is gone."""
    try:
        served, deployed = default_bundle(), deployed_model()
    except FatalError:
        return "there is no default now: `gpt2 list` shows what there is, `gpt2 use NAME` chooses"
    also = "" if deployed == served else f", and a container would be built of {deployed}"
    return f"{served} is the default now{also}"
