"""Traces: what a collector receives after requests, and that no text of a request is in it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.application import create_application
from app.engine.fake import FakeEngine
from app.engine.generation_queue import GenerationQueue
from app.log import current_trace
from app.models import Models
from app.settings import Settings
from app.telemetry import open_telemetry
from tests.fakes.loopback import on_loopback

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "purple elephants"
PHASES = ["queue", "prompt", "generation"]


class Collector(BaseHTTPRequestHandler):
    """Takes traces as OpenTelemetry's collector does."""

    received: list[bytes]

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.received.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name.
        pass


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The bodies that a collector gets, to which the environment points."""
    handler = type("RecordingCollector", (Collector,), {"received": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "jokes")
        yield handler.received  # type: ignore[attr-defined]
        server.shutdown()


def spans(bodies: list[bytes]) -> list[Any]:
    """The spans in the order of their starts. All are of the service `jokes`."""
    found = []
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = [pair.value.string_value for pair in resource.resource.attributes if pair.key == "service.name"]
            assert names == ["jokes"]
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return sorted(found, key=lambda span: span.start_time_unix_nano)


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


def traced(*asked: httpx.Request, **changes: Any) -> None:
    """Send these requests to a server that traces, and stop it, which sends the traces."""
    models = Models([FakeEngine(**changes)])
    application = create_application(models, GenerationQueue(), Settings(engine="fake", feedback=""), open_telemetry())
    with on_loopback(application) as url, httpx.Client(base_url=url) as client:
        for request in asked:
            client.send(
                client.build_request(request.method, request.url.path, content=request.content, headers=request.headers)
            )


def post(path: str, fields: dict[str, Any], **headers: str) -> httpx.Request:
    return httpx.Request("POST", f"http://any{path}", json=fields, headers=headers)


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_has_spans_for_queue_prompt_and_generation(received: list[bytes], stream: bool) -> None:
    fields = {
        "messages": [{"role": "user", "content": SECRET}],
        "max_tokens": 9,
        "stop": ["elephants"],
        "stream": stream,
    }
    traced(post("/v1/chat/completions", fields | {"temperature": 0, "seed": 3}, traceparent=f"00-{TRACE}-{PARENT}-01"))
    request, *phases = spans(received)
    assert request.name == "POST /v1/chat/completions"
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert [phase.name for phase in phases] == PHASES
    assert {phase.parent_span_id for phase in phases} == {request.span_id}
    ends = [phase.end_time_unix_nano for phase in phases]
    assert [phase.start_time_unix_nano for phase in phases[1:]] == ends[:-1]
    known = attributes(request)
    assert known["http.response.status_code"] == 200
    assert (known["gen_ai.operation.name"], known["gen_ai.request.model"]) == ("chat", "fake")
    assert (known["gen_ai.usage.output_tokens"], known["gen_ai.request.max_tokens"], known["gen_ai.request.seed"]) == (
        9,
        9,
        3,
    )
    assert not any(b"elephants" in body or b"quick" in body for body in received)


def test_each_protocol_is_traced(received: list[bytes]) -> None:
    asked: dict[str, dict[str, Any]] = {
        "/generate": {"inputs": "Why", "parameters": {"max_new_tokens": 2}},
        "/api/generate": {"model": "fake", "prompt": "Why", "options": {"num_predict": 2}},
        "/completion": {"prompt": "Why", "n_predict": 2},
        "/v1/responses": {"input": "Why", "max_output_tokens": 2},
    }
    traced(*(post(path, fields) for path, fields in asked.items()))
    found = [span for span in spans(received) if span.name not in PHASES]
    assert [span.name for span in found] == [f"POST {path}" for path in asked]
    assert [attributes(span)["gen_ai.usage.output_tokens"] for span in found] == [2] * 4
    assert len({span.trace_id for span in found}) == 4


def test_what_is_refused_is_traced_without_a_generation(received: list[bytes]) -> None:
    traced(post("/v1/completions", {"prompt": SECRET, "n": 0}), httpx.Request("GET", "http://any/health"))
    (span,) = spans(received)
    assert attributes(span)["http.response.status_code"] == 400
    assert "gen_ai.request.model" not in attributes(span)
    assert b"elephants" not in received[0]


def test_log_lines_carry_the_span(received: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    noted = []

    def note(record: logging.LogRecord) -> bool:
        noted.append(current_trace.get())
        return True

    caplog.handler.addFilter(note)
    caplog.set_level("INFO")
    traced(post("/v1/completions", {"prompt": "Why", "max_tokens": 1}))
    request, *_ = spans(received)
    assert (request.trace_id.hex(), request.span_id.hex()) in [(trace.id, trace.span) for trace in noted if trace]


def test_the_packages_in_the_list_are_all_that_is_needed() -> None:
    listed = (Path(__file__).parent.parent.parent / "requirements/telemetry.txt").read_text(encoding="utf-8")
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= {
        line.partition("==")[0] for line in listed.splitlines()
    }
