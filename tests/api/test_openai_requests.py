"""What the OpenAI-compatible routes cannot do is a 400 that names the field. No field is ignored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.api.error_checks import assert_error
from tests.conftest import serving

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
HELLO: Any = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(template="chat")) as address:
        yield address


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1), ("temperature", 2.1), ("temperature", "1"), ("top_p", 1.1), ("top_p", -1), ("n", 0),
        ("n", 129), ("n", 1.5), ("stop", ["a"] * 5), ("stop", [1]), ("stream", "yes"),
        ("stream_options", {"include_usage": True}), ("seed", 2**63), ("seed", 0.5), ("presence_penalty", 2.5),
        ("frequency_penalty", -3), ("logit_bias", {"1": 101}), ("logit_bias", {"x": 1}), ("logit_bias", {"257": 1}),
        ("logit_bias", {"-1": 1}), ("logit_bias", []), ("logit_bias", {"1": "a"}), ("logit_bias", {"\u0661": 1}), ("user", 5),
        # Seen: 05 was taken for 5, of which one was ignored, and too many digits were a 500.
        ("logit_bias", {"5": 1, "05": 2}), ("logit_bias", {"9" * 5000: 1}),
        ("top_k", -2), ("min_p", 2), ("typical_p", 0), ("typical_p", 1.1), ("repetition_penalty", 0), ("min_tokens", -1),
        ("min_tokens", 5000), ("ignore_eos", 1), ("stop_token_ids", [300]), ("stop_token_ids", ["a"]), ("stop_token_ids", 5),
        ("include_stop_str_in_output", "no"), ("truncate_prompt_tokens", 0), ("truncate_prompt_tokens", -2),
        ("max_tokens", 4097), ("max_tokens", -2), ("max_tokens", 10**30), ("logprobs", 21), ("unknown", 0), ("length", 5),
        ("model", 5), ("best_off", 1),
    ],
)  # fmt: skip
def test_a_wrong_value(url: str, path: str, field: str, value: object) -> None:
    ask = {"prompt": "Why"} if path == COMPLETIONS else {"messages": HELLO}
    assert_error(httpx.post(url + path, content=json.dumps(ask | {field: value})), 400, field)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": []}, "prompt"), ({"prompt": ["a", 1]}, "prompt"), ({"prompt": [[]]}, "prompt"),
        ({"prompt": [257]}, "prompt"), ({"prompt": [-1]}, "prompt"), ({"prompt": [["a"]]}, "prompt"),
        ({"prompt": {}}, "prompt"), ({"prompt": [True]}, "prompt"), ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": ["a"] * 2, "n": 65}, "prompt"), ({"suffix": "end"}, "suffix"),
        ({"n": 3, "best_of": 2}, "best_of"), ({"best_of": 21}, "best_of"), ({"best_of": 0}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"), ({"n": 100, "max_tokens": 1000}, "n"),
        ({"best_of": 20, "max_tokens": 1000}, "best_of"),
        # Seen: this named logprobs, which nobody had asked for.
        ({"prompt": ["a"] * 6, "best_of": 20, "max_tokens": 1000}, "best_of"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"continuous_usage_stats": True}}, "stream_options"),
        ({"n": 8, "max_tokens": 4096, "logprobs": 5}, "logprobs"), ({"messages": HELLO}, "messages"),
        ({"echo": "yes"}, "echo"), ({"max_completion_tokens": 5}, "max_completion_tokens"),
        ({"prompt": "\ud83d"}, "prompt"), ({"min_tokens": 20}, "min_tokens"),
    ],
)  # fmt: skip
def test_what_completions_cannot_do(url: str, fields: dict[str, Any], param: str) -> None:
    assert_error(httpx.post(url + COMPLETIONS, content=json.dumps(fields)), 400, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"), ({"messages": []}, "messages"), ({"messages": "Hello!"}, "messages"),
        ({"messages": [{}]}, "messages"), ({"messages": [{"role": "user"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
        ({"messages": [{"role": "user", "content": "a", "name": "b"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "a", "mood": "b"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": "\ud83d"}]}, "messages"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "Hi."}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}, *HELLO]}, "messages"),
        ({"tools": [{}]}, "tools"), ({"functions": [{}]}, "functions"), ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"), ({"modalities": ["audio"]}, "modalities"),
        ({"store": "yes"}, "store"), ({"metadata": "a"}, "metadata"), ({"service_tier": 1}, "service_tier"),
        ({"top_logprobs": 2}, "top_logprobs"), ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": 1}, "logprobs"), ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ({"max_completion_tokens": 5000}, "max_completion_tokens"), ({"max_tokens": 0}, "max_tokens"),
        ({"audio": {}}, "audio"), ({"prediction": {}}, "prediction"), ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"web_search_options": {}}, "web_search_options"), ({"prompt": "Why"}, "prompt"), ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"), ({"n": 100, "max_tokens": 1000}, "n"),
    ],
)  # fmt: skip
def test_what_chat_cannot_do(url: str, fields: dict[str, Any], param: str) -> None:
    assert_error(httpx.post(url + CHAT, content=json.dumps({"messages": HELLO} | fields)), 400, param)


def test_the_message_says_what_is_possible(url: str) -> None:
    def message(fields: dict[str, Any]) -> object:
        return httpx.post(url + CHAT, json={"messages": HELLO} | fields).json()["error"]["message"]

    roles = '"system" or "developer" or "user" or "assistant"'
    assert message({"messages": [{"role": "tool", "content": "a"}]}) == f'messages[0].role is "tool": expected {roles}.'
    assert message({"tools": [{}]}) == "tools is [{}]: this is not supported, leave it out."
    assert message({"messages": [{"role": "user"}]}) == "content is missing from messages[0]: add it."
    assert message({"messages": [HELLO[0] | {"a": 1}]}) == "a is not a field of messages[0]."
    assert message({"stop_token_ids": [300]}) == "stop_token_ids has 300: the model's tokens are 0 to 256."


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (COMPLETIONS, {"prompt": "x" * 2000}, "prompt"),
        (COMPLETIONS, {"prompt": ["a", "x" * 2000]}, "prompt"),
        (COMPLETIONS, {"prompt": [1] * 2001}, "prompt"),
        (COMPLETIONS, {"prompt": "x" * 2000, "stream": True}, "prompt"),
        (CHAT, {"messages": [{"role": "user", "content": "x" * 1999}]}, "messages"),
        (CHAT, {"messages": [{"role": "user", "content": "x" * 1999}], "truncate_prompt_tokens": 2001}, "messages"),
    ],
)
def test_a_prompt_longer_than_the_window(url: str, path: str, fields: dict[str, Any], param: str) -> None:
    error = assert_error(httpx.post(url + path, json=fields), 400, param, "exceed_context_size_error")
    assert (error["n_prompt_tokens"], error["n_ctx"], error["code"]) == (2001, 1024, "context_length_exceeded")
    if "truncate_prompt_tokens" not in fields:
        assert httpx.post(url + path, json=fields | {"truncate_prompt_tokens": -1}).status_code == 200


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"n": NaN}'])
def test_a_body_that_is_no_json_object(url: str, path: str, body: bytes) -> None:
    assert_error(httpx.post(url + path, content=body), 400, None)


@pytest.mark.parametrize("depth", [100, 500, 700, 900, 950, 980, 990])
def test_a_body_that_is_nested_deeply(url: str, depth: int) -> None:
    reply = httpx.post(url + COMPLETIONS, content=b'{"prompt": ' + b"[" * depth + b"]" * depth + b"}")
    assert reply.status_code == 400, reply.text


def test_other_methods_models_and_queries(url: str) -> None:
    assert_error(httpx.get(url + COMPLETIONS), 405, None)
    assert_error(httpx.post(url + CHAT, json={"messages": HELLO, "model": ""}), 404, "model", "not_found_error")
    assert_error(httpx.post(f"{url}{COMPLETIONS}?n=1", json={}), 400, "n")
    assert_error(httpx.post(url + COMPLETIONS, content=b'{"n": 1, "n": 2}'), 400, "n")
    assert_error(httpx.get(f"{url}/v1/models/gpt-5"), 404, "model", "not_found_error")
    assert_error(httpx.post(f"{url}/v1/embeddings", json={}), 404, None, "not_found_error")


def test_everything_still_works_afterwards(url: str) -> None:
    assert httpx.post(url + CHAT, json={"messages": HELLO}).status_code == 200
