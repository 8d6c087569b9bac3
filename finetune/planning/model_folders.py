"""The folders that `new` makes of a text, by the name of the model: data/NAME, checkpoint/NAME, reports/NAME and models/NAME."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from app.engine.default_bundle import is_bundle, is_name
from app.errors import SettingError
from finetune.run_folder import RunFolder

LONGEST = 80
"""Characters of a name. File systems take 255 bytes, and folders are written aside under longer ones."""


@dataclass(frozen=True)
class ModelFolders:
    """The folders of a model by its name. `given`: prepared data that is there already."""

    name: str
    given: Path | None = None

    @property
    def data(self) -> Path:
        return self.given or Path("data") / self.name

    @property
    def run(self) -> Path:
        return Path("checkpoint") / self.name

    @property
    def report(self) -> Path:
        return Path("reports") / self.name

    @property
    def bundle(self) -> Path:
        return Path("models") / self.name

    def all(self) -> dict[str, Path]:
        return {"data": self.data, "run": self.run, "report": self.report, "bundle": self.bundle}

    def refuse_foreign(self) -> None:
        """Raises SettingError where a folder holds something else, which shows after the training otherwise."""
        ours = {
            self.data: self.given is not None or (self.data / "description.json").is_file(),
            self.run: RunFolder(self.run).exists or RunFolder(self.run).without_saves,
            self.report: (self.report / "report.json").is_file(),
            self.bundle: is_bundle(self.bundle),
        }
        for folder, is_ours in ours.items():
            if folder.exists() and not is_ours and not is_empty(folder):
                raise SettingError(
                    f"{folder} is there and holds something else: name the model with --out, or move that away."
                )


def is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def model_folders(inputs: list[str], out: str | None) -> ModelFolders:
    """The folders for a text, named by --out or after it. Raises SettingError."""
    if not inputs[0]:
        raise SettingError("the first input is empty: give your text.")
    if out is None:
        name = name_of(inputs[0])
    elif is_plain(out):
        name = out
    else:
        raise SettingError(
            f"--out is {out!r}, and should be a name such as jokes, of letters, digits, dots, hyphens and underscores: "
            "models/jokes is then made in this folder."
        )
    folder = Path(inputs[0])
    return ModelFolders(name, folder if len(inputs) == 1 and (folder / "train.tokens").is_file() else None)


def is_plain(name: str) -> bool:
    return is_name(name) and len(name.encode()) <= LONGEST and re.fullmatch(r"\w[\w.-]*", name) is not None


def name_of(given: str) -> str:
    """The name that a model gets from its text: jokes for texts/jokes.csv.gz."""
    words = re.sub(r"\W+", "-", Path(given).name.split(".")[0])
    name = words.encode()[:LONGEST].decode("utf-8", "ignore").strip("-")
    if not is_plain(name):
        raise SettingError(f"{given} gives the model no name: name it with --out.")
    return name
