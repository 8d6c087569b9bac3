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

from app.engine.json_text import decode_json, read_bounded, refuse_repeated_keys, shortened
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
LARGEST_MANIFEST, LARGEST_TEXT = 2**20, 2**27
"""Bytes of a manifest, which has about two thousand, and of a vocabulary or a graph, which have a few millions at most."""
LONGEST_NAME, LONGEST_END = 200, 300
"""Characters."""


LARGEST = {"n_vocab": 2**24, "n_ctx": 2**20, "n_embd": 2**16, "n_head": 2**16, "n_layer": 2**12}
"""Above any model, and low enough that nothing runs for ever because of a wrong number."""


class Hparams(msgspec.Struct, frozen=True):
    """The shape of a GPT-2, under the names of gpt-2-simple's hparams.json."""

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int
    n_layer: int

    @property
    def fault(self) -> str:
        """What no GPT-2 has, as in `n_ctx 0, which no GPT-2 has`; "" where there is nothing of the kind."""
        for name, largest in LARGEST.items():
            if not 1 <= (value := getattr(self, name)) <= largest:
                return f"{name} {value}, which no GPT-2 has"
        if self.n_embd % self.n_head:
            return f"n_embd {self.n_embd}, which {self.n_head} heads cannot share equally"
        return ""


class EndMarker(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a text of this model ends: with a token, or with a string that is several ordinary tokens.

    Models that gpt-2-simple trained have learned the string `<|endoftext|>`. Models that were trained on documents with the real
    token saw it before each document, so it is put before their prompts.
    """

    token: int | None = None
    text: str | None = None

    def fault(self, n_vocab: int) -> str:
        """What makes it no end in a vocabulary of this size, in half a sentence; "" if nothing does."""
        if (self.token is None) == (self.text is None):
            return f"an end with {'neither a token nor a text' if self.text is None else 'both a token and a text'}"
        if self.token is not None and not 0 <= self.token < n_vocab:
            return f"the end token {self.token}, and the vocabulary has the tokens 0 to {n_vocab - 1}"
        if self.text is not None and not 1 <= len(self.text) <= LONGEST_END:
            return f"an end text of {len(self.text)} characters, and expected are 1 to {LONGEST_END}"
        return ""


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


class Manifest(Profile, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
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
            if path.stat().st_size > self.largest(name := path.name):
                raise BundleError(f"{path} is larger than {name} of such a model can be: export the bundle again.")
            if not self.describes(path):
                raise BundleError(
                    f"{path} is not the file its manifest describes: copy the bundle again, or export it again."
                )

    def largest(self, name: str) -> int:
        """Bytes that a file cannot have: no checksum is computed of a terabyte."""
        shape = self.manifest.hparams
        weights = shape.n_embd * (shape.n_vocab + shape.n_ctx + 12 * shape.n_layer * shape.n_embd)
        # Four bytes each, twice where a graph has the embedding twice, and small constants.
        return LARGEST_TEXT + (8 * weights if name.endswith(".data") else 0)

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
        text = read_bounded(path, LARGEST_MANIFEST)
        version = decode_json(text, dict[str, object]).get("format")
        if type(version) is not int or version != FORMAT:
            raise BundleError(
                f"{path} has format {shortened(repr(version))} and this version reads {FORMAT}: export the bundle again."
            )
        refuse_repeated_keys(text)
        manifest = decode_json(text, Manifest)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): set MODEL to a bundle; {make}.") from None
    except ValueError as error:
        raise BundleError(f"{path} is not a bundle's manifest ({error}): {make}.") from None
    if fault := manifest_fault(manifest):
        raise BundleError(f"{path} has {fault}: correct it, or export the bundle again.")
    return manifest


def manifest_fault(manifest: Manifest) -> str:
    """What is wrong with a manifest's values, in half a sentence; "" if nothing is."""
    name, hparams = manifest.name, manifest.hparams
    if hparams.fault:
        return f"hparams with {hparams.fault}"
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        return f"the name {shortened(repr(name))}, and expected is one line of 1 to {LONGEST_NAME} characters"
    return manifest.end.fault(hparams.n_vocab) or checksums_fault(manifest)


def checksums_fault(manifest: Manifest) -> str:
    """What is wrong with its tables of checksums, in half a sentence; "" if nothing is."""
    if unknown := sorted({*manifest.files, *manifest.crc32} - {*FILES, *BATCH}):
        return f"checksums of {shortened(repr(unknown[0]))}, which is no file of a bundle"
    needed = FILES + BATCH if manifest.batch else FILES
    missing = [name for name in needed if name not in manifest.files]
    return f"no checksum of {missing[0]} in files" if missing else ""


def refuse_other_model(folder: Path) -> None:
    """Raises BundleError where a folder without a manifest holds a model in another form, or bundles."""
    export = "python -m finetune export --checkpoint"
    if (folder / "hparams.json").is_file() or any(folder.glob("*.index")):
        raise BundleError(f"{folder} is a checkpoint, not a bundle: run `{export} {folder} --out models/NAME`.")
    if (folder / "config.json").is_file():
        raise BundleError(
            f"{folder} is a Hugging Face folder, not a bundle: run `gpt2 import {folder} --bundle --out models/NAME`."
        )
    if inside := sorted(folder.glob("[!.]*/manifest.json")):
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
