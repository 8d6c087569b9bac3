"""The default bundle, which is served and deployed unless another is named: models/DEFAULT says which one it is.

models/DEFAULT is one line, the name of a bundle beside it. `finetune export` and `finetune use` write it. Where there is no such
file, models/starter is the default, or else the starter that an installed package brings. The Dockerfile runs this module, so it
needs nothing but Python:

    python3 -m app.engine.default_bundle [MODEL]      prints what an image serves
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.errors import BundleError

MODELS = Path("models")
DEFAULT = "DEFAULT"
STARTER = "starter"
INSTALLED = Path(__file__).parents[2] / "gpt2_project"
"""Where an installed package keeps the project's other files. A clone has no such folder."""
PACKAGED = INSTALLED / MODELS / STARTER
RUN = Path("checkpoint/run1")
"""Where gpt-2-simple leaves its run. An image exports it while it is built, where no bundle was chosen."""
CHOOSE = "`gpt2 use NAME` chooses a bundle and lets .dockerignore and .gcloudignore send it"


def default_bundle(models: Path = MODELS) -> Path:
    """The folder of the default bundle. Raises BundleError if it is not there: the starter never stands in for a chosen one."""
    name = chosen_name(models)
    folder = models / (name or STARTER)
    if is_bundle(folder):
        return folder
    if name:
        raise BundleError(f"{models / DEFAULT} names {name}, and there is no bundle in {folder}: {CHOOSE}.")
    if is_bundle(PACKAGED):
        return PACKAGED
    raise BundleError(
        f"there is no {models / DEFAULT} and no bundle in {folder}: `gpt2 new FILE` makes one of your text, and {CHOOSE}."
    )


def deployed_model(named: str = "", project: Path = Path()) -> Path:
    """What an image of this folder serves: the bundle that is named, else the chosen one, else checkpoint/run1, else the starter.

    Raises BundleError where that is not here.
    """
    models = project / MODELS
    if named:
        folder = models / Path(named).name
        if not is_bundle(folder):
            raise BundleError(f"MODEL is {named}, and there is no bundle in {folder}: {CHOOSE}.")
        return folder
    if chosen_name(models) is None and any((project / RUN).glob("*.index")):
        return project / RUN
    return default_bundle(models)


def chosen_name(models: Path = MODELS) -> str | None:
    """The name in models/DEFAULT, None where there is no such file. Raises BundleError if it holds no name."""
    path = models / DEFAULT
    if not path.exists() and not path.is_symlink():
        return None
    try:
        name = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BundleError(f"{path} cannot be read ({reason}): remove it, and {CHOOSE}.") from None
    if not is_name(name):
        raise BundleError(f"{path} should hold the name of a bundle in {models}, and holds {name[:80]!r}: {CHOOSE}.")
    return name


def is_name(name: str) -> bool:
    """Whether a folder of this name can be chosen: one line, no path, and not DEFAULT itself."""
    return name == name.strip() and name.isprintable() and name not in ("", ".", "..", DEFAULT) and "/" not in name


def is_bundle(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def main(named: str = "") -> int:
    try:
        sys.stdout.write(f"{deployed_model(named)}\n")
    except BundleError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
