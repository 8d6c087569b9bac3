"""The text that `new` is given: its files, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from app.errors import SettingError
from finetune.data.preparation import PreparationOptions
from finetune.data.sources import SplitAt
from finetune.option_ranges import option
from finetune.planning.model_folders import ModelFolders, name_of
from finetune.planning.starting_weights import StartingWeights
from finetune.planning.training_plan import validation_share, vocabulary_size


@dataclass(frozen=True)
class GivenText:
    """Files, and the options of `prepare` that depend on what somebody has, not on what is made of it."""

    inputs: list[str]
    split: SplitAt = "marks"
    model_is: tuple[str, ...] = ()
    column: tuple[str, ...] = ()
    encoding: str = "utf-8"
    keep_names: bool = False

    def given(self) -> dict[str, Any]:
        """The options that are not as usual."""
        usual = vars(GivenText(self.inputs))
        return {name: value for name, value in vars(self).items() if value != usual[name]}

    def refuse_options(self, folders: ModelFolders) -> None:
        """Raises SettingError for an option where the text is prepared already."""
        for name in self.given() if folders.given else ():
            raise SettingError(f"{option(name)} is given, and {folders.given} is prepared already: leave it out.")

    def command(self, folders: ModelFolders) -> list[str]:
        """The command that makes the same model."""
        words = ["gpt2", "new", *self.inputs]
        if folders.name != name_of(self.inputs[0]):
            words += ["--out", folders.name]
        for name, value in self.given().items():
            for each in value if isinstance(value, tuple) else [value]:
                words += [option(name)] if each is True else [option(name), str(each)]
        return words

    def options(self) -> PreparationOptions:
        """As `prepare` takes them."""
        return PreparationOptions(**self.given())

    def preparation(self, size: int, weights: StartingWeights) -> PreparationOptions:
        """The options to prepare `size` bytes with, for a model that starts from these weights."""
        options = replace(self.options(), validation=validation_share(size))
        if weights.source is not None:
            return replace(options, vocabulary=weights.source.folder)
        return replace(options, vocabulary_size=vocabulary_size(size))
