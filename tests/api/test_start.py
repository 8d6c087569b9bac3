"""A start that cannot be says why in one line and ends; one that can needs nothing but to read."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from app.port import listen, reserve
from tests.conftest import events, process, run_module

# The kernel refuses every byte to every file, as a disk does that is full or read-only, and to root too.
UNWRITABLE = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
runpy.run_module("app", run_name="__main__")
"""
SLOW = """
import sys
import app.__main__, app.engine.fake as fake
fake.FakeEngine.__init__.__defaults__ = (fake.SCRIPT, 1024, 0.05, 0.0)
sys.exit(app.__main__.main())
"""


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "abc"), ("MODEL", "/nowhere"), ("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml")]
)
def test_on_cloud_run_a_start_error_is_one_entry(name: str, value: str) -> None:
    ended = run_module("app", **{"K_SERVICE": "jokes", name: value})
    assert (ended.returncode, ended.stdout) == (2, "")
    entry = json.loads(ended.stderr)
    assert entry["severity"] == "CRITICAL"
    assert value in entry["message"]
    assert entry["message"].endswith(".")


@pytest.mark.parametrize("model", ["models/starter", "/nowhere"])
def test_a_port_that_is_taken_stops_the_start_before_the_model_is_read(model: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        ended = run_module("app", PORT=str(port), MODEL=model)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"error: port {port} is taken: set PORT to another.\n"


def test_the_port_is_known_as_tcp() -> None:
    """Else asyncio leaves Nagle's algorithm on, and each request of a connection that is kept takes 40 ms."""
    with reserve(0) as port:
        listen(port)
        with socket.create_connection(("127.0.0.1", port.getsockname()[1])), port.accept()[0] as accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_a_disk_that_takes_nothing_does_not_matter(bundles: dict[int, Path]) -> None:
    nowhere = {"HOME": "/proc/nowhere", "TMPDIR": "/proc/nowhere"}
    with process("-c", UNWRITABLE, MODEL=str(bundles[8]), **nowhere) as (child, url):
        assert httpx.get(f"{url}/?length=5").status_code == 200
        assert events(httpx.get(f"{url}/?length=5&stream=true").text)[-1] == "[DONE]"
        assert httpx.get(f"{url}/metrics").status_code == 200
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)


def test_a_long_stream_ends_properly_before_the_platform_kills_it() -> None:
    """Of three minutes and more, ten seconds are left after SIGTERM."""
    with process("-c", SLOW, ENGINE="fake") as (child, url):
        with httpx.stream("GET", f"{url}/?length=4000&stream=true", timeout=20) as reply:
            lines = reply.iter_lines()
            next(lines)
            child.send_signal(signal.SIGTERM)
            told = time.monotonic()
            *_, last, done = events("\n".join(lines))
        assert (json.loads(last)["finish_reason"], done) == ("timeout", "[DONE]")
        assert child.wait(timeout=10) == 0
        assert time.monotonic() - told < 10


def test_a_finished_start_says_where_it_serves() -> None:
    with process(ENGINE="fake") as (child, _):
        child.send_signal(signal.SIGTERM)
        assert re.search(r"serving on http://localhost:\d+\n", child.communicate(timeout=20)[0])
