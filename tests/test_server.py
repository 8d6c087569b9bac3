"""The server: limits on request headers, and an orderly end after SIGTERM."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.conftest import ROOT, events, free_port, process, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


def test_a_slow_sender_of_headers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn alone would wait forever."""
    monkeypatch.setattr("app.http_protocol.HEADER_SECONDS", 0.5)
    with serving(FakeEngine()) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert connection.recv(1000) == b""


def test_endless_headers_are_refused(url: str) -> None:
    """With httptools instead of h11, uvicorn accepted 20 MB of headers."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)
        assert b"431" in connection.recv(1000).split(b"\r\n")[0]
    assert httpx.get(f"{url}/health").status_code == 200


def test_after_sigterm_running_requests_finish() -> None:
    with process(ENGINE="fake") as (child, url):
        with httpx.stream("GET", f"{url}/?length=4000&stream=true") as reply:
            lines = reply.iter_lines()
            next(lines)
            child.send_signal(signal.SIGTERM)
            rest = "\n".join(lines)
        assert events(rest)[-1] == "[DONE]"
        assert child.wait(timeout=10) == 0


# Two fake models: one reads a long prompt for a minute, and the other is never loaded.
BUSY = """
import sys, time
import app.__main__, app.models as models
from app.engine.fake import FakeEngine, FakeSlots

class Reading(FakeSlots):
    def run(self, steps, chunk):
        time.sleep(1.0 if chunk and chunk.start + len(chunk.tokens) > 500 else 0.0)
        return super().run(steps, chunk)

class Busy(FakeEngine):
    def slots(self, count, positions):
        return Reading(self, count, positions)

class Unloadable(FakeEngine):
    def load(self):
        print("loading", flush=True)
        time.sleep(100)

models.fake_models = lambda settings: models.Models([Busy(seconds_per_token=0.02), Unloadable(name="large")])
sys.exit(app.__main__.main())
"""
UPDATE = {
    "update_id": 1,
    "message": {
        "message_id": 1,
        "date": 1,
        "chat": {"id": 5, "type": "private"},
        "from": {"id": 5, "is_bot": False, "first_name": "Ada"},
        "text": "/help",
    },
}
ASKED: dict[str, dict[str, Any]] = {
    "generating": {"path": "/", "json": {"length": 4000}},
    "streaming": {"path": "/", "json": {"length": 4000, "stream": True}},
    "scoring prompts": {
        "path": "/v1/completions",
        "json": {"prompt": ["x" * 400] * 40, "max_tokens": 1, "echo": True, "logprobs": 1},
    },
    "reading a prompt": {"path": "/", "json": {"prefix": "x" * 900}},
    "loading": {"path": "/", "json": {"model": "large"}},
    "waiting": {"path": "/", "json": {}},
    "telling Telegram": {
        "path": "/telegram",
        "json": UPDATE,
        "headers": {"x-telegram-bot-api-secret-token": "secret"},
    },
}


@contextlib.contextmanager
def busy_server() -> Iterator[tuple[subprocess.Popen[str], dict[str, Future[httpx.Response]]]]:
    """A server that does all of this: five generations run, one waits, and Telegram does not answer. Yields the requests too."""
    with (
        contextlib.ExitStack() as opened,
        socket.create_server(("127.0.0.1", 0)) as silent,
        ThreadPoolExecutor(len(ASKED)) as pool,
    ):
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        telegram = {"TELEGRAM_TOKEN": "1:a", "TELEGRAM_SECRET": "secret", "TELEGRAM_API_URL": address}
        with process("-c", BUSY, ENGINE="fake", FEEDBACK="", CONCURRENCY="5", **telegram) as (child, url):
            asked = {}
            for name, request in ASKED.items():
                rest = {key: value for key, value in request.items() if key != "path"}
                asked[name] = pool.submit(httpx.post, url + request["path"], timeout=30, **rest)
                if name == "telling Telegram":
                    opened.enter_context(silent.accept()[0])
                else:
                    await_pending(url, len(asked))
            yield child, asked


def await_pending(url: str, count: int) -> None:
    """Wait until the server has this many generations."""
    pending = 0.0
    while pending < count:
        found = re.findall(r"^num_requests_(?:running|waiting) (.+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
        pending = sum(map(float, found))


@pytest.mark.slow
def test_sigterm_ends_the_process_in_ten_seconds_whatever_it_does() -> None:
    """While prompts were scored it took twenty seconds, and a thread that loads a model cannot be stopped at all."""
    with busy_server() as (child, asked):
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=10) == 0
        replies = {name: request.result() for name, request in asked.items()}
        assert child.stdout is not None
        assert "Traceback" not in child.stdout.read()
    # It may have heard of the answer, as far as the bot knows.
    assert replies.pop("telling Telegram").status_code in (200, 503)
    begun = ["generating", "streaming", "scoring prompts"]
    assert {name: reply.status_code for name, reply in replies.items()} == {
        name: 200 if name in begun else 503 for name in replies
    }
    assert replies["generating"].json()["finish_reason"] == "timeout"
    assert events(replies["streaming"].text)[-1] == "[DONE]"
    choices = replies["scoring prompts"].json()["choices"]
    assert [choice["finish_reason"] for choice in choices] == ["length"] * 40
    for name in set(replies) - set(begun):
        assert replies[name].json()["error"]["type"] == "unavailable_error"
        assert int(replies[name].headers["retry-after"]) >= 1


@pytest.mark.parametrize("again", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_second_signal_ends_the_process_soon(again: signal.Signals) -> None:
    """Those who have waited long enough get what is written."""
    with busy_server() as (child, asked):
        child.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        child.send_signal(again)
        assert child.wait(timeout=6) == 0
        assert asked["generating"].result().json()["finish_reason"] == "timeout"
        assert events(asked["streaming"].result().text)[-1] == "[DONE]"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_model_is_loaded_ends_the_process(number: signal.Signals, code: int) -> None:
    """As process 1 of a container, it would have gone on: nobody handled the signal yet."""
    script = BUSY.replace("Busy(seconds_per_token=0.02), ", "")
    environ = os.environ | {"ENGINE": "fake", "PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", script], env=environ, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "loading\n"
        child.send_signal(number)
        assert child.wait(timeout=5) == code
