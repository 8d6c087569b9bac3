"""A model of the Hugging Face Hub as a folder, in the cache that Hugging Face's own programs share.

    models--OWNER--NAME/refs/REVISION       the commit that a branch or tag means
    models--OWNER--NAME/snapshots/COMMIT    the files

What transformers has fetched before is read, and what is fetched here transformers finds. Only what `import` reads is fetched:
config.json first, so that a model which cannot be imported is refused before its weights arrive.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from app.engine.bundle import sha256
from app.errors import CheckpointError
from finetune.checkpoint import replace_text
from finetune.formats.hub_server import (
    HubFile,
    HubModel,
    describe_model,
    fetch_file,
    host,
    hugging_face_home,
    shown_endpoint,
)
from finetune.formats.huggingface import (
    ADDED_TOKENS,
    CHAT_TEMPLATE,
    CONFIG,
    MERGES,
    TOKENIZER,
    TOKENIZER_CONFIG,
    VOCABULARY,
    WEIGHTS,
)
from finetune.formats.huggingface_config import read_config
from finetune.formats.huggingface_weights import shards_of, weight_files
from finetune.generation_config import GENERATION_CONFIG
from finetune.network_errors import network_problem

INDEX = f"{WEIGHTS}.index.json"
SMALL_FILES = (GENERATION_CONFIG, TOKENIZER_CONFIG, CHAT_TEMPLATE, ADDED_TOKENS)
NAME = re.compile(r"(?:[A-Za-z0-9_][\w.-]*/)?[A-Za-z0-9_][\w.-]*")
PAGE = re.compile(r"/(?P<name>[^/]+(?:/[^/]+)?)(?:/(?:tree|blob)/(?P<revision>[^/]+).*)?/?")
HOSTS = {"huggingface.co", "www.huggingface.co", "hf.co"}


class HubName(NamedTuple):
    """What a person typed for a model of the Hub. `revision` is None where nothing was said of it."""

    name: str
    revision: str | None


def hub_name(source: str) -> HubName | None:
    """The model that `OWNER/NAME`, `NAME` or the address of its page means; None where it can only be a folder."""
    revision = None
    address = urlsplit(source)
    if address.scheme in {"http", "https"} and address.netloc in {*HOSTS, host()}:
        if (page := PAGE.fullmatch(address.path)) is None:
            return None
        source, revision = page["name"], page["revision"]
    return HubName(source, revision) if NAME.fullmatch(source) and ".." not in source and "--" not in source else None


class Snapshot(NamedTuple):
    """A model's files at one commit."""

    folder: Path
    commit: str


def fetch_snapshot(name: str, revision: str) -> Snapshot:
    """A model's folder, fetched as far as it is not in the cache. Raises CheckpointError in one sentence."""
    import requests

    if os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in {"1", "ON", "YES", "TRUE"}:
        return cached_snapshot(name, revision, "HF_HUB_OFFLINE is set: unset it, or name the folder of a model")
    try:
        model = describe_model(name, revision)
    except requests.RequestException as error:
        problem = network_problem(error, host()) or f"{shown_endpoint()} cannot be asked ({type(error).__name__})"
        return cached_snapshot(name, revision, f"{problem}, or name the folder of a model")
    weights, tokenizer = wanted_weights(model), wanted_tokenizer(model)
    folder = cache_of(name) / "snapshots" / model.sha
    folder.mkdir(parents=True, exist_ok=True)
    fetch_checked(model, CONFIG, folder)
    read_config(folder)
    for file in (*SMALL_FILES, *tokenizer, weights):
        if file in model.files:
            fetch_checked(model, file, folder)
    for shard in shards_of(folder / INDEX) if weights == INDEX else []:
        fetch_checked(model, shard, folder)
    note_revision(cache_of(name), revision, model.sha)
    return Snapshot(folder, model.sha)


def cached_snapshot(name: str, revision: str, why: str) -> Snapshot:
    """What an earlier call or transformers fetched. Raises CheckpointError, which says `why` nothing else can be had."""
    cache = cache_of(name)
    noted = cache / "refs" / revision
    commit = noted.read_text(encoding="utf-8").strip() if noted.is_file() else revision
    folder = cache / "snapshots" / commit
    with contextlib.suppress(CheckpointError):
        if (folder / CONFIG).is_file() and all(path.is_file() for path in weight_files(folder)):
            print(f"{host()} is not asked: {name} is taken from {folder}.", file=sys.stderr)
            return Snapshot(folder, commit)
    raise CheckpointError(f"{name} is no folder here, and {why}.")


def cache_of(name: str) -> Path:
    """The folder of a model in the cache."""
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(given or hugging_face_home() / "hub").expanduser() / f"models--{name.replace('/', '--')}"


def wanted_weights(model: HubModel) -> str:
    """The file of the weights, or their index. Raises CheckpointError where there is neither."""
    if found := next((file for file in (WEIGHTS, INDEX) if file in model.files), None):
        return found
    if any(re.fullmatch(r"pytorch_model.*\.bin", file) for file in model.files):
        raise CheckpointError(
            f"{model.id} has pytorch_model.bin, which can run programs, and no {WEIGHTS}: give a --revision that has one, "
            f"or let transformers write it, GPT2LMHeadModel.from_pretrained({model.id!r}).save_pretrained('NEW'), and import NEW."
        )
    raise CheckpointError(f"{model.id} on {host()} has no {WEIGHTS}: name a GPT-2 that has one.")


def wanted_tokenizer(model: HubModel) -> tuple[str, ...]:
    """The files of the vocabulary. Raises CheckpointError where there are none."""
    for files in ((TOKENIZER,), (VOCABULARY, MERGES)):
        if set(files) <= set(model.files):
            return files
    raise CheckpointError(
        f"{model.id} on {host()} has no {TOKENIZER}, nor {VOCABULARY} and {MERGES}: name a whole GPT-2."
    )


def fetch_checked(model: HubModel, name: str, folder: Path) -> None:
    """Fetch a file unless it is there, and compare its checksum with what the Hub says. Raises CheckpointError."""
    path = folder / name
    if path.is_file():
        return
    if (file := model.files.get(name)) is None:
        raise CheckpointError(f"{model.id} on {host()} has no {name}: name a whole GPT-2.")
    partial = folder / f".{name}.part"
    with partial.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Another process may be fetching the same.
        if path.is_file():
            return
        fetch_file(model, file, partial)
        if not is_whole(file, partial):
            partial.unlink()
            raise CheckpointError(f"{name} of {model.id} arrived damaged, and was removed: run the same command again.")
        partial.replace(path)


def is_whole(file: HubFile, path: Path) -> bool:
    """Whether a file has the checksum that the Hub gives: SHA-256 for large files, git's own for others."""
    if file.lfs:
        return sha256(path) == file.lfs.sha256
    if file.blobId is None:
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blobId


def note_revision(cache: Path, revision: str, commit: str) -> None:
    """Note which commit a branch or a tag means, so that it is found without a network too."""
    if revision != commit:
        noted = cache / "refs" / revision
        noted.parent.mkdir(parents=True, exist_ok=True)
        replace_text(noted, commit)
