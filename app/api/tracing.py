"""Traces: a span for each request, with spans for its time in the queue, for reading the prompt and for writing.

The attributes are those of OpenTelemetry's conventions for HTTP and for generative AI. None has a text of a request. Nothing
imports this module unless traces are asked for.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access_log import METHODS, QUIET_PATHS, header
from app.ask import Generation

Attributes = dict[str, Any]
# The routes at which a model answers in a conversation. At the others it continues a text.
CHATS = ("/v1/chat/completions", "/v1/responses", "/api/chat")
NANOSECONDS = 10**9


class HeaderGetter(Getter[Scope]):
    """Reads the headers of an ASGI scope."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        return [header(carrier["headers"], key.lower().encode())] if key in self.keys(carrier) else None

    def keys(self, carrier: Scope) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier["headers"]]


class TracingMiddleware:
    """Makes the spans of each request when it has been answered, under the span that `traceparent` names."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET_PATHS:
            await self._app(scope, receive, send)
            return
        span = self._tracer.start_span(
            scope["method"], propagate.extract(scope, getter=HeaderGetter()), kind=SpanKind.SERVER
        )
        status = 0

        async def noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        scope["headers"] = with_parent(scope, span)
        try:
            await self._app(scope, receive, noting_status)
        finally:
            self._finish(span, scope, status)

    def _finish(self, span: Span, scope: Scope, status: int) -> None:
        route = scope.get("route")
        if isinstance(route, Route):
            span.update_name(f"{scope['method']} {route.path}")
            span.set_attribute("http.route", route.path)
        span.set_attributes(http_attributes(scope, status))
        if status >= 500 or not status:
            span.set_status(StatusCode.ERROR)
            span.set_attribute("error.type", str(status or "disconnected"))
        generation = scope.get("generation")
        if isinstance(generation, Generation):
            span.set_attributes(generation_attributes(generation, scope["path"]))
            self._add_phases(generation, set_span_in_context(span))
        span.end()

    def _add_phases(self, generation: Generation, parent: Context) -> None:
        """The spans of what is over: waiting, reading the prompts, writing the texts."""
        arrived = time.time_ns() - round(generation.seconds * NANOSECONDS)
        ends = (generation.queue_seconds, generation.first_token_seconds, generation.end_seconds)
        begin = 0.0
        for name, end in zip(("queue", "prompt", "generation"), ends, strict=True):
            if not end:
                return
            phase = self._tracer.start_span(name, parent, start_time=arrived + round(begin * NANOSECONDS))
            phase.end(arrived + round(end * NANOSECONDS))
            begin = end


def with_parent(scope: Scope, span: Span) -> list[tuple[bytes, bytes]]:
    """The request's headers, with this span as the parent, so that log lines name it."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
    parent = [(name.encode(), value.encode()) for name, value in carrier.items()]
    return [*parent, *((name, value) for name, value in scope["headers"] if name != b"traceparent")]


def http_attributes(scope: Scope, status: int) -> Attributes:
    """https://opentelemetry.io/docs/specs/semconv/http/http-spans/."""
    known = {
        "http.request.method": scope["method"] if scope["method"] in METHODS else "_OTHER",
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    agent = header(scope["headers"], b"user-agent")
    return (
        known
        | ({"http.response.status_code": status} if status else {})
        | ({"user_agent.original": agent} if agent else {})
    )


def generation_attributes(generation: Generation, path: str) -> Attributes:
    """https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/."""
    options = generation.options
    sampling = options.sampling
    return {
        "gen_ai.operation.name": "chat" if path in CHATS else "text_completion",
        "gen_ai.provider.name": "gpt-2-cloud-run",
        "gen_ai.request.model": generation.engine.name,
        "gen_ai.response.model": generation.engine.name,
        "gen_ai.request.max_tokens": options.length,
        "gen_ai.request.choice.count": options.samples,
        "gen_ai.request.seed": options.seed,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p or 1.0,
        "gen_ai.request.top_k": sampling.top_k,
        "gen_ai.request.presence_penalty": sampling.presence_penalty,
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty,
        "gen_ai.usage.input_tokens": generation.prompt_tokens,
        "gen_ai.usage.output_tokens": generation.generated_tokens,
        "gen_ai.response.finish_reasons": [reason or "error" for reason in generation.finish_reasons],
    }
