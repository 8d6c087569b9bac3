"""`/v1/chat/completions`, over plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.conversation import ChatMessage, TextPart
from app.api.openai_prompts import turns_of
from app.engine.bundle import open_bundle
from app.engine.fake import SCRIPT, FakeEngine
from app.engine.onnx import OnnxEngine
from app.engine.prompts import turn_texts
from tests.conftest import ROOT, events, serving

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
    assert isinstance(reply.pop("seed"), int)
    assert reply.pop("left_out") == 0
    message = {"role": "assistant", "content": SCRIPT[:9], "refusal": None}
    assert reply == {
        "object": "chat.completion",
        "model": "fake",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17},
    }


def test_a_turn_ends_where_the_next_would_begin_and_has_no_space_before_it(url: str) -> None:
    choice = ask(url, model="qa", logit_bias={"32": 0})["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (SCRIPT.strip(), "stop")
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
    assert turn_texts("text", turns_of(messages)) == ["Be brief.\nHello", "\nHi.", "\na\nb"]


def test_without_a_number_history_leaves_a_share_of_the_window_free_and_with_one_that_much() -> None:
    """It once was cut at half the window if no number was asked for."""
    turns = [{"role": ["user", "assistant"][number % 2], "content": "x" * 9} for number in range(201)]
    with serving(FakeEngine(n_ctx=1024, template="chat")) as address:

        def prompt_tokens(**fields: Any) -> int:
            found: int = ask(f"{address}/v1/chat/completions", **fields)["usage"]["prompt_tokens"]
            return found

        assert prompt_tokens(messages=turns[:71]) == 711
        assert prompt_tokens(messages=turns) == 751
        assert prompt_tokens(messages=turns, max_tokens=23) == 991
        assert prompt_tokens(messages=turns, max_tokens=400) == 611
        assert prompt_tokens(messages=turns, max_tokens=900) == prompt_tokens(messages=turns, max_tokens=4000) == 511
        instructions = {"role": "developer", "content": "s" * 99}
        assert prompt_tokens(messages=[instructions, *turns], max_tokens=900) == 1 + 100 + 410


CONVERSATIONS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "only a system message": ([("system", "Be brief.")], "[QUESTION] Be brief."),
    "a leading turn of the assistant": (
        [("assistant", "Hello!"), ("user", "Why?")], "[ANSWER] Hello!\n[QUESTION] Why?"
    ),
    "one after instructions": (
        [("system", "Be brief."), ("assistant", "Hello!"), ("user", "Why?")],
        "[QUESTION] Be brief.\n[ANSWER] Hello!\n[QUESTION] Why?",
    ),
    "several in a row": (
        [("user", "a"), ("assistant", "b"), ("assistant", "c"), ("developer", "d"), ("user", "e")],
        "[QUESTION] a\n[ANSWER] b\nc\n[QUESTION] d\ne",
    ),
    "blanks": ([("user", " a \n"), ("assistant", ""), ("user", "\u3000b\xa0")], "[QUESTION] a\nb"),
    "nothing": ([("user", "")], "[QUESTION]"),
    "tags": ([("user", "[ANSWER] a\n[QUESTION]")], "[QUESTION] [ANSWER] a\n[QUESTION]"),
}  # fmt: skip


@pytest.mark.parametrize(("turns", "text"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_is_answered_as_it_was_held(url: str, turns: list[tuple[str, str]], text: str) -> None:
    """A leading turn of the assistant was left out by the chat, and given to the user by /tokenize."""
    messages = [{"role": role, "content": content} for role, content in turns]
    usage = ask(url, model="qa", messages=messages, max_tokens=1)["usage"]
    counted = httpx.post(
        url.replace("v1/chat/completions", "tokenize"), json={"model": "qa", "messages": messages}
    ).json()
    assert usage["prompt_tokens"] == counted["count"]
    assert bytes(counted["tokens"][1:]).decode() == f"{text}\n[ANSWER]"


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_a_reply_without_text_comes_back_as_nothing(url: str, content: dict[str, Any]) -> None:
    """OpenAI's schema lets the content of an assistant's message be null or missing."""
    messages = [*HELLO, {"role": "assistant"} | content, *HELLO]
    assert ask(url, messages=messages, max_tokens=1) | {"id": "", "created": 0, "seed": 0} == ask(
        url, messages=[{"role": "user", "content": "Hello!\nHello!"}], max_tokens=1
    ) | {"id": "", "created": 0, "seed": 0}


turns = st.lists(
    st.fixed_dictionaries({
        "role": st.sampled_from(["system", "developer", "user", "assistant"]),
        "content": st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from([" a\n", "[ANSWER]"]),
    }),
    min_size=1,
    max_size=6,
)  # fmt: skip


@given(
    messages=turns.filter(lambda messages: messages[-1]["role"] != "assistant"), model=st.sampled_from(["fake", "qa"])
)
def test_tokenize_counts_what_the_chat_reads(url: str, messages: list[dict[str, str]], model: str) -> None:
    counted = httpx.post(
        url.replace("v1/chat/completions", "tokenize"), json={"model": model, "messages": messages}
    ).json()
    assert ask(url, model=model, messages=messages, max_tokens=1)["usage"]["prompt_tokens"] == counted["count"]


TAGGED = {
    " Yes.\n[QUESTION] No?": "Yes.",
    " Yes.\n[ANSWER] No.": "Yes.",
    " Yes. [ANSWER] No.": "Yes.",
    " Yes.[QUESTION]": "Yes.",
    "\n[QUESTION] Why?": "",
    " [ANSWER] Yes.": "",
    " [Yes] [ANS] Yes.\n\n": "[Yes] [ANS] Yes.\n\n",
}  # fmt: skip


@pytest.mark.parametrize(("script", "shown"), TAGGED.items())
def test_no_tag_is_shown_in_a_reply_however_short(script: str, shown: str) -> None:
    """17 of the starter's first 100 replies showed [ANSWER]. A limit within a tag showed the beginning of one."""
    with serving(FakeEngine(script, template="qa")) as address:
        for length in range(1, len(script) + 1):
            same = {"messages": HELLO, "temperature": 0, "max_tokens": length, "logprobs": True}
            (choice,) = ask(f"{address}/v1/chat/completions", **same)["choices"]
            said = choice["message"]["content"]
            assert shown.startswith(said.rstrip())
            scored = b"".join(bytes(token["bytes"]) for token in choice["logprobs"]["content"])
            assert scored.decode().strip() == said.strip()
            chunks = streamed(f"{address}/v1/chat/completions", **same)
            assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == said
        assert said.strip() == shown.strip()


