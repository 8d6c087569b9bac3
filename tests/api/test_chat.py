"""`/v1/chat/completions`, over plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.api.openai_prompts import turns_of
from app.api.openai_requests import ChatMessage, TextPart
from app.engine.fake import SCRIPT, FakeEngine
from tests.conftest import events, serving

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    engines = FakeEngine(doubt=0.3, template="chat"), FakeEngine(SCRIPT + "\n[QUESTION] And?", name="qa", template="qa")
    with serving(*engines) as address:
        yield f"{address}/v1/chat/completions"


def ask(url: str, **fields: Any) -> dict[str, Any]:
    reply = httpx.post(url, json={"messages": HELLO, "temperature": 0} | fields)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_the_reply(url: str) -> None:
    reply = ask(url, max_tokens=9)
    assert reply.pop("id").startswith("chatcmpl-")
    assert isinstance(reply.pop("created"), int)
    message = {"role": "assistant", "content": SCRIPT[:9], "refusal": None}
    assert reply == {
        "object": "chat.completion",
        "model": "fake",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17},
    }


def test_a_turn_ends_where_the_next_would_begin_and_has_no_space_before_it(url: str) -> None:
    choice = ask(url, model="qa", logit_bias={"32": 0})["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (SCRIPT, "stop")
    with serving(FakeEngine(" \n Yes. ", template="qa")) as address:
        assert ask(f"{address}/v1/chat/completions", max_tokens=7)["choices"][0]["message"]["content"] == "Yes."


def test_without_a_number_the_reply_may_fill_the_window() -> None:
    with serving(FakeEngine(n_ctx=64, template="chat")) as address:
        usage = ask(f"{address}/v1/chat/completions")["usage"]
    assert usage["total_tokens"] == 64


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_length_limit_has_an_old_and_a_new_name(url: str, name: str) -> None:
    assert ask(url, **{name: 3})["usage"]["completion_tokens"] == 3


def test_the_oldest_turns_leave() -> None:
    turns = [{"role": ["user", "assistant"][number % 2], "content": "x" * 10} for number in range(21)]
    with serving(FakeEngine(n_ctx=64, template="chat")) as address:
        usage = ask(f"{address}/v1/chat/completions", messages=turns, max_tokens=20)["usage"]
    assert usage["prompt_tokens"] == 1 + 3 * 11


def test_turns_are_two_voices_in_alternation() -> None:
    messages = [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content=[TextPart(type="text", text="Hel"), TextPart(type="text", text="lo")]),
        ChatMessage(role="assistant", content="Hi."),
        ChatMessage(role="user", content="a"),
        ChatMessage(role="user", content="b"),
    ]
    assert turns_of(messages) == ["Be brief.\nHello", "Hi.", "a\nb"]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("fields", [{}, {"logprobs": True, "top_logprobs": 2}, {"model": "qa"}])
def test_a_stream_joined_is_the_reply(url: str, fields: dict[str, Any], n: int) -> None:
    same = {"messages": HELLO, "seed": 5, "temperature": 1, "max_tokens": 60, "n": n} | fields
    whole = ask(url, **same)
    *chunks, done = map(str, events(httpx.post(url, json=same | {"stream": True}).text))
    assert done == "[DONE]"
    choices: dict[int, dict[str, Any]] = {}
    for chunk in map(json.loads, chunks):
        assert (chunk["object"], "usage" in chunk) == ("chat.completion.chunk", False)
        (part,) = chunk["choices"]
        assert ("role" in part["delta"]) == (part["index"] not in choices)
        choice = choices.setdefault(part["index"], part["delta"] | {"content": "", "logprobs": []})
        choice["finish_reason"] = part["finish_reason"]
        choice["content"] += part["delta"].get("content", "")
        choice["logprobs"] += (part["logprobs"] or {"content": []})["content"]
    for choice in whole["choices"]:
        found = choices[choice["index"]]
        assert {name: found[name] for name in ("role", "content")} == {
            name: choice["message"][name] for name in ("role", "content")
        }
        assert found["finish_reason"] == choice["finish_reason"]
        assert found["logprobs"] == (choice["logprobs"] or {"content": []})["content"]


def test_logprobs_are_of_each_token_and_its_bytes(url: str) -> None:
    (choice,) = ask(url, logprobs=True, top_logprobs=3, max_tokens=5)["choices"]
    content = choice["logprobs"]["content"]
    assert bytes(byte for token in content for byte in token["bytes"]).decode() == choice["message"]["content"]
    for token in content:
        assert len(token["top_logprobs"]) == 3
        assert token["top_logprobs"][0] == {name: token[name] for name in ("token", "logprob", "bytes")}


def test_fields_that_ask_for_nothing_are_accepted(url: str) -> None:
    """Some clients send every field they know."""
    nothing = {
        "tools": [], "tool_choice": "none", "functions": None, "response_format": {"type": "text"}, "store": False,
        "modalities": ["text"], "service_tier": "auto", "metadata": {}, "user": "a", "logit_bias": {}, "stop": None,
        "parallel_tool_calls": True, "stream": False, "safety_identifier": "b", "prompt_cache_key": "c",
    }  # fmt: skip
    assert ask(url, max_tokens=3, **nothing)["choices"][0]["message"]["content"] == "The"
    empty: dict[str, Any] = {
        "refusal": None,
        "tool_calls": None,
        "function_call": None,
        "audio": None,
        "annotations": [],
    }
    reply = {"role": "assistant", "content": "Hi."} | empty
    assert ask(url, messages=[*HELLO, reply, *HELLO], max_tokens=3)["usage"]["prompt_tokens"] == 1 + 7 + 4 + 7
