"""The OpenAPI description is true: requests and replies are validated against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from app.application import create_application
from app.engine.fake import FakeEngine
from app.engine.generation_queue import GenerationQueue
from app.models import Models
from app.settings import Settings
from tests.api.breaking_engine import BreakingEngine
from tests.api.test_keys import PAGE, routes
from tests.conftest import events, serving
from tests.fakes.loopback import on_loopback

HELLO = [{"role": "user", "content": "Hello!"}]
BROKEN: dict[str, dict[str, Any]] = {
    "/": {}, "/v1/completions": {}, "/v1/chat/completions": {"messages": HELLO}, "/v1/responses": {"input": "Hi"},
    "/generate_stream": {"inputs": "Hi"}, "/api/generate": {"model": "fake", "prompt": "Hi"},
    "/api/chat": {"model": "fake", "messages": HELLO}, "/completion": {"prompt": "Hi"},
}  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.3)) as address:
        yield address


@pytest.fixture(scope="module")
def document(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/openapi.json").json()
    return found


def holds(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(value)


def is_described(document: dict[str, Any], path: str, method: str, reply: httpx.Response) -> None:
    """The reply has the described type and no field that is not described.

    Seen: `/version` had three fields more than its description, which only forbidding all others shows.
    """
    strict = json.loads(json.dumps(document), object_hook=closed)
    responses = strict["paths"][path][method]["responses"]
    described = responses.get(str(reply.status_code), responses["default"])
    kind = reply.headers["content-type"].partition(";")[0]
    schema = described["content"][kind]["schema"]
    if kind == "application/json":
        holds(strict, schema, reply.json())
    elif kind == "text/event-stream":
        for event in events(reply.text):
            if event != "[DONE]":
                holds(strict, schema["contentSchema"], json.loads(event))
    elif kind == "application/x-ndjson":
        for line in reply.text.splitlines():
            holds(strict, schema["contentSchema"], json.loads(line))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {"additionalProperties": False} | schema if "properties" in schema else schema


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = {(path, method.upper()) for path, operations in document["paths"].items() for method in operations}
    there = {
        (re.sub(":path", "", route.path), method)
        for route in routes()
        for method in route.methods or ()
        if method in ("GET", "POST") and route.path not in {"/openapi.json", "/docs", "/docs/{name}"} | PAGE
    }
    assert described == there


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/", {"length": 5}),
        ("/", {"length": 5, "nsamples": 2}),
        ("/v1/completions", {"prompt": "Why", "logprobs": 2, "echo": True, "stop": None}),
        ("/v1/chat/completions", {"messages": HELLO, "logprobs": True, "top_logprobs": 1, "max_tokens": 5}),
        ("/feedback", {"vote": "up", "text": "Why"}),
        ("/feedback", {"vote": "sideways", "text": "Why"}),
        ("/tokenize", {"prompt": "Why", "return_token_strs": True}),
        ("/detokenize", {"tokens": [1]}),
        ("/v1/completions", {"prompt": "x" * 2000}),
        ("/v1/completions", {"n": 0}),
        ("/v1/completions", {"nothing": 0}),
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", {"messages": HELLO, "tools": [{}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": 5}]}),
        ("/v1/responses", {"input": HELLO, "max_output_tokens": 5, "include": ["message.output_text.logprobs"]}),
        ("/v1/responses", {"input": "Hi", "tools": [{}]}),
        ("/", {"inputs": "Why", "parameters": {"max_new_tokens": 5, "top_n_tokens": 2}}),
        ("/", {"inputs": "Why", "parameters": {"watermark": True}}),
        ("/generate", {"inputs": "Why", "parameters": {"max_new_tokens": 5, "best_of": 2, "details": False}}),
        ("/generate", {"inputs": "Why", "parameters": {"nothing": 1}}),
        ("/api/generate", {"model": "fake", "stream": False, "options": {"num_predict": 5}, "logprobs": True}),
        ("/api/generate", {"model": "fake", "prompt": "Why", "stream": False, "logprobs": True, "top_logprobs": 1}),
        ("/api/generate", {"model": "fake", "images": ["a"]}),
        ("/api/chat", {"model": "fake", "messages": HELLO, "stream": False}),
        ("/api/chat", {"messages": HELLO}),
        ("/api/show", {"model": "fake"}),
        ("/completion", {"prompt": "Why", "n_predict": 5, "n_probs": 2, "return_tokens": True}),
        ("/completion", {"prompt": ["Why", [1, 2]], "n_predict": 5}),
        ("/completion", {"prompt": "Why", "grammar": "root ::= x"}),
    ],
)
def test_requests_and_replies_are_as_described(
    url: str, document: dict[str, Any], path: str, fields: dict[str, Any]
) -> None:
    """Both ways: the service accepts what the description allows and refuses what it forbids."""
    described = document["paths"][path]["post"]
    reply = httpx.post(url + path, json=fields)
    is_described(document, path, "post", reply)
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    if reply.status_code == 200 or "tokens long" in reply.text:
        holds(document, schema, fields)
    else:
        with pytest.raises(jsonschema.ValidationError):
            holds(document, schema, fields)


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/", {"prefix": "Why", "nsamples": 2}),
        ("/v1/completions", {"prompt": "a", "logprobs": 1, "stream_options": {"include_usage": True}}),
        ("/v1/chat/completions", {"messages": HELLO, "logprobs": True, "stream_options": {"include_usage": True}}),
        ("/v1/responses", {"input": "Hi", "max_output_tokens": 5}),
        ("/", {"inputs": "Why", "parameters": {"max_new_tokens": 5}}),
        ("/generate_stream", {"inputs": "Why", "parameters": {"max_new_tokens": 5, "top_n_tokens": 1}}),
        ("/api/generate", {"model": "fake", "prompt": "Why", "logprobs": True, "options": {"num_predict": 5}}),
        ("/api/chat", {"model": "fake", "messages": HELLO, "options": {"num_predict": 5}}),
        ("/completion", {"prompt": "Why", "n_predict": 5, "n_probs": 1}),
    ],
)
def test_streams_are_as_described(url: str, document: dict[str, Any], path: str, ask: dict[str, Any]) -> None:
    short = {"prefix": {"length": 5}, "prompt": {"max_tokens": 5}, "messages": {"max_tokens": 5}}
    known = path.startswith("/v1") or "prefix" in ask
    length = next((more for name, more in short.items() if name in ask and known), {})
    reply = httpx.post(url + path, json=ask | {"stream": True} | length)
    assert reply.status_code == 200
    is_described(document, path, "post", reply)


def test_an_error_in_a_stream_is_as_described(document: dict[str, Any]) -> None:
    with serving(BreakingEngine()) as url:
        for path, ask in BROKEN.items():
            reply = httpx.post(url + path, json=ask | {"stream": True})
            assert "the generation failed" in reply.text
            is_described(document, path, "post", reply)


@pytest.mark.parametrize(
    "path",
    ["/", "/?length=3", "/?stream=true", "/generate?nsamples=2", "/?length=x", "/?model=gpt-5", "/v1/models",
     "/v1/models/fake", "/v1/models/gpt-5", "/health", "/version", "/metrics", "/info", "/api/tags", "/api/ps",
     "/api/version", "/props"],
)  # fmt: skip
def test_replies_to_get_are_as_described(url: str, document: dict[str, Any], path: str) -> None:
    described = re.sub("/v1/models/.+", "/v1/models/{name}", path.partition("?")[0])
    is_described(document, described, "get", httpx.get(url + path))


def test_refusals_are_as_described(document: dict[str, Any]) -> None:
    with serving(FakeEngine(), api_keys="a", rate_limit=2) as url:
        replies = [httpx.post(url, headers={"X-Api-Key": key}) for key in ("b", "a", "a", "a")]
        replies.append(httpx.post(url, content=b" " * 300_000, headers={"X-Api-Key": "a"}))
        for reply in replies:
            is_described(document, "/", "post", reply)
    assert {reply.status_code for reply in replies} == {200, 401, 429}


def test_a_draining_server_is_as_described(document: dict[str, Any]) -> None:
    """Its /health is not an error object."""
    queue = GenerationQueue()
    queue.drain(0)
    application = create_application(Models([FakeEngine()]), queue, Settings(engine="fake", feedback=""))
    with on_loopback(application) as url:
        for path, method in (("/health", "get"), ("/", "post")):
            reply = httpx.request(method, url + path)
            assert reply.status_code == 503
            is_described(document, path, method, reply)


def test_the_fields_of_the_query_are_those_of_the_body(document: dict[str, Any]) -> None:
    named = {parameter["name"] for parameter in document["paths"]["/"]["get"]["parameters"]}
    assert named == set(document["components"]["schemas"]["GenerateRequest"]["properties"])


def test_keys_are_described_where_they_are_asked_for(document: dict[str, Any]) -> None:
    assert "security" not in document["paths"]["/"]["post"]
    with serving(FakeEngine(), api_keys="a") as url:
        paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    assert paths["/"]["post"]["security"] == [{"bearer": []}, {"key": []}]
    assert paths["/health"]["get"]["security"] == []
