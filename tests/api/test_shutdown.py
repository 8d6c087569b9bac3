"""Requests that the server drops when it stops."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.application import create_application
from app.engine.fake import FakeEngine
from app.engine.generation_queue import GenerationQueue
from app.http_protocol import HttpProtocol
from app.models import Models
from app.settings import Settings
from tests.fakes.loopback import on_loopback


def test_a_dropped_request_is_answered_and_a_dropped_stream_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    """Uvicorn wrote a traceback, and its client saw a 500 in plain text, or nothing."""
    application = create_application(
        Models([FakeEngine(seconds_per_token=0.05)]),
        GenerationQueue(concurrency=2),
        Settings(engine="fake", feedback=""),
    )
    with ThreadPoolExecutor(2) as pool, caplog.at_level(logging.WARNING):
        with on_loopback(application, http=HttpProtocol, timeout_graceful_shutdown=1) as url:
            whole = pool.submit(httpx.get, f"{url}/?length=1000", timeout=20)
            stream = pool.submit(httpx.get, f"{url}/?length=1000&stream=true", timeout=20)
            while "num_requests_running 2.0" not in httpx.get(f"{url}/metrics").text:
                pass
        reply = whole.result()
        assert reply.status_code == 503
        assert reply.json()["error"]["message"] == "the server is shutting down: try again."
        assert reply.headers["retry-after"] == "1"
        assert reply.headers["access-control-allow-origin"] == "*"
        with pytest.raises(httpx.RemoteProtocolError):
            stream.result()
    assert [record.message for record in caplog.records if record.exc_info] == []
