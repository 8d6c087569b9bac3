"""A bundle: the folder that `finetune export` writes and the app serves.

    manifest.json     what the model is, how it wants to be used, how it was made, and two checksums of each other file
    model.onnx        the graph
    model.onnx.data   the weights, which are mapped into memory rather than read
    tokenizer.json    the vocabulary, in the format of the tokenizers library
    batch.onnx        the same model as a graph for texts that are written beside each other, where that was worth it
    batch.onnx.data   its weights

A file that does not match the manifest is refused with an error that names it. A bundle that is made, copied or examined is
compared by SHA-256. One that is only to be read is compared by CRC-32, which finds the same accidents in a fraction of the time.
"""

from __future__ import annotations

import hashlib
import mmap
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Literal

import msgspec

from app.engine.profile import Profile
from app.engine.templates import Template
from app.engine.wrong_files import wrong_file
from app.errors import BundleError

FORMAT = 1
WEIGHTS = ("model.onnx", "model.onnx.data")
FILES = (*WEIGHTS, "tokenizer.json")
"""What each bundle has."""
BATCH = ("batch.onnx", "batch.onnx.data")
"""What it may have besides."""
Checksum = Literal["crc32", "sha256"]


class Hparams(msgspec.Struct, frozen=True):
    """The shape of a GPT-2, under the names of gpt-2-simple's hparams.json."""

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int
    n_layer: int


class EndMarker(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a text of this model ends: with a token, or with a string that is several ordinary tokens.

    Models that gpt-2-simple trained have learned the string `<|endoftext|>`. Models that were trained on documents with the real
    token saw it before each document, so it is put before their prompts.
    """

    token: int | None = None
    text: str | None = None


class Parity(msgspec.Struct, frozen=True):
    """How close the bundle's logits are to a reference's, measured at `tokens` positions when the bundle was made.

    `max_difference` is the largest difference of a logit, `mean_kl` the mean Kullback-Leibler divergence from the reference's
    distribution in nats, `same_choice` the share of positions at which both have the same likeliest token. The reference is
    gpt-2-simple's graph on TensorFlow, or for a bundle that `import` made, GPT-2 written out in NumPy.
    """

    tokens: int
    max_difference: float
    mean_kl: float
    same_choice: float
    reference: Literal["TensorFlow", "NumPy"] = "TensorFlow"


class Manifest(Profile, frozen=True, kw_only=True, omit_defaults=True):
    """manifest.json: the model's profile, and what it is.

    `files` has the SHA-256 of each file and `crc32` its CRC-32, which older bundles lack. `training` and `made` say where the
    model comes from.
    """

    template: Template
    """Always written."""
    format: int
    name: str
    hparams: Hparams
    bits: Literal[4, 8, 32]
    end: EndMarker
    training: dict[str, int | float | str]
    parity: Parity | None = None
    """None in a temporary bundle that is only sampled from: its parity was never measured."""
    batch: Parity | None = None
    """That of the graph for batches; None where the bundle has none."""
    rounding: dict[str, int | float | str] = msgspec.field(default_factory=dict)
    """What was done to round the weights well, and why the bundle has no graph for batches, if it has none."""
    made: dict[str, str]
    files: dict[str, str]
    crc32: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A folder with its manifest. Unless it is `checked`, each file is compared with the manifest before it is read.

    By its SHA-256, if `checksum` says so or the manifest has no other.
    """

    folder: Path
    manifest: Manifest
    checked: bool = True
    checksum: Checksum = "crc32"

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all its files but the manifest."""
        return FILES + BATCH if self.has_batch else FILES

    @property
    def has_batch(self) -> bool:
        """Whether it has a graph for batches."""
        return self.manifest.batch is not None

    @property
    def weight_bytes(self) -> int:
        """The size of the graph and the weights; 0 for files that are missing."""
        return self.size_of(WEIGHTS)

    def size_of(self, names: Sequence[str]) -> int:
        """The size of these files; 0 for those that are missing."""
        return sum(path.stat().st_size for name in names if (path := self.folder / name).is_file())

    def check(self, names: Sequence[str]) -> None:
        """Compare these files with the manifest, if that has not been done. Raises BundleError."""
        for path in () if self.checked else [self.folder / name for name in names]:
            refuse_wrong_file(path)
            if not path.is_file():
                raise BundleError(f"{path} is missing: copy the whole bundle, or export it again.")
            if not self.describes(path):
                raise BundleError(
                    f"{path} is not the file its manifest describes: copy the bundle again, or export it again."
                )

    def describes(self, path: Path) -> bool:
        """Whether the manifest describes this file. Raises BundleError where it cannot be read."""
        if self.checksum == "crc32" and path.name in self.manifest.crc32:
            return crc32(path) == self.manifest.crc32[path.name]
        return sha256(path) == self.manifest.files.get(path.name)


def open_bundle(folder: Path, checksum: Checksum = "sha256") -> Bundle:
    """Read the manifest and check every file against it. Raises BundleError."""
    bundle = Bundle(folder, read_manifest(folder), checked=False, checksum=checksum)
    bundle.check(bundle.files)
    return replace(bundle, checked=True)


def read_manifest(folder: Path) -> Manifest:
    """Read manifest.json; the other files are not looked at. Raises BundleError."""
    path = folder / "manifest.json"
    make = f"`python -m finetune export --checkpoint CHECKPOINT --out {folder}` makes one"
    refuse_wrong_file(folder)
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a folder: set MODEL to a bundle; {make}.")
    refuse_wrong_file(path)
    if not path.exists():
        refuse_other_model(folder)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): set MODEL to a bundle; {make}.") from None
    try:
        version = msgspec.json.decode(text, type=dict[str, object]).get("format")
        if version != FORMAT:
            raise BundleError(
                f"{path} has format {version!r} and this version reads {FORMAT}: export the bundle again."
            )
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} is not a bundle's manifest ({error}): {make}.") from None


def refuse_other_model(folder: Path) -> None:
    """Raises BundleError where a folder without a manifest holds a model in another form, or bundles."""
    export = "python -m finetune export --checkpoint"
    if (folder / "hparams.json").is_file() or any(folder.glob("*.index")):
        raise BundleError(f"{folder} is a checkpoint, not a bundle: run `{export} {folder} --out models/NAME`.")
    if (folder / "config.json").is_file():
        raise BundleError(
            f"{folder} is a Hugging Face folder, not a bundle: run `gpt2 import {folder} --bundle --out models/NAME`."
        )
    if inside := sorted(folder.glob("*/manifest.json")):
        raise BundleError(f"{folder} holds bundles and is none: name one of them, such as {inside[0].parent}.")


def refuse_wrong_file(path: Path) -> None:
    """Raises BundleError where something else lies under this name, such as a Git LFS pointer."""
    if found := wrong_file(path):
        raise BundleError(f"{found[0]}: {found[1]}.")


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal. Raises BundleError."""
    with read_bytes(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crc32(path: Path) -> str:
    """The file's CRC-32, as gzip has it, in hexadecimal. Raises BundleError."""
    # The weights are mapped into memory anyway. In one piece, other threads run meanwhile.
    with read_bytes(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return f"{zlib.crc32(content):08x}"


@contextmanager
def read_bytes(path: Path) -> Iterator[FileIO]:
    """The file, opened for reading. Raises BundleError."""
    try:
        with path.open("rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): copy the bundle again.") from None
