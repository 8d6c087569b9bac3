"""The folder of a gpt-2-simple checkpoint, such as checkpoint/run1, without its weights.

The folder holds `checkpoint` (TensorFlow's note of the newest save), `counter`, `encoder.json`, `vocab.bpe`, `hparams.json`
and each save as `model-N.index` with `model-N.data-00000-of-00001`. finetune.checkpoint reads the weights.

A checkpoint is named by its folder, which means its newest save, or by the path of a save, such as checkpoint/run1/model-500.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.engine.bundle import Hparams
from app.engine.held_save import HeldSave
from app.engine.json_text import decode_json
from app.engine.tokenizer import Tokenizer
from app.engine.vocabulary_files import COPY_FILE_AGAIN, VOCABULARY_FILES, read_text
from app.engine.wrong_files import wrong_file
from app.errors import CheckpointError

MODEL_FILES = ("hparams.json", *VOCABULARY_FILES)
"""What every save of a run shares with the model that was trained."""
COPY_AGAIN = "copy the whole checkpoint folder again"


@dataclass(frozen=True)
class CheckpointFolder:
    """A checkpoint whose files are all there. `save` is the name of the save, such as `model-1000`.

    `held` keeps its weights readable while a training goes on, which deletes old saves.
    """

    folder: Path
    hparams: Hparams
    save: str
    tokenizer: Tokenizer
    held: HeldSave

    @property
    def prefix(self) -> Path:
        """The path of the save's files without their suffixes, as TensorFlow names a save. Read `held.prefix`."""
        return self.folder / self.save

    @property
    def step(self) -> int:
        return step_of(self.save)


def step_of(save: str) -> int:
    """Training steps of a save; 0 for OpenAI's own weights, whose save has no number."""
    number = re.search(r"-(\d+)$", save)
    return int(number[1]) if number else 0


def open_checkpoint(path: Path, save: int | None = None) -> CheckpointFolder:
    """Find a save, by default the newest; read hparams and vocabulary. Raises CheckpointError, which names what is wrong.

    Args:
        path: the checkpoint's folder, or the path of a save in it
        save: the number of the save

    Where a training replaces the save meanwhile, the newer one is taken.
    """
    while True:
        noted = note_of(path)
        try:
            return hold_checkpoint(path, save)
        except (CheckpointError, FileNotFoundError):
            if note_of(path) == noted:
                raise


def note_of(folder: Path) -> bytes:
    """TensorFlow's note of the newest save, which a training replaces last of all files of a save; empty without one."""
    with suppress(OSError):
        return (folder / "checkpoint").read_bytes()
    return b""


def hold_checkpoint(path: Path, save: int | None) -> CheckpointFolder:
    """Raises CheckpointError or FileNotFoundError where a save is not there, or no longer."""
    folder, name = find_save(path, save)
    if lacking := lacking_files(folder):
        raise CheckpointError(
            f"{folder} lacks {listed(lacking)}",
            "copy them from the folder of the model that was trained, such as models/124M",
        )
    held = HeldSave(folder, name, [f"{name}.index", *shards(folder, name)])
    hparams = read_hparams(folder)
    return CheckpointFolder(folder, hparams, name, read_tokenizer(folder, hparams), held)


def find_save(path: Path, save: int | None = None) -> tuple[Path, str]:
    """The folder and the name of the save that a path and a number mean. Raises CheckpointError unless its files are there."""
    folder, named = split_save(path)
    there = saves_in(folder)
    if named and save is not None and step_of(named) != save:
        raise CheckpointError(f"{path} is a save already and not number {save}: name one of them.")
    if named is None:
        named = noted_save(folder, there) if save is None else numbered_save(save, there)
    if named not in there:
        refuse_incomplete(folder, named)
        raise CheckpointError(f"{folder / named} is not there", advice(folder, there))
    for part in (f"{named}.index", *shards(folder, named)):
        if found := wrong_file(folder / part):
            raise CheckpointError(*found)
    return folder, named


def split_save(path: Path) -> tuple[Path, str | None]:
    """The folder of a checkpoint and, if the path names one, its save: by model-N or by any of the save's files."""
    if path.is_dir():
        return path, None
    name = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path.name)
    folder = path.parent
    if path.name == "checkpoint" and path.is_file():
        return folder, None
    if folder.is_dir() and (saves_in(folder) or any(folder.glob(f"{glob.escape(name)}.*"))) and "-" in name:
        return folder, name
    if folder.is_dir() and name in saves_in(folder):
        return folder, name
    if found := wrong_file(path):
        raise CheckpointError(*found)
    raise CheckpointError(f"{path} is not a folder: name the folder that gpt-2-simple wrote, such as checkpoint/run1.")


def saves_in(folder: Path) -> list[str]:
    """The complete saves of a folder, by their steps."""
    names = (path.name.removesuffix(".index") for path in folder.glob("*.index"))
    return sorted((name for name in names if is_complete(folder, name)), key=lambda name: (step_of(name), name))