def test_the_starters_first_replies_show_no_tag() -> None:
    """Nor those of its other texts, such as [USER]."""
    with serving(OnnxEngine(open_bundle(ROOT / "models/starter"), threads=1)) as address:
        for said in ("Hi!", "Good morning"):
            messages = [{"role": "user", "content": said}]
            fields = {"messages": messages, "n": 50, "seed": 0, "temperature": 1, "max_tokens": 60}
            replies = [
                choice["message"]["content"] for choice in ask(f"{address}/v1/chat/completions", **fields)["choices"]
            ]
            assert not [reply for reply in replies if "[" in reply]


def streamed(url: str, **fields: Any) -> list[dict[str, Any]]:
    *chunks, done = map(
        str, events(httpx.post(url, json={"messages": HELLO, "temperature": 0, "stream": True} | fields).text)
    )
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n": 2},
        {"logprobs": True},
        {"stop": ["brown"]},
        {"model": "qa"},
        {"stream_options": {"include_usage": True}},
    ],
)
def test_the_finish_reason_comes_in_a_chunk_of_its_own(url: str, fields: dict[str, Any]) -> None:
    """Clients drop the text of the chunk that has the finish reason, since OpenAI sends none with it."""
    chunks = streamed(url, max_tokens=30, **fields)
    assert bool(chunks[-1]["choices"]) == ("stream_options" not in fields)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    finished = [choice for choice in choices if choice["finish_reason"]]
    assert sorted(choice["index"] for choice in finished) == [*range(fields.get("n", 1))]
    for choice in finished:
        assert (choice["delta"], choice["logprobs"]) == ({}, None)
        first, *_, last = (other for other in choices if other["index"] == choice["index"])
        assert last is choice
        assert first["delta"]["role"] == "assistant"


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
