"""Traces: the spans of requests, with a tracer that keeps them. tests/clients sends them to a collector, with the SDK."""

from __future__ import annotations

from typing import Any

import httpx
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanContext, get_current_span
from opentelemetry.trace.span import TraceFlags

from app.application import create_application
from app.engine.fake import FakeEngine
from app.engine.generation_queue import GenerationQueue
from app.models import Models
from app.settings import Settings
from app.telemetry import Telemetry
from tests.fakes.loopback import on_loopback

TRACE = 0x0AF7651916CD43DD8448EB211C80319C


class KeptSpan(NonRecordingSpan):
    """Keeps what it is told."""

    def __init__(self, name: str, parent: SpanContext, number: int) -> None:
        super().__init__(SpanContext(parent.trace_id or 1, number, is_remote=False, trace_flags=TraceFlags(1)))
        self.name = name
        self.parent = parent
        self.known: dict[str, Any] = {}
        self.ended = False

    def set_attribute(self, key: str, value: Any) -> None:
        self.known[key] = value

    def set_attributes(self, attributes: Any) -> None:
        self.known |= attributes

    def update_name(self, name: str) -> None:
        self.name = name

    def end(self, end_time: int | None = None) -> None:
        self.ended = True


class KeepingTracer(NoOpTracer):
    def __init__(self) -> None:
        self.spans: list[KeptSpan] = []

    def start_span(self, name: str, context: Any = None, *arguments: Any, **options: Any) -> KeptSpan:
        parent = get_current_span(context).get_span_context()
        self.spans.append(KeptSpan(name, parent, len(self.spans) + 1))
        return self.spans[-1]


def test_a_request_has_a_span_with_its_phases_and_no_text() -> None:
    tracer, closed = KeepingTracer(), []
    telemetry = Telemetry(tracer, lambda: closed.append(True))
    application = create_application(
        Models([FakeEngine()]), GenerationQueue(), Settings(engine="fake", feedback=""), telemetry
    )
    with on_loopback(application) as url, httpx.Client(base_url=url) as client:
        parent = {"traceparent": f"00-{TRACE:032x}-b7ad6b7169203331-01", "User-Agent": "tests"}
        ask = {"messages": [{"role": "user", "content": "purple elephants"}], "max_tokens": 3, "stop": "elephants"}
        assert client.post("/v1/chat/completions", json=ask, headers=parent).status_code == 200
        assert client.post("/v1/completions", json={"n": 0}).status_code == 400
        assert client.get("/health").status_code == 200
    request, *phases, refused = tracer.spans
    assert closed
    assert all(span.ended for span in tracer.spans)
    assert (request.name, request.parent.trace_id) == ("POST /v1/chat/completions", TRACE)
    assert [phase.name for phase in phases] == ["queue", "prompt", "generation"]
    assert {phase.parent.span_id for phase in phases} == {request.get_span_context().span_id}
    assert request.known | {"gen_ai.request.model": "fake", "gen_ai.usage.output_tokens": 3} == request.known
    assert (refused.name, refused.known["http.response.status_code"]) == ("POST /v1/completions", 400)
    assert "elephants" not in str([span.known for span in tracer.spans])
