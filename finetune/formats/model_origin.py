"""Where a model is imported from: a folder on this disk, or else the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from app.errors import SettingError
from finetune.formats.hub_snapshot import fetch_snapshot, hub_name


class ModelOrigin(NamedTuple):
    """A folder, or a model on the Hub with a revision."""

    source: str
    revision: str | None

    @property
    def name(self) -> str:
        """What a folder of ours is called by default."""
        return Path(self.source).name if self.revision else Path(self.source).resolve().name

    def fetch(self) -> ModelFolder:
        """The folder, fetched first if it is on the Hub. Raises CheckpointError."""
        if self.revision is None:
            return ModelFolder(Path(self.source), f"the folder {self.source}", {"imported": self.name})
        folder, commit = fetch_snapshot(self.source, self.revision)
        title = f"{self.source} of the Hugging Face Hub, commit {commit[:7]}"
        return ModelFolder(folder, title, {"imported": self.source, "revision": commit})


class ModelFolder(NamedTuple):
    """A model's folder, how a sentence calls where it is from, and what a manifest says of that."""

    folder: Path
    title: str
    facts: dict[str, int | float | str]


def find_origin(source: str, revision: str | None) -> ModelOrigin:
    """The folder that `source` names, else the model on the Hub. Raises SettingError for a --revision that does not fit."""
    named = hub_name(source)
    if named is None or Path(source).exists():
        if revision is not None:
            raise SettingError(
                f"--revision is {revision}, and {source} is a folder, which has none: leave --revision out."
            )
        return ModelOrigin(source, None)
    given = {each for each in (named.revision, revision) if each is not None}
    if len(given) > 1:
        raise SettingError(f"{source} names a revision already, and --revision is {revision}: give one of them.")
    return ModelOrigin(named.name, next(iter(given), "main"))
