"""Fixtures for all tests: a tiny real model, and real servers on loopback."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import numpy as np
import pytest

from app.application import create_application
from app.engine.base import Engine
from app.engine.bundle import Hparams, open_bundle
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.generation_queue import GenerationQueue
from app.engine.memory import ModelMemory
from app.engine.onnx import OnnxEngine
from app.engine.tensorflow import TensorflowEngine
from app.http_protocol import HttpProtocol
from app.models import Models
from app.settings import Settings
from finetune.checkpoint import initial_weights, write_checkpoint
from finetune.commands.export import export
from finetune.commands.prepare import prepare
from finetune.data.vocabulary import learn_vocabulary
from tests.fakes.loopback import on_loopback

ROOT = Path(__file__).parent.parent
# A shell makes background processes, such as `make test &`, ignore SIGINT, and nohup SIGHUP. Tests send both to processes that
# inherit this.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Else each httpx.post reads 140 certificates, which takes 20 ms, to speak plain HTTP.
ssl.create_default_context = functools.cache(ssl.create_default_context)  # type: ignore[assignment]
TEXTS = ["Why did the duck cross the road? It had a bill to pay.", "<|startoftext|>Yes, we do.<|endoftext|>"] * 8


def write_tiny(folder: Path, **changes: int) -> None:
    """Write a run of gpt-2-simple. Its random weights are scaled up so that no two tokens ever tie."""
    learn_vocabulary(folder, TEXTS, size=300)
    size = len(open_vocabulary(folder))
    hparams = Hparams(**{"n_vocab": size, "n_ctx": 64, "n_embd": 32, "n_head": 4, "n_layer": 3} | changes)
    weights = {name: w * 8 if w.ndim > 1 else w for name, w in initial_weights(hparams, seed=1).items()}
    write_checkpoint(folder, hparams, weights, vocabulary=folder, step=7)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--torture", action="store_true", help="attack at full size (tests/robustness), for an hour or two"
    )


def pytest_configure(config: pytest.Config) -> None:
    """The same invented examples every time, with no time limit, and nothing written into the repository."""
    few = config.option.markexpr == "not slow"
    hypothesis.settings.register_profile(
        "same", derandomize=True, deadline=None, database=None, max_examples=20 if few else 100
    )
    hypothesis.settings.load_profile("same")


def open_vocabulary(folder: Path) -> dict[str, int]:
    import json

    vocabulary: dict[str, int] = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    return vocabulary


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "run1"
    write_tiny(folder)
    return folder


WORDS = ["duck", "road", "bill", "cat", "moon", "bread", "river", "clock"]
SENTENCES = [
    f"Why did the {one} cross the {two}? It had a {three} to pay."
    for one in WORDS
    for two in WORDS
    for three in WORDS[:2]
]


@pytest.fixture(scope="session")
def data(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred and more short texts, prepared for the tiny model."""
    folder = tmp_path_factory.mktemp("data")
    text = "".join(f"<|startoftext|>{sentence}<|endoftext|>\n" for sentence in SENTENCES)
    (folder / "text.txt").write_text(text, encoding="utf-8")
    prepare(
        [str(folder / "text.txt")], out=folder / "prepared", vocabulary=checkpoint, validation=0.1, near_duplicates=0
    )
    return folder / "prepared"


@pytest.fixture(scope="session")
def bundles(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The tiny model as bundles of 32, 8 and 4 bits, rounded as large models are."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.export.quantization.SMALL_MODEL_BYTES", 0)
        for bits in (32, 8, 4):
            export(checkpoint, folder / f"tiny{bits}", bits=bits)
    return {bits: folder / f"tiny{bits}" for bits in (32, 8, 4)}


@pytest.fixture(scope="session")
def exact(bundles: dict[int, Path]) -> OnnxEngine:
    return OnnxEngine(open_bundle(bundles[32]), threads=1)


@pytest.fixture(scope="session")
def reference(checkpoint: Path) -> TensorflowEngine:
    return TensorflowEngine(checkpoint)


@pytest.fixture(scope="session")
def tokens(checkpoint: Path) -> np.ndarray:
    """60 token ids of text from which the tiny model's vocabulary was learned."""
    tokenizer = open_checkpoint(checkpoint).tokenizer
    return np.array(tokenizer.encode(" ".join(TEXTS))[:60])


@contextlib.contextmanager
def serving(*engines: Engine, **changes: Any) -> Iterator[str]:
    """A real server on loopback, in this process. The first engine is the default. Yields its address.

    `changes` are settings, or the `memory` that the models may use.
    """
    memory: ModelMemory | None = changes.pop("memory", None)
    settings = Settings(**{"engine": engines[0].kind} | changes)
    models = Models(engines, memory)
    models.load_default()
    queue = GenerationQueue(settings.concurrency, settings.queue_limit, settings.request_timeout, models.memory)
    application = create_application(models, queue, settings)
    options: Any = {"http": HttpProtocol, "h11_max_incomplete_event_size": 16384, "proxy_headers": False}
    with on_loopback(application, **options) as address:
        yield address


def free_port() -> int:
    """A free port. It stays free, because it is outside the range from which the system picks ports for connections."""
    while True:
        port = secrets.choice(range(20000, 30000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def process(*command: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `python -m app`, or another command, in its own process. Yields it and its address once it answers."""
    port = free_port()
    variables = os.environ | {"PORT": str(port), "PYTHONPATH": str(ROOT)} | environ
    arguments = [sys.executable, *(command or ("-m", "app"))]
    with subprocess.Popen(
        arguments, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        address = f"http://127.0.0.1:{port}"
        try:
            await_health(child, address)
            yield child, address
        finally:
            end(child)


def end(child: subprocess.Popen[str]) -> None:
    """Let the server stop by itself, so that its coverage is saved."""
    child.terminate()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()


def await_health(child: subprocess.Popen[str], address: str) -> None:
    for _ in range(600):
        if child.poll() is not None:
            pytest.fail(f"the server ended with {child.returncode}: {child.stdout.read() if child.stdout else ''}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/health").status_code == 200:
                return
        time.sleep(0.05)
    pytest.fail("the server did not answer /health in 30 s")


def run_module(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m …` to its end."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environ
    return subprocess.run(
        [sys.executable, "-m", *arguments], env=variables, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.hookimpl(tryfirst=True)  # Before pytest-xdist looks at the groups.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has no small size, but in `make torture`.

    Send all tests of Keras on a backend, and of the reference, to one worker: its process and the run that tests share are then
    made once.
    """
    if not config.option.torture:
        items[:] = [item for item in items if item.get_closest_marker("torture") is None]
    groups = {"four_devices": "jax", "two_devices": "jax", "keras": "keras", "reference": "reference"}
    for item in items:
        found = [group for fixture, group in groups.items() if fixture in getattr(item, "fixturenames", ())]
        if found:
            item.add_marker(pytest.mark.xdist_group(found[0]))


@pytest.fixture(scope="session")
def keras() -> Iterator[Callable[..., Any]]:
    """Call a function in a process for Keras, which all tests share.

    gpt-2-simple switches TensorFlow's eager execution off for its whole process, and Keras needs it.
    """
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result()


def in_a_process_of_its_own(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that uses Keras first and gpt-2-simple afterwards, in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def events(text: str) -> list[str]:
    return re.findall(r"^data: (.*)$", text, re.MULTILINE)