def shards(folder: Path, save: str) -> list[str]:
    """The names of a save's files of weights: usually one, `model-N.data-00000-of-00001`."""
    found = sorted(path.name for path in folder.glob(f"{glob.escape(save)}.data-?????-of-?????"))
    total = int(found[-1][-5:]) if found and found[-1][-5:].isdecimal() else 1
    return [f"{save}.data-{number:05}-of-{total:05}" for number in range(total)]


def is_complete(folder: Path, save: str) -> bool:
    return all((folder / part).is_file() for part in (f"{save}.index", *shards(folder, save)))


def numbered_save(number: int, there: Sequence[str]) -> str:
    """The save of this number; model-N if it is not there."""
    return next((name for name in there if re.search(rf"-{number}$", name)), f"model-{number}")


def noted_save(folder: Path, there: Sequence[str]) -> str:
    """The save that TensorFlow's note names. Without a note, a folder's only save is meant. Raises CheckpointError."""
    if (folder / "checkpoint").is_file():
        try:
            return newest_save(folder)
        except CheckpointError as error:
            if len(there) > 1:
                raise CheckpointError(error.problem, advice(folder, there)) from None
            if not there:
                raise
    if not there:
        refuse_other_folder(folder)
    if len(there) > 1:
        raise CheckpointError(f"{folder} has no file `checkpoint`, which names its newest save", advice(folder, there))
    return there[0]


def newest_save(folder: Path) -> str:
    """The name of the newest save, from TensorFlow's note. Raises CheckpointError."""
    path = folder / "checkpoint"
    found = re.search(r'^model_checkpoint_path: *"(.+)"', read_text(path), re.MULTILINE)
    if found is None:
        raise CheckpointError(f"{path} does not name a save", 'it should say model_checkpoint_path: "model-N"')
    return name_of_save(found[1])


def name_of_save(noted: str) -> str:
    """The name of a save in TensorFlow's note, which may hold a whole path of another machine."""
    return re.split(r"[/\\]", noted)[-1]


def refuse_incomplete(folder: Path, save: str) -> None:
    """Raises CheckpointError where some files of a save are there and others are missing."""
    parts = [f"{save}.index", *shards(folder, save)]
    missing = [part for part in parts if not (folder / part).is_file()]
    for part in missing:
        if found := wrong_file(folder / part):
            raise CheckpointError(*found)
    if missing and (len(missing) < len(parts) or not saves_in(folder)):
        raise CheckpointError(f"{folder / missing[0]} is missing", COPY_AGAIN)


def advice(folder: Path, there: Sequence[str]) -> str:
    """Which save could be named instead; what to do without any."""
    saves = [*there, *(f"best/{name}" for name in saves_in(folder / "best"))]
    if not saves:
        return COPY_AGAIN
    return f"the saves there are {listed(saves)}; name one, as in {folder / (there or saves)[-1]}"


def refuse_other_folder(folder: Path) -> None:
    """A folder without any save is something else, or it holds the folder that is meant. Raises CheckpointError."""
    inside = sorted(path.parent for path in folder.glob("*/*.index") if path.parent.is_dir())
    if (folder / "manifest.json").is_file():
        raise CheckpointError(f"{folder} is a bundle, not a checkpoint: name the checkpoint that it was made of.")
    if (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} is a Hugging Face folder: `python -m finetune import {folder} --out models/NAME` makes "
            "a checkpoint of it."
        )
    if inside:
        raise CheckpointError(f"{folder} is not a checkpoint: name the folder in it that is one, such as {inside[0]}.")
    raise CheckpointError(
        f"{folder} has no save: name the folder that gpt-2-simple wrote, with model-N.index and model-N.data-00000-of-00001."
    )


def lacking_files(folder: Path) -> list[str]:
    """Those of MODEL_FILES that are not in the folder."""
    return [name for name in MODEL_FILES if not (folder / name).exists() and not (folder / name).is_symlink()]


def listed(names: Sequence[str]) -> str:
    """The names as in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def read_hparams(folder: Path) -> Hparams:
    """The shape of the model, from hparams.json. Raises CheckpointError."""
    path = folder / "hparams.json"
    try:
        hparams = decode_json(read_text(path), Hparams)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} does not describe a GPT-2 ({error})", COPY_FILE_AGAIN) from None
    if hparams.fault:
        raise CheckpointError(f"{path} has {hparams.fault}", COPY_FILE_AGAIN)
    return hparams


def read_tokenizer(folder: Path, hparams: Hparams) -> Tokenizer:
    """The vocabulary, which must have the size that hparams.json says. Raises CheckpointError."""
    tokenizer = Tokenizer.from_gpt2(folder)
    if len(tokenizer) != hparams.n_vocab:
        raise CheckpointError(
            f"{folder}/encoder.json has {len(tokenizer)} tokens and hparams.json {hparams.n_vocab}",
            "copy both from one model",
        )
    return tokenizer
