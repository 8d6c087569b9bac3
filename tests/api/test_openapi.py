"""The OpenAPI description is true: requests and replies are validated against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from app.engine.fake import FakeEngine
from tests.api.test_keys import routes
from tests.conftest import events, serving

HELLO = [{"role": "user", "content": "Hello!"}]


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


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = {(path, method.upper()) for path, operations in document["paths"].items() for method in operations}
    there = {
        (re.sub(":path", "", route.path), method)
        for route in routes()
        for method in route.methods or ()
        if method in ("GET", "POST") and route.path not in ("/openapi.json", "/docs", "/docs/{name}")
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
    ],
)
def test_requests_and_replies_are_as_described(
    url: str, document: dict[str, Any], path: str, fields: dict[str, Any]
) -> None:
    """Both ways: the service accepts what the description allows and refuses what it forbids."""
    described = document["paths"][path]["post"]
    reply = httpx.post(url + path, json=fields)
    responses = described["responses"]
    answer = responses["200" if reply.status_code == 200 else "default"]["content"]["application/json"]["schema"]
    holds(document, answer, reply.json())
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    if reply.status_code == 200 or "tokens long" in reply.text:
        holds(document, schema, fields)
    else:
        with pytest.raises(jsonschema.ValidationError):
            holds(document, schema, fields)


@pytest.mark.parametrize(("path", "ask"), [("completions", {"prompt": "a"}), ("chat/completions", {"messages": HELLO})])
def test_chunks_are_as_described(url: str, document: dict[str, Any], path: str, ask: dict[str, Any]) -> None:
    ask = ask | {"stream": True, "max_tokens": 5, "stream_options": {"include_usage": True}}
    content = document["paths"][f"/v1/{path}"]["post"]["responses"]["200"]["content"]
    schema = content["text/event-stream"]["schema"]["contentSchema"]
    *chunks, _ = events(httpx.post(f"{url}/v1/{path}", json=ask).text)
    for chunk in chunks:
        holds(document, schema, httpx.Response(200, text=chunk).json())


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/fake", "/health", "/version"])
def test_replies_to_get_are_as_described(url: str, document: dict[str, Any], path: str) -> None:
    described = document["paths"][path.replace("/fake", "/{name}")]["get"]
    holds(
        document, described["responses"]["200"]["content"]["application/json"]["schema"], httpx.get(url + path).json()
    )


def test_the_fields_of_the_query_are_those_of_the_body(document: dict[str, Any]) -> None:
    named = {parameter["name"] for parameter in document["paths"]["/"]["get"]["parameters"]}
    assert named == set(document["components"]["schemas"]["GenerateRequest"]["properties"])


def test_keys_are_described_where_they_are_asked_for(document: dict[str, Any]) -> None:
    assert "security" not in document["paths"]["/"]["post"]
    with serving(FakeEngine(), api_keys="a") as url:
        paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    assert paths["/"]["post"]["security"] == [{"bearer": []}, {"key": []}]
    assert paths["/health"]["get"]["security"] == []
