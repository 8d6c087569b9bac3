"""The start: it imports only what serving needs, says in one line why it fails, and writes nothing to the disk."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.port import listen, reserve
from tests.conftest import ROOT, events, process, run_module

# The kernel refuses every write to every file, for root too, as a full or read-only disk does.
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
def test_on_cloud_run_a_failed_start_is_one_log_entry(name: str, value: str) -> None:
    ended = run_module("app", **{"K_SERVICE": "jokes", name: value})
    assert (ended.returncode, ended.stdout) == (2, "")
    entry = json.loads(ended.stderr)
    assert entry["severity"] == "CRITICAL"
    assert value in entry["message"]
    assert entry["message"].endswith(".")


@pytest.mark.parametrize("model", ["models/starter", "/nowhere"])
def test_a_taken_port_stops_the_start_before_the_model_is_read(model: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        ended = run_module("app", PORT=str(port), MODEL=model)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"error: port {port} is taken: set PORT or `gpt2 serve --port` to another.\n"


def test_asyncio_knows_the_port_as_tcp() -> None:
    """Otherwise asyncio leaves Nagle's algorithm on, and each request of a kept connection takes 40 ms."""
    with reserve(0) as port:
        listen(port)
        with socket.create_connection(("127.0.0.1", port.getsockname()[1])), port.accept()[0] as accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_it_serves_without_a_writable_disk(bundles: dict[int, Path]) -> None:
    nowhere = {"HOME": "/proc/nowhere", "TMPDIR": "/proc/nowhere"}
    with process("-c", UNWRITABLE, MODEL=str(bundles[8]), **nowhere) as (child, url):
        assert httpx.get(f"{url}/?length=5").status_code == 200
        assert events(httpx.get(f"{url}/?length=5&stream=true").text)[-1] == "[DONE]"
        assert httpx.get(f"{url}/metrics").status_code == 200
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)


@pytest.mark.slow
def test_a_long_stream_ends_properly_before_the_platform_kills_it() -> None:
    """A stream of more than three minutes has ten seconds left after SIGTERM."""
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


def test_the_log_says_what_it_serves_and_where() -> None:
    with process(ENGINE="fake") as (child, _):
        child.send_signal(signal.SIGTERM)
        assert re.search(r"serving fake on http://localhost:\d+\n", child.communicate(timeout=20)[0])


REPORT = """
import atexit, runpy, sys
atexit.register(lambda: print("modules:", *sorted({name.split(".")[0] for name in sys.modules}), flush=True))
runpy.run_module("app", run_name="__main__")
"""


def test_the_serving_process_never_imports_tensorflow(bundles: dict[int, Path]) -> None:
    """After real requests, streamed and not, the process is asked for all that it has imported."""
    with process("-c", REPORT, MODEL=str(bundles[8])) as (child, url):
        assert httpx.get(f"{url}/?length=5&nsamples=2&top_p=0.9").status_code == 200
        assert httpx.get(f"{url}/?length=5&stream=true").status_code == 200
        assert httpx.get(f"{url}/?length=0").status_code == 400
        child.send_signal(signal.SIGTERM)
        printed = child.communicate(timeout=20)[0]
    modules = set(printed.split("modules:")[1].split())
    assert {"app", "onnxruntime", "starlette"} <= modules
    heavy = {
        "tensorflow",
        "keras",
        "gpt_2_simple",
        "onnx",
        "torch",
        "finetune",
        "cyclopts",
        "huggingface_hub",
        "httpx",
        "telegram",
        "opentelemetry",
    }
    assert not modules & heavy


def test_onnx_runtime_sends_and_stores_nothing(bundles: dict[int, Path], tmp_path: Path) -> None:
    """ONNX Runtime 1.29 began to write an identifier to the disk and to send what it loads to Microsoft."""
    # It also stays silent where CI is set.
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    code = f"from app.models import *; bundle_models(Settings(model={str(bundles[8])!r})).load_default()"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, cwd=ROOT, env=environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert (ended.stdout, ended.stderr) == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"), ("PORT", "0"), ("ENGINE", "gpu"), ("THREADS", "-1"), ("REQUEST_TIMEOUT", "nan"),
        ("MAX_LENGTH", "0"), ("QUEUE_LIMIT", "1.5"), ("LOG_LEVEL", "loud"), ("CONCURRENCY", "none"), ("MODEL", ""),
        ("FEEDBACK", "feedback.db"), ("FEEDBACK", "bigquery://project"),
    ],
)  # fmt: skip
def test_a_wrong_setting_stops_the_start_with_one_line(name: str, value: str) -> None:
    ended = run_module("app", **{"ENGINE": "fake", name: value})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"error: {name} is '{re.escape(value)}', and should be [^\n]+\.\n", ended.stderr)
