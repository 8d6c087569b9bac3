"""The folder of a gpt-2-simple checkpoint, such as checkpoint/run1, without its weights.

The folder holds `checkpoint` (TensorFlow's note of the newest save), `counter`, `encoder.json`, `vocab.bpe`, `hparams.json`
and each save as `model-N.index` with `model-N.data-00000-of-00001`. finetune.checkpoint reads the weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.engine.bundle import Hparams
from app.engine.tokenizer import Tokenizer
from app.errors import CheckpointError

VOCABULARY_FILES = ("encoder.json", "vocab.bpe")


@dataclass(frozen=True)
class CheckpointFolder:
    """A checkpoint whose files are all there. `save` is the name of the newest save, such as `model-1000`."""

    folder: Path
    hparams: Hparams
    save: str
    tokenizer: Tokenizer

    @property
    def prefix(self) -> Path:
        """The path of the newest save's files without their suffixes, as TensorFlow names a save."""
        return self.folder / self.save

    @property
    def step(self) -> int:
        return step_of(self.save)


def step_of(save: str) -> int:
    """Training steps of a save; 0 for OpenAI's own weights, whose save has no number."""
    number = re.search(r"-(\d+)$", save)
    return int(number[1]) if number else 0


def open_checkpoint(folder: Path) -> CheckpointFolder:
    """Find the newest save; read hparams and vocabulary. Raises CheckpointError, which names the file that is wrong."""
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is not a folder: name the folder that gpt-2-simple wrote, such as checkpoint/run1."
        )
    hparams = read_hparams(folder)
    save = newest_save(folder)
    if not (index := folder / f"{save}.index").is_file():
        raise CheckpointError(f"{index} is missing", "copy the whole checkpoint folder again")
    if not list(folder.glob(f"{save}.data-*")):
        raise CheckpointError(
            f"{folder / save}.data-00000-of-00001 is missing", "copy the whole checkpoint folder again"
        )
    return CheckpointFolder(folder, hparams, save, read_tokenizer(folder, hparams))


def read_text(path: Path) -> str:
    """The text of one of the folder's files. Raises CheckpointError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror})", "copy the whole checkpoint folder again"
        ) from None
    except UnicodeDecodeError:
        raise CheckpointError(f"{path} is not text", "copy the whole checkpoint folder again") from None


def read_hparams(folder: Path) -> Hparams:
    """The shape of the model, from hparams.json. Raises CheckpointError."""
    path = folder / "hparams.json"
    try:
        hparams = msgspec.json.decode(read_text(path), type=Hparams)
    except msgspec.DecodeError as error:
        raise CheckpointError(
            f"{path} does not describe a GPT-2 ({error})", "copy it again from the model it belongs to"
        ) from None
    if hparams.n_embd % hparams.n_head:
        raise CheckpointError(
            f"{path} has n_embd {hparams.n_embd}, which {hparams.n_head} heads cannot share equally", "copy it again"
        )
    return hparams


def newest_save(folder: Path) -> str:
    """The name of the newest save, from TensorFlow's note. Raises CheckpointError."""
    path = folder / "checkpoint"
    found = re.search(r'^model_checkpoint_path: *"(.+)"', read_text(path), re.MULTILINE)
    if found is None:
        raise CheckpointError(f'{path} does not name a save: it should say model_checkpoint_path: "model-N".')
    # A note from another machine may hold a whole path of that machine.
    return re.split(r"[/\\]", found[1])[-1]


def read_tokenizer(folder: Path, hparams: Hparams) -> Tokenizer:
    """The vocabulary, which must have the size that hparams.json says. Raises CheckpointError."""
    for name in VOCABULARY_FILES:
        read_text(folder / name)
    try:
        tokenizer = Tokenizer.from_gpt2(folder)
    except Exception:  # The tokenizers library raises bare Exceptions for a vocabulary it cannot use.
        raise CheckpointError(
            f"{folder}/encoder.json and vocab.bpe are not a GPT-2 vocabulary",
            "copy them again from the model they belong to",
        ) from None
    if len(tokenizer) != hparams.n_vocab:
        raise CheckpointError(
            f"{folder}/encoder.json has {len(tokenizer)} tokens and hparams.json {hparams.n_vocab}",
            "copy both from one model",
        )
    return tokenizer
