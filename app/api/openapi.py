"""The description of the API, made of the same types that validate what is asked.

Imported when it is asked for.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

import app
from app.api import openai_replies, openai_requests
from app.api.feedback import FeedbackRequest
from app.api.generate_request import GenerateRequest

JSON = "application/json"
REFERENCE = "#/components/schemas/{name}"
KEYS = {"bearer": {"type": "http", "scheme": "bearer"}, "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}
Schema = dict[str, Any]


class Generated(msgspec.Struct, kw_only=True):
    """The reply of `/`; `texts` and `finish_reasons` where there are several."""

    text: str
    texts: list[str] | msgspec.UnsetType = msgspec.UNSET
    model: str
    seed: int
    finish_reason: Literal["stop", "length", "timeout"]
    finish_reasons: list[Literal["stop", "length", "timeout"]] | msgspec.UnsetType = msgspec.UNSET
    usage: openai_replies.Usage


class Problem(msgspec.Struct):
    """What is wrong and what to do; `param` is the field, the numbers are there when the prompt is too long."""

    message: str
    type: str
    param: str | None
    code: str | None
    n_prompt_tokens: int | msgspec.UnsetType = msgspec.UNSET
    n_ctx: int | msgspec.UnsetType = msgspec.UNSET


class Refusal(msgspec.Struct):
    """Every answer that is not 200."""

    error: Problem


class Voted(msgspec.Struct):
    """The vote as it is kept, under the text's id."""

    id: str
    vote: Literal["up", "down"]


class Health(msgspec.Struct):
    status: Literal["ok", "draining"]


class Version(msgspec.Struct):
    version: str
    model: str
    models: list[str]
    engine: str
    n_ctx: int


# Path, method: what it does, what is asked, what is answered. A route that is not here is not for programs.
POSTS: dict[str, tuple[str, type, type]] = {
    "/": ("Continue a text.", GenerateRequest, Generated),
    "/generate": ("The same.", GenerateRequest, Generated),
    "/v1/completions": (
        "Continue texts, as OpenAI does.",
        openai_requests.CompletionRequest,
        openai_replies.Completion,
    ),
    "/v1/chat/completions": (
        "Answer in a conversation, as OpenAI does.",
        openai_requests.ChatRequest,
        openai_replies.ChatCompletion,
    ),
    "/feedback": ("Vote on a text.", FeedbackRequest, Voted),
    "/tokenize": (
        "The tokens of a text or a conversation.",
        openai_requests.TokenizeRequest,
        openai_replies.TokenizeReply,
    ),
    "/detokenize": ("The text of tokens.", openai_requests.DetokenizeRequest, openai_replies.DetokenizeReply),
}
GETS: dict[str, tuple[str, type]] = {
    "/": ("Continue a text.", Generated),
    "/generate": ("The same.", Generated),
    "/v1/models": ("What is served.", openai_replies.ModelList),
    "/v1/models/{name}": ("Whether this model is.", openai_replies.Model),
    "/health": ("Whether requests are welcome.", Health),
    "/version": ("What is served, in which version.", Version),
}
STREAMS = {
    GenerateRequest: None,
    openai_requests.CompletionRequest: openai_replies.Completion,
    openai_requests.ChatRequest: openai_replies.ChatCompletionChunk,
}
OPEN = ("/health", "/version")


def describe(keys_asked_for: bool) -> bytes:
    """An OpenAPI 3.1 document."""
    chunks = [chunk for chunk in STREAMS.values() if chunk]
    types = {*(kind for _, *kinds in (*POSTS.values(), *GETS.values()) for kind in kinds), *chunks, Refusal}
    _, components = msgspec.json.schema_components(sorted(types, key=str), ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for path, (summary, asked, answered) in POSTS.items():
        paths.setdefault(path, {})["post"] = posted(summary, asked, answered)
    for path, (summary, answered) in GETS.items():
        paths.setdefault(path, {})["get"] = described = operation(summary, answered) | parameters(path, components)
        described["responses"]["200"]["content"] |= events(None) if answered is Generated else {}
    paths["/metrics"] = {"get": operation("For Prometheus.", None)}
    if keys_asked_for:
        for path, operations in paths.items():
            for each in operations.values():
                each["security"] = [] if path in OPEN else [{name: []} for name in KEYS]
    for kind in (
        openai_requests.CompletionRequest,
        openai_requests.ChatRequest,
        openai_requests.TokenizeRequest,
        openai_requests.DetokenizeRequest,
    ):
        allow_null(components[kind.__name__])
    document = {
        "openapi": "3.1.0",
        "info": {"title": "GPT-2", "version": app.__version__, "description": app.__doc__},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": KEYS},
    }
    return msgspec.json.encode(document)


def operation(summary: str, answered: type | None) -> Schema:
    content = {JSON: {"schema": reference(answered)}} if answered else {"text/plain": {"schema": {"type": "string"}}}
    refused = {"description": "Refused.", "content": {JSON: {"schema": reference(Refusal)}}}
    return {
        "summary": summary,
        "responses": {"200": {"description": "Answered.", "content": content}, "default": refused},
    }


def posted(summary: str, asked: type, answered: type) -> Schema:
    described = operation(summary, answered)
    described["responses"]["200"]["content"] |= events(STREAMS[asked]) if asked in STREAMS else {}
    # Where every field has a default, an empty body asks for all of them.
    required = any(field.required for field in msgspec.structs.fields(asked))
    return described | {"requestBody": {"required": required, "content": {JSON: {"schema": reference(asked)}}}}


def events(chunk: type | None) -> Schema:
    """The content of a stream."""
    schema: Schema = {"description": "Lines of `data: ` and JSON, the last of them `data: [DONE]`."}
    return {"text/event-stream": {"schema": schema | ({"contentSchema": reference(chunk)} if chunk else {})}}


def parameters(path: str, components: Schema) -> Schema:
    """Those of a GET: the fields of `/` in the query, where each is one text."""
    if path.endswith("{name}"):
        return {"parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]}
    if path not in POSTS:
        return {}
    fields = components["GenerateRequest"]["properties"]
    return {"parameters": [{"name": name, "in": "query", "schema": of_query(field)} for name, field in fields.items()]}


def of_query(field: Schema) -> Schema:
    """A field without its null and its lists, which a query cannot spell."""
    choices = [choice for choice in field.get("anyOf", ()) if choice.get("type") not in ("null", "array")]
    rest = {key: value for key, value in field.items() if key not in ("anyOf", "default")}
    return rest | choices[0] if choices else field


def allow_null(schema: Schema) -> None:
    """A field that is null is one that is not there."""
    for name, field in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in field.get("anyOf", ()):
            described = {key: field.pop(key) for key in ("description", "default") if key in field}
            schema["properties"][name] = described | {"anyOf": [field, {"type": "null"}]}


def reference(kind: type) -> Schema:
    return {"$ref": REFERENCE.format(name=kind.__name__)}
