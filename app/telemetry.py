"""Telemetry: whether OpenTelemetry's standard variables ask for traces, and where the traces go.

Nothing of OpenTelemetry is imported unless they do. Its packages are those of requirements/telemetry.txt.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from app.errors import MachineError, SettingError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

# https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXPORTERS = ("otlp", "console")
SERVICE_NAME = "gpt-2-cloud-run"
# Seconds for one answer of the collector, and for what is left to send at the end.
PATIENCE, CLOSE_SECONDS = 10.0, 3.0
# Bytes of such an answer.
MAX_ANSWER = 2**20


class Telemetry(NamedTuple):
    """`tracer` makes spans, and `close` sends those that have not been sent."""

    tracer: Tracer
    close: Callable[[], None]


def open_telemetry(environ: Mapping[str, str] = os.environ) -> Telemetry | None:
    """What traces are made with, None if none are asked for. Raises SettingError, MachineError."""
    exporters = wanted_exporters(environ)
    if not exporters:
        return None
    try:
        return start(exporters)
    except ImportError:
        variable = next(name for name in ("OTEL_TRACES_EXPORTER", *ENDPOINTS) if environ.get(name))
        raise MachineError(
            f"{variable} is set, and the packages for traces are not installed: "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http, or set OTEL_SDK_DISABLED=true."
        ) from None


def wanted_exporters(environ: Mapping[str, str]) -> list[str]:
    """Where traces go: some of EXPORTERS. Raises SettingError."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    asked = environ.get("OTEL_TRACES_EXPORTER", "").strip() or ("otlp" if any(map(environ.get, ENDPOINTS)) else "none")
    names = [name.strip() for name in asked.split(",") if name.strip() not in ("", "none")]
    if unknown := [name for name in names if name not in EXPORTERS]:
        raise SettingError(f"OTEL_TRACES_EXPORTER is {unknown[0]!r}, and should be otlp, console or none.")
    for variable in PROTOCOLS:
        if "otlp" in names and environ.get(variable, "http/protobuf").strip() not in ("", "http/protobuf"):
            raise SettingError(
                f"{variable} is {environ[variable]!r}, and should be http/protobuf, which collectors take on port 4318."
            )
    return names


def start(exporters: list[str]) -> Telemetry:
    """Start what sends traces, which reads the other variables itself. Raises ImportError."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME as NAME
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
    from requests import Session

    import app
    from app.bounded_adapter import bound

    def otlp() -> OTLPSpanExporter:
        session = Session()
        bound(session, MAX_ANSWER, PATIENCE)
        # Its own lines hold what the collector says, which may be anything.
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(shorten)
        return OTLPSpanExporter(session=session)

    kinds: dict[str, Callable[[], SpanExporter]] = {"otlp": otlp, "console": ConsoleSpanExporter}
    resource = Resource.create({NAME: SERVICE_NAME}).merge(OTELResourceDetector().detect())
    # Not the provider of the whole process: what other libraries would trace is nobody's business.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in exporters:
        provider.add_span_processor(BatchSpanProcessor(kinds[name]()))

    def close() -> None:
        # A collector that does not answer must not keep the process.
        closing = threading.Thread(target=provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    return Telemetry(provider.get_tracer(SERVICE_NAME, app.__version__), close)


def shorten(record: logging.LogRecord) -> bool:
    """Let a line of the exporter say only that it failed."""
    record.msg, record.args = "traces could not be sent: check the collector and OTEL_EXPORTER_OTLP_ENDPOINT", ()
    return True
