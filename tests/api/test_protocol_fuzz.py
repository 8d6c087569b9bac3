"""Invented requests to the routes of other protocols: each is answered, or refused in the protocol's form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.llama_cpp_requests import LlamaCppRequest
from app.api.ollama_requests import OllamaChatRequest, OllamaGenerateRequest, OllamaOptions
from app.api.responses_requests import ResponsesRequest
from app.api.tgi_requests import TgiParameters, TgiRequest
from app.engine.fake import FakeEngine
from tests.conftest import serving

Fields = dict[str, Any]
HELLO = [{"role": "user", "content": "x"}]
# What each route is asked for, beside what is invented, and the types whose fields it has: its own and those of one field.
ROUTES: dict[str, tuple[Fields, type[msgspec.Struct], str, type[msgspec.Struct] | None]] = {
    "/api/generate": ({"model": "fake", "prompt": "x"}, OllamaGenerateRequest, "options", OllamaOptions),
    "/api/chat": ({"model": "qa", "messages": HELLO}, OllamaChatRequest, "options", OllamaOptions),
    "/generate": ({"inputs": "x"}, TgiRequest, "parameters", TgiParameters),
    "/": ({"inputs": "x"}, TgiRequest, "parameters", TgiParameters),
    "/completion": ({"prompt": "x", "n_predict": 4}, LlamaCppRequest, "", None),
    "/v1/responses": ({"input": "x", "max_output_tokens": 4}, ResponsesRequest, "", None),
}
SHORT = {"options": {"num_predict": 4}, "parameters": {"max_new_tokens": 4}}
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [True, False, 0, 1, -1, -2, 2, 64, 1.5, 0.0, 1e308, 2**31, 2**63, -(2**70), "", "a", "é😀\0", "\ud800", "none", "auto",
     [], [1], [999], ["a", ""], [1, "a"], [[]], {}, {"a": 1}, {"84": -100}, [[84, False]], HELLO, None,
     [{"role": "assistant", "content": "x "}], [{"type": "text", "text": "a"}], ["message.output_text.logprobs"]]
)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Fields]:
    path = draw(st.sampled_from([*ROUTES]))
    base, schema, inner, inner_schema = ROUTES[path]
    fields = base | ({inner: SHORT[inner]} if inner else {})
    if inner_schema and draw(st.booleans()):
        names = st.sampled_from(inner_schema.__struct_fields__)
        return path, fields | {inner: SHORT[inner] | draw(st.dictionaries(names, VALUES, max_size=3))}
    return path, fields | draw(st.dictionaries(st.sampled_from(schema.__struct_fields__), VALUES, max_size=2))


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    engines = (FakeEngine(doubt=0.3, n_ctx=64), FakeEngine(name="qa", template="qa", n_ctx=64))
    with serving(*engines, max_length=64) as url, httpx.Client(base_url=url) as client:
        yield client


@given(asked=requests())
def test_each_request_is_answered_or_refused_in_words(api: httpx.Client, asked: tuple[str, Fields]) -> None:
    path, fields = asked
    reply = api.post(path, content=json.dumps(fields))
    if reply.status_code == 200:
        assert "the generation failed" not in reply.text
        return
    assert reply.status_code in (400, 404, 422), reply.text
    error = reply.json()["error"]
    if path in ("/completion", "/v1/responses"):
        assert error["message"].endswith(".")
    elif path.startswith("/api/"):
        assert error.endswith(".")
    else:
        assert error.endswith(".")
        assert reply.json()["error_type"] == "validation"
