"""The access log: one entry for each request, in Cloud Logging's format, without anything that people wrote."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.log import Trace, read_trace
from tests.conftest import process

TRACE = "105445aa7843bc8bf206b12000100000"
SECRET = "Xylophone-Quokka"

# A fake engine that breaks, at the first token or in the middle, and whose exception quotes the prompt as a library's might.
BREAKING = """
import sys
import app.__main__, app.engine.fake
from app.engine.fake import FakeEngine, FakeSlots

class Breaking(FakeSlots):
    def run(self, steps, chunk):
        if chunk:
            self.said = bytes(int(token) % 256 for token in chunk.tokens).decode("latin-1")
            if len(chunk.tokens) > 30:
                raise ValueError(self.said)
            return super().run(steps, chunk)
        try:
            raise KeyError(self.said)
        except KeyError as error:
            raise ValueError(self.said) from error

class Broken(FakeEngine):
    def slots(self, count, positions):
        return Breaking(self, count, positions)

app.engine.fake.FakeEngine = Broken
sys.exit(app.__main__.main())
"""


def ended(child: subprocess.Popen[str]) -> str:
    """Stop the server. Returns all that it has printed."""
    child.send_signal(signal.SIGTERM)
    printed: str = child.communicate(timeout=20)[0]
    assert child.returncode == 0
    return printed


def entries(printed: str) -> list[dict[str, Any]]:
    """All lines as entries. Every line has to be one."""
    return [json.loads(line) for line in printed.splitlines()]


def of_requests(printed: str) -> list[dict[str, Any]]:
    return [entry for entry in entries(printed) if "httpRequest" in entry]


def test_a_request_is_one_entry_with_what_cloud_logging_knows() -> None:
    with process(ENGINE="fake", K_SERVICE="jokes", GOOGLE_CLOUD_PROJECT="a-project") as (child, url):
        headers = {"X-Cloud-Trace-Context": f"{TRACE}/74;o=1", "User-Agent": "a browser", "X-Request-Id": "mine"}
        reply = httpx.get(f"{url}/generate?length=3", headers=headers)
        printed = ended(child)
    (entry,) = of_requests(printed)
    request = entry["httpRequest"]
    assert re.fullmatch(r"\d+\.\d{3}s", request.pop("latency"))
    assert request == {
        "requestMethod": "GET",
        "requestUrl": "/generate",
        "status": 200,
        "responseSize": str(len(reply.content)),
        "protocol": "HTTP/1.1",
        "userAgent": "a browser",
    }
    assert entry["severity"] == "INFO"
    assert entry["logging.googleapis.com/labels"] == {"request_id": "mine"}
    assert re.fullmatch(r"GET /generate 200 in \d+\.\d{3} s", entry["message"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z", entry["time"])
    assert entry["logging.googleapis.com/trace"] == f"projects/a-project/traces/{TRACE}"
    assert entry["logging.googleapis.com/spanId"] == "000000000000004a"
    assert entry["logging.googleapis.com/trace_sampled"] is True


@pytest.mark.parametrize(
    ("name", "value", "trace"),
    [
        ("x-cloud-trace-context", f"{TRACE}/74;o=1", Trace(TRACE, "000000000000004a", True)),
        ("x-cloud-trace-context", f"{TRACE}/74;o=0", Trace(TRACE, "000000000000004a", False)),
        ("x-cloud-trace-context", f"{TRACE}/18446744073709551615", Trace(TRACE, "f" * 16, False)),
        ("x-cloud-trace-context", f"{TRACE}/99999999999999999999", Trace(TRACE, "", False)),
        ("x-cloud-trace-context", f"{TRACE}/;o=", Trace(TRACE, "", False)),
        ("x-cloud-trace-context", TRACE.upper(), Trace(TRACE, "", False)),
        ("x-cloud-trace-context", "a/b", None),
        ("x-cloud-trace-context", "", None),
        ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01", Trace(TRACE, "00f067aa0ba902b7", True)),
        ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00", Trace(TRACE, "00f067aa0ba902b7", False)),
        ("traceparent", f"{TRACE}-1", None),
        ("authorization", TRACE, None),
    ],
)
def test_the_trace_of_either_header(name: str, value: str, trace: Trace | None) -> None:
    assert read_trace([(name.encode(), value.encode())]) == trace


def test_neither_texts_nor_secrets_are_in_the_log() -> None:
    """Even at the level debug, after replies, errors, streams and exceptions that quote the prompt."""
    headers = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "Cookie": SECRET}
    with process("-c", BREAKING, ENGINE="fake", LOG_LEVEL="debug", K_SERVICE="jokes") as (child, url):
        statuses = []
        for fields in ({"length": 1}, {"length": "x"}, {"length": 5}, {"length": 5, "stream": True}, {SECRET: 1}):
            ask = {"prefix": SECRET} | fields
            statuses.append(httpx.post(url, json=ask, headers=headers).status_code)
            query = {key: json.dumps(value) if key == "stream" else value for key, value in ask.items()}
            statuses.append(httpx.get(url, params=query, headers=headers).status_code)
        statuses.append(httpx.post(url, json={"prefix": SECRET * 4}).status_code)
        statuses.append(httpx.post(url, content=SECRET).status_code)
        printed = ended(child)
    assert statuses == [200, 200, 400, 400, 500, 500, 200, 200, 400, 400, 500, 400]
    assert len([entry for entry in of_requests(printed) if entry["httpRequest"]["requestUrl"] == "/"]) == 12
    for part in SECRET.split("-"):
        assert part not in printed


def test_the_severity_follows_from_the_status() -> None:
    with process("-c", BREAKING, ENGINE="fake", K_SERVICE="jokes") as (child, url):
        for path in ("/?length=1", "/?length=0", "/nothing", "/?length=2", "/health", "/metrics"):
            httpx.get(f"{url}{path}")
        printed = ended(child)
    found = [(entry["httpRequest"]["status"], entry["severity"]) for entry in of_requests(printed)]
    assert found == [(200, "INFO"), (400, "WARNING"), (404, "WARNING"), (500, "ERROR")]


@pytest.mark.parametrize(("query", "status"), [("length=2", 500), ("length=2&stream=true", 200)])
def test_an_exception_is_one_entry_with_its_stack_and_trace(query: str, status: int) -> None:
    with process("-c", BREAKING, ENGINE="fake", K_SERVICE="jokes") as (child, url):
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        assert httpx.get(f"{url}/?{query}", headers=headers).status_code == status
        printed = ended(child)
    (broken,) = [entry for entry in entries(printed) if "Traceback" in entry["message"]]
    assert broken["severity"] == "ERROR"
    assert "KeyError\n" in broken["message"]
    assert broken["message"].endswith("ValueError")
    assert "in run\n" in broken["message"]
    assert broken["logging.googleapis.com/trace"] == TRACE
    (answered,) = of_requests(printed)
    assert answered["logging.googleapis.com/trace"] == TRACE


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_client_that_leaves_is_499(stream: str) -> None:
    slow = "import app.engine.fake as f; f.FakeEngine.__init__.__defaults__ = (f.SCRIPT, 1024, 0.05, 0.0); "
    with process("-c", f"{slow}import app.__main__; app.__main__.main()", ENGINE="fake", K_SERVICE="jokes") as (
        child,
        url,
    ):
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
            connection.sendall(f"GET /?length=2000&stream={stream} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            time.sleep(0.3)
        assert httpx.get(f"{url}/?length=1", timeout=20).status_code == 200
        printed = ended(child)
    assert [entry["httpRequest"]["status"] for entry in of_requests(printed)] == [499, 200]


def test_people_read_plain_lines() -> None:
    with process(ENGINE="fake") as (child, url):
        httpx.get(f"{url}/?length=1&prefix={SECRET}")
        printed = ended(child)
    assert re.search(r"^\d\d:\d\d:\d\d INFO GET / 200 in \d+\.\d{3} s$", printed, re.MULTILINE)
    assert f"INFO serving fake on http://localhost:{urlsplit(url).port}\n" in printed
    assert SECRET not in printed


def test_the_format_and_the_level_may_be_chosen() -> None:
    with process(ENGINE="fake", LOG_FORMAT="json", LOG_LEVEL="debug") as (child, _):
        assert "/health" in {entry["httpRequest"]["requestUrl"] for entry in of_requests(ended(child))}
    with process(ENGINE="fake", LOG_FORMAT="text", K_SERVICE="jokes", LOG_LEVEL="error") as (child, url):
        httpx.get(f"{url}/nothing")
        assert ended(child) == ""
