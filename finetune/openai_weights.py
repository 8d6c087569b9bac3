"""OpenAI's GPT-2 weights: the address, the resumable download and the verification.

gpt-2-simple downloads a file from its beginning; this module resumes one whose transfer broke off, within the same call
or a later one. Files are collected in `models/.NAME-download`, which becomes `models/NAME` once every tensor matches its
checksum.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from app.engine.checkpoint_folder import CheckpointFolder, open_checkpoint
from app.errors import CheckpointError
from finetune.checkpoint import variable_shapes
from finetune.network_errors import network_problem
from finetune.openai_shapes import SHAPES, OpenaiModel

# The address and the files of gpt_2_simple.download_gpt2, which checks no HTTP status and cannot resume.
URL = "https://openaipublic.blob.core.windows.net/gpt-2"
FILES = (
    "checkpoint",
    "encoder.json",
    "hparams.json",
    "model.ckpt.data-00000-of-00001",
    "model.ckpt.index",
    "model.ckpt.meta",
    "vocab.bpe",
)
ATTEMPTS = 4
TIMEOUT = 30.0
CHUNK = 2**20


def fetch_model(model: OpenaiModel, models: Path) -> int:
    """Download a model into `models/NAME` and verify it. Returns its size in bytes.

    Raises CheckpointError if OpenAI's server cannot be reached, does not deliver, or sends something else. What was
    downloaded stays for the next call, except for files that turned out to be wrong.
    """
    lengths = {name: length_of(model, name) for name in FILES}
    # A fixed name, so that the next call finds what this one downloaded.
    aside = models / f".{model}-download"
    aside.mkdir(parents=True, exist_ok=True)
    for name, length in lengths.items():
        fetch(model, name, length, aside)
    try:
        verify(aside, model)
    except CheckpointError as error:
        shutil.rmtree(aside)
        raise CheckpointError(f"What {host()} sent is not {model} and was removed ({error.problem}).") from None
    aside.rename(models / model)
    return sum(lengths.values())


def verify(folder: Path, model: OpenaiModel) -> None:
    """Raises CheckpointError unless all files are there, have the model's shape, and every tensor matches its checksum."""
    for name in FILES:
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is missing.")
    source = open_checkpoint(folder)
    if source.hparams != SHAPES[model]:
        raise CheckpointError(f"{folder / 'hparams.json'} belongs to another model.")
    verify_tensors(source)


def verify_tensors(source: CheckpointFolder) -> None:
    """Read the tensors one at a time, since reading is when TensorFlow compares a tensor with its checksum."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(source.held.prefix))
        for name, shape in variable_shapes(source.hparams).items():
            if reader.get_tensor(f"model/{name}").shape != shape:
                raise CheckpointError(f"{source.prefix}: model/{name} does not have the shape that hparams.json gives.")
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError):  # Its reader raises all of these.
        raise CheckpointError(f"{source.prefix} is damaged.") from None


def host() -> str:
    return urlsplit(URL).netloc


def address(model: OpenaiModel, name: str) -> str:
    return f"{URL}/models/{model}/{name}"


def length_of(model: OpenaiModel, name: str) -> int:
    """A file's length in bytes, by a HEAD request. It comes first, so it is also what notices a missing network."""
    try:
        reply = requests.head(address(model, name), headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise CheckpointError(f"{unreachable(error)}; `download` resumes where it stopped.") from None
    if reply.status_code != requests.codes.ok or not reply.headers.get("content-length", "").isdecimal():
        raise CheckpointError(
            f"{address(model, name)} answered {reply.status_code} {reply.reason}: try again later; "
            "the download resumes where it stopped."
        )
    return int(reply.headers["content-length"])


def fetch(model: OpenaiModel, name: str, length: int, folder: Path) -> None:
    """Download a file to its full length, in several attempts if the connection breaks."""
    path = folder / name
    cause = ""
    for _ in range(ATTEMPTS):
        have = path.stat().st_size if path.exists() else 0
        if path.exists() and have == length:
            return
        try:
            if 0 < have < length:
                resume_file(model, name, length, path)
            else:
                fetch_file(model, name, length, path)
        except requests.RequestException as error:
            cause = f" ({unreachable(error)})"
    if not path.exists() or path.stat().st_size != length:
        raise CheckpointError(
            f"{address(model, name)} is not complete after {ATTEMPTS} attempts{cause}: run `download` again; "
            "it resumes where it stopped."
        )


def unreachable(error: requests.RequestException) -> str:
    """What could not be reached and why."""
    return network_problem(error, host()) or f"{host()} cannot be reached ({type(error).__name__})"


def fetch_file(model: OpenaiModel, name: str, length: int, path: Path) -> None:
    from gpt_2_simple.gpt_2 import download_file_with_progress

    download_file_with_progress(URL, str(path.parent), model, name)
    # It saves an HTTP error page as if it were the file. A broken transfer raises, so only a whole reply gets here.
    if path.stat().st_size != length:
        path.unlink()


def resume_file(model: OpenaiModel, name: str, length: int, path: Path) -> None:
    """Append the missing rest by a range request. Deletes the file where the server supports none."""
    have = path.stat().st_size
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    with requests.get(address(model, name), headers=headers, stream=True, timeout=TIMEOUT) as reply:
        if reply.status_code != requests.codes.partial_content:
            path.unlink()
            return
        bar = tqdm(desc=f"Resuming {name}", total=length, initial=have, unit="B", unit_scale=True, ncols=100)
        with path.open("ab") as file, bar:
            for chunk in reply.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
