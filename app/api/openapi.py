"""The OpenAPI document, made from the types that validate requests and encode replies.

Imported with the first request for /openapi.json.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence

import msgspec

import app
from app.api.framing import EVENTS, EVENTS_UNTIL_DONE, LINES, TYPED_EVENTS
from app.api.generate_request import GenerateRequest
from app.api.route_types import ERRORS, GETS, POSTS, STREAMS, Generated, Kind, StreamOf, error_kinds, kinds_of
from app.api.schema_rules import ONE_OF_TWO, Schema, add_rules
from app.api.service import Health

JSON = "application/json"
REFERENCE = "#/components/schemas/{name}"
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}
MODELS_OWN = "; by default the model's own, which /version tells, else"
STREAM_DESCRIPTIONS = {
    EVENTS_UNTIL_DONE: "Server-sent events: lines of `data: ` and JSON; the last one is `data: [DONE]`.",
    EVENTS: "Server-sent events: lines of `data: ` and JSON.",
    TYPED_EVENTS: "Server-sent events: the event's type in a line of `event: `, then a line of `data: ` and JSON.",
    LINES: "Lines of JSON.",
}
WITHOUT_KEY = ("/health", "/version")
# Where there are voters.
OF_A_PERSON = ("/feedback", "/play", "/play/guesses")
TELEGRAM_USER = {
    "name": "X-Telegram-Init-Data",
    "in": "header",
    "description": "the launch data that Telegram gives to a page of this service's bot; its person then counts as the voter",
    "schema": {"type": "string"},
}


def describe(needs_key: bool, max_length: int) -> bytes:
    """The OpenAPI 3.1 document, as JSON. `needs_key`: the service has API keys. `max_length`: the most tokens of a text."""
    components = component_schemas()
    add_rules(components, max_length)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "GPT-2", "version": app.__version__, "description": app.__doc__},
        "paths": describe_paths(components, needs_key),
        "components": {"schemas": components, "securitySchemes": SECURITY_SCHEMES},
    }
    return msgspec.json.encode(document)


def component_schemas() -> Schema:
    """The JSON schema of each type, by its name."""
    streamed = [kind for stream in STREAMS.values() for kind in stream.kinds]
    answered = [kind for _, *kinds in (*POSTS.values(), *GETS.values()) for each in kinds for kind in kinds_of(each)]
    types = {*streamed, *answered, *ERRORS.values()}
    _, components = msgspec.json.schema_components(sorted(types, key=str), ref_template=REFERENCE)
    for schema in components.values():
        for field in schema.get("properties", {}).values():
            if "x-otherwise" in field:
                field["description"] += f"{MODELS_OWN} {field['x-otherwise']}"
        # Only requests refuse what they do not know.
        if schema.get("additionalProperties") is False:
            allow_null(schema)
    return components


def describe_paths(components: Schema, needs_key: bool) -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    for path, (summary, request, reply) in POSTS.items():
        paths.setdefault(path, {})["post"] = post_operation(path, summary, request, reply)
    for path, (summary, reply) in GETS.items():
        paths.setdefault(path, {})["get"] = get_operation(path, summary, reply, components)
    paths["/metrics"] = {"get": operation("/metrics", "Metrics for Prometheus.", None)}
    if needs_key:
        for path, operations in paths.items():
            for each in operations.values():
                each["security"] = [] if path in WITHOUT_KEY else [{name: []} for name in SECURITY_SCHEMES]
    return paths


def operation(path: str, summary: str, reply: Kind | None) -> Schema:
    """An operation with its replies; without a type the reply is plain text."""
    content = {JSON: {"schema": reference(reply)}} if reply else {"text/plain": {"schema": {"type": "string"}}}
    error = {"description": "An error.", "content": {JSON: {"schema": reference(error_kinds(path))}}}
    return {"summary": summary, "responses": {"200": {"description": "Success.", "content": content}, "default": error}}


def post_operation(path: str, summary: str, request: Kind, reply: Kind) -> Schema:
    described = operation(path, summary, reply)
    requests = kinds_of(request)
    described["responses"]["200"]["content"] |= stream_content([STREAMS[kind] for kind in requests if kind in STREAMS])
    # If every field has a default, the body may be empty.
    required = all(needs_fields(kind) for kind in requests)
    body: Schema = {"required": required, "content": {JSON: {"schema": reference(request)}}}
    if path in OF_A_PERSON:
        described["parameters"] = [TELEGRAM_USER]
    if GenerateRequest in requests:
        body["description"] = "Numbers and booleans may also be strings, as web forms send them."
    return described | {"requestBody": body}


def needs_fields(kind: Kind) -> bool:
    """Whether a request of this type cannot be empty."""
    return kind.__name__ in ONE_OF_TWO or any(field.required for field in msgspec.structs.fields(kind))


def get_operation(path: str, summary: str, reply: type, components: Schema) -> Schema:
    described = operation(path, summary, reply) | parameters(path, components)
    if reply is Generated:
        described["responses"]["200"]["content"] |= stream_content([STREAMS[GenerateRequest]])
    if reply is Health:
        described["responses"]["503"] = described["responses"]["200"] | {"description": "The server is shutting down."}
    return described


def stream_content(streams: Sequence[StreamOf]) -> Schema:
    """The content of a reply that is streamed in one of these ways, which all have the same media type."""
    if not streams:
        return {}
    framing = streams[0].framing
    kinds = tuple(kind for stream in streams for kind in stream.kinds)
    schema = {"description": STREAM_DESCRIPTIONS[framing], "contentSchema": reference(kinds)}
    return {framing.media_type: {"schema": schema}}


def parameters(path: str, components: Schema) -> Schema:
    """The parameters of a GET: the name in the path, or the fields of `/` in the query."""
    if path.endswith("{name}"):
        return {"parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]}
    if path not in POSTS:
        return {}
    fields = components["GenerateRequest"]["properties"]
    return {
        "parameters": [{"name": name, "in": "query", "schema": query_schema(field)} for name, field in fields.items()]
    }


def query_schema(field: Schema) -> Schema:
    """A field's schema without null and lists, which a query string cannot express."""
    choices = [choice for choice in field.get("anyOf", ()) if choice.get("type") not in ("null", "array")]
    rest = {key: value for key, value in field.items() if key not in ("anyOf", "default")}
    return rest | choices[0] if choices else field


def allow_null(schema: Schema) -> None:
    """Let every optional field be null, which counts as left out, and unknown fields too."""
    schema["additionalProperties"] = {"type": "null"}
    for name, field in schema["properties"].items():
        known = [field, *field.get("anyOf", [])]
        if name not in schema.get("required", ()) and not any(choice.get("type") == "null" for choice in known):
            described = {key: field.pop(key) for key in ("description", "default") if key in field}
            schema["properties"][name] = described | {"anyOf": [field, {"type": "null"}]}
        for choice in known:
            # So is a field of an object whose names are free. It counts for nothing, so they cannot be counted.
            if values := choice.get("additionalProperties"):
                choice["additionalProperties"] = {"anyOf": [values, {"type": "null"}]}
                choice.pop("maxProperties", None)


def reference(kind: Kind) -> Schema:
    """The schema of a type, of a list, or of one of several types."""
    if isinstance(kind, tuple):
        return {"anyOf": [reference(each) for each in kind]} if len(kind) > 1 else reference(kind[0])
    if items := typing.get_args(kind):
        return {"type": "array", "items": reference(items[0])}
    return {"$ref": REFERENCE.format(name=kind.__name__)}
