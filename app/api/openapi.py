"""The OpenAPI document, made from the types that validate requests and encode replies.

Imported with the first request for /openapi.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

import app
from app.api.feedback import FeedbackRequest
from app.api.generate_request import GenerateRequest
from app.api.openai_replies import (
    ChatCompletion,
    ChatCompletionChunk,
    Completion,
    DetokenizeReply,
    Model,
    ModelList,
    TokenizeReply,
    Usage,
)
from app.api.openai_requests import ChatRequest, CompletionRequest
from app.api.play import GuessReply, GuessRequest, PlayRequest, TextToGuess
from app.api.service import Health, Version
from app.api.token_requests import DetokenizeRequest, TokenizeRequest
from app.engine.generation import FinishReason

JSON = "application/json"
REFERENCE = "#/components/schemas/{name}"
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}
Schema = dict[str, Any]
MODELS_OWN = "; by default the model's own, which /version tells, else"


class Generated(msgspec.Struct, kw_only=True):
    """The reply of `/`. With more than one text it has `texts` and `finish_reasons`, too."""

    text: str
    texts: list[str] | msgspec.UnsetType = msgspec.UNSET
    model: str
    seed: int
    finish_reason: FinishReason
    finish_reasons: list[FinishReason] | msgspec.UnsetType = msgspec.UNSET
    usage: Usage


class TextPiece(msgspec.Struct):
    """An event of a stream of `/`: what one more token adds to the text number `index`."""

    text: str
    index: int


class ErrorObject(msgspec.Struct):
    """What is wrong and what to do. `param` is the field. The numbers are there if the prompt is too long."""

    message: str
    type: str
    param: str | None
    code: str | None
    n_prompt_tokens: int | msgspec.UnsetType = msgspec.UNSET
    n_ctx: int | msgspec.UnsetType = msgspec.UNSET


class ErrorReply(msgspec.Struct):
    """Every reply other than 200."""

    error: ErrorObject


class FeedbackReply(msgspec.Struct):
    """The vote that was stored, and the id of its text."""

    id: str
    vote: Literal["up", "down"]


# By path: the summary, the request and the reply. Routes that are for browsers or for Telegram are left out.
POSTS: dict[str, tuple[str, type, type]] = {
    "/": ("Continue a text.", GenerateRequest, Generated),
    "/generate": ("The same as /.", GenerateRequest, Generated),
    "/v1/completions": ("Continue texts, as in OpenAI's API.", CompletionRequest, Completion),
    "/v1/chat/completions": ("Answer in a conversation, as in OpenAI's API.", ChatRequest, ChatCompletion),
    "/feedback": ("Vote on a text.", FeedbackRequest, FeedbackReply),
    "/play": (
        "A text to guess, by a model or by a person. For a browser, the page of the game.",
        PlayRequest,
        TextToGuess,
    ),
    "/play/guesses": ("Guess who wrote a text, and be told.", GuessRequest, GuessReply),
    "/tokenize": ("The tokens of a text or of a conversation.", TokenizeRequest, TokenizeReply),
    "/detokenize": ("The text of tokens.", DetokenizeRequest, DetokenizeReply),
}
GETS: dict[str, tuple[str, type]] = {
    "/": ("Continue a text.", Generated),
    "/generate": ("The same as /.", Generated),
    "/v1/models": ("The served models.", ModelList),
    "/v1/models/{name}": ("One served model.", Model),
    "/health": ("Whether the service accepts requests.", Health),
    "/version": ("The version, the models and what the service can do.", Version),
}
# The requests that can be streamed, and the events of their streams. Any event may be an error, which is then the last.
EVENTS: dict[type, tuple[type, ...]] = {
    GenerateRequest: (TextPiece, Generated, ErrorReply),
    CompletionRequest: (Completion, ErrorReply),
    ChatRequest: (ChatCompletionChunk, ErrorReply),
}
WITHOUT_KEY = ("/health", "/version")


def describe(needs_key: bool) -> bytes:
    """The OpenAPI 3.1 document, as JSON. `needs_key`: the service has API keys."""
    components = component_schemas()
    document = {
        "openapi": "3.1.0",
        "info": {"title": "GPT-2", "version": app.__version__, "description": app.__doc__},
        "paths": describe_paths(components, needs_key),
        "components": {"schemas": components, "securitySchemes": SECURITY_SCHEMES},
    }
    return msgspec.json.encode(document)


def component_schemas() -> Schema:
    """The JSON schema of each type, by its name."""
    types = {kind for _, *kinds in (*POSTS.values(), *GETS.values()) for kind in kinds}.union(*EVENTS.values())
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
        paths.setdefault(path, {})["post"] = post_operation(summary, request, reply)
    for path, (summary, reply) in GETS.items():
        paths.setdefault(path, {})["get"] = get_operation(path, summary, reply, components)
    paths["/metrics"] = {"get": operation("Metrics for Prometheus.", None)}
    if needs_key:
        for path, operations in paths.items():
            for each in operations.values():
                each["security"] = [] if path in WITHOUT_KEY else [{name: []} for name in SECURITY_SCHEMES]
    return paths


def operation(summary: str, reply: type | None) -> Schema:
    """An operation with its replies; without a type the reply is plain text."""
    content = {JSON: {"schema": reference(reply)}} if reply else {"text/plain": {"schema": {"type": "string"}}}
    error = {"description": "An error.", "content": {JSON: {"schema": reference(ErrorReply)}}}
    return {"summary": summary, "responses": {"200": {"description": "Success.", "content": content}, "default": error}}


def post_operation(summary: str, request: type, reply: type) -> Schema:
    described = operation(summary, reply)
    if request in EVENTS:
        described["responses"]["200"]["content"] |= stream_content(EVENTS[request])
    # If every field has a default, the body may be empty.
    required = any(field.required for field in msgspec.structs.fields(request))
    body: Schema = {"required": required, "content": {JSON: {"schema": reference(request)}}}
    if request is GenerateRequest:
        body["description"] = "Numbers and booleans may also be strings, as web forms send them."
    return described | {"requestBody": body}


def get_operation(path: str, summary: str, reply: type, components: Schema) -> Schema:
    described = operation(summary, reply) | parameters(path, components)
    if reply is Generated:
        described["responses"]["200"]["content"] |= stream_content(EVENTS[GenerateRequest])
    if reply is Health:
        described["responses"]["503"] = described["responses"]["200"] | {"description": "The server is shutting down."}
    return described


def stream_content(events: Sequence[type]) -> Schema:
    description = "Server-sent events: lines of `data: ` and JSON; the last one is `data: [DONE]`."
    schema = {"description": description, "contentSchema": {"anyOf": [reference(event) for event in events]}}
    return {"text/event-stream": {"schema": schema}}


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


def reference(kind: type) -> Schema:
    return {"$ref": REFERENCE.format(name=kind.__name__)}
