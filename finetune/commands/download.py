"""`download`: fetch one of OpenAI's models, through gpt-2-simple, into the folder where gpt-2-simple looks for it.

    python -m finetune download --model 124M

A file that is not there yet is fetched by gpt-2-simple; one whose transfer was cut is continued where it broke off,
now or when `download` is called again. The folder gets its name once every tensor in it matches its checksum.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import CheckpointFolder, open_checkpoint
from app.errors import CheckpointError, SettingError

Model = Literal["124M", "355M", "774M", "1558M"]
# The address and the files of gpt_2_simple.download_gpt2, which neither checks a status nor continues.
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
SHAPES = {
    "124M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12),
    "355M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1024, n_head=16, n_layer=24),
    "774M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1280, n_head=20, n_layer=36),
    "1558M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1600, n_head=25, n_layer=48),
}
ATTEMPTS = 4
TIMEOUT = 30.0
CHUNK = 2**20


def download(model: Model, models: Path = Path("models")) -> None:
    """Fetch one of OpenAI's models through gpt-2-simple, continuing what was cut, and check it.

    Args:
        model: 124M (0.5 GB), 355M (1.4 GB), 774M (3.1 GB) or 1558M (6.2 GB)
        models: the folder to put the model's folder in; gpt-2-simple looks in models
    """
    out = models / model
    if out.exists():
        refuse_others(out, model)
        print(f"{out} is already there and whole.")
        return
    lengths = {name: length_of(model, name) for name in FILES}
    # Under a name that stays, so that another call finds what this one has fetched.
    aside = models / f".{model}-download"
    aside.mkdir(parents=True, exist_ok=True)
    for name, length in lengths.items():
        fetch(model, name, length, aside)
    try:
        verify(aside, model)
    except CheckpointError as error:
        shutil.rmtree(aside)
        raise CheckpointError(f"What {host()} sent is not {model} and was removed ({error.problem}).") from None
    aside.rename(out)
    print(f"{out}: {sum(lengths.values()) / 1e6:,.0f} MB, every tensor as its checksum says")


def refuse_others(out: Path, model: Model) -> None:
    try:
        verify(out, model)
    except CheckpointError as error:
        raise SettingError(
            f"{out} exists and is not {model}: move it away, then download again ({error.problem})."
        ) from None


def verify(folder: Path, model: Model) -> None:
    """Raises CheckpointError unless all files are there, of the model's shape, and every tensor is what was saved."""
    for name in FILES:
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is missing.")
    source = open_checkpoint(folder)
    if source.hparams != SHAPES[model]:
        raise CheckpointError(f"{folder / 'hparams.json'} is that of another model.")
    verify_tensors(source)


def verify_tensors(source: CheckpointFolder) -> None:
    """Read every tensor, one at a time and keeping none: TensorFlow compares each with its checksum."""
    import tensorflow as tf

    from finetune.checkpoint import variable_shapes

    try:
        reader = tf.train.load_checkpoint(str(source.prefix))
        for name, shape in variable_shapes(source.hparams).items():
            if reader.get_tensor(f"model/{name}").shape != shape:
                raise CheckpointError(f"{source.prefix}: model/{name} is not of the shape that hparams.json gives it.")
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError):  # Its reader raises all of these.
        raise CheckpointError(f"{source.prefix} is damaged.") from None


def host() -> str:
    return urlsplit(URL).netloc


def address(model: Model, name: str) -> str:
    return f"{URL}/models/{model}/{name}"


def length_of(model: Model, name: str) -> int:
    """Ask how many bytes a file has. The first question asked, so the one that finds out that there is no network."""
    try:
        reply = requests.head(address(model, name), headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT)
    except requests.RequestException:
        raise CheckpointError(
            f"{host()} cannot be reached: connect to the internet and run `download` again; what was fetched is kept."
        ) from None
    if reply.status_code != requests.codes.ok or "content-length" not in reply.headers:
        raise CheckpointError(
            f"{address(model, name)} answered {reply.status_code} {reply.reason}: try again later; what was fetched is kept."
        )
    return int(reply.headers["content-length"])


def fetch(model: Model, name: str, length: int, folder: Path) -> None:
    """Bring a file to its full length, in several attempts if the connection breaks."""
    path = folder / name
    for _ in range(ATTEMPTS):
        have = path.stat().st_size if path.exists() else 0
        if path.exists() and have == length:
            return
        with contextlib.suppress(requests.RequestException):
            if 0 < have < length:
                continue_file(model, name, length, path)
            else:
                fetch_file(model, name, length, path)
    if not path.exists() or path.stat().st_size != length:
        raise CheckpointError(
            f"{address(model, name)} is not whole after {ATTEMPTS} attempts: run `download` again, which goes on from there."
        )


def fetch_file(model: Model, name: str, length: int, path: Path) -> None:
    from gpt_2_simple.gpt_2 import download_file_with_progress

    download_file_with_progress(URL, str(path.parent), model, name)
    # It writes down an error page as if it were the file. Of a transfer that was cut it raises instead.
    if path.stat().st_size != length:
        path.unlink()


def continue_file(model: Model, name: str, length: int, path: Path) -> None:
    have = path.stat().st_size
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    with requests.get(address(model, name), headers=headers, stream=True, timeout=TIMEOUT) as reply:
        if reply.status_code != requests.codes.partial_content:
            path.unlink()  # A server that cannot continue: the next attempt begins anew.
            return
        bar = tqdm(desc=f"Continuing {name}", total=length, initial=have, unit="B", unit_scale=True, ncols=100)
        with path.open("ab") as file, bar:
            for chunk in reply.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
