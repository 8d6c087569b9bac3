"""The end of a conversation: a turn that goes on, whose turn it is, and the seed of the reply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.bundle import open_bundle
from app.engine.fake import FakeEngine
from app.engine.onnx import OnnxEngine
from tests.api.test_chat import HELLO, ask
from tests.conftest import ROOT, events, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.3, template="chat")) as address:
        yield f"{address}/v1/chat/completions"


@pytest.fixture(scope="module")
def starter() -> Iterator[str]:
    with serving(OnnxEngine(open_bundle(ROOT / "models/starter"), threads=1)) as address:
        yield f"{address}/v1/chat/completions"


@pytest.mark.parametrize("cut", [1, 5])
def test_a_reply_that_was_cut_goes_on_in_the_same_turn(starter: str, cut: int) -> None:
    """At a temperature of 0 the two parts are what the model writes at once."""
    question = [{"role": "user", "content": "Why did the duck cross the road?"}]
    whole = ask(starter, messages=question)["choices"][0]
    part = ask(starter, messages=question, max_tokens=cut)["choices"][0]
    assert part["finish_reason"] == "length"
    turns = [*question, {"role": "assistant", "content": part["message"]["content"]}]
    rest = ask(starter, messages=turns, continue_final_message=True, add_generation_prompt=False)["choices"][0]
    assert part["message"]["content"] + rest["message"]["content"] == whole["message"]["content"]
    assert rest["finish_reason"] == whole["finish_reason"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [("Yes.", " A: no"), ("Yes. ", "A: no"), ("", "A: no")],
    ids=["after a word", "after a space", "nothing yet"],
)
def test_the_rest_of_a_turn_is_joined_to_its_beginning(text: str, rest: str) -> None:
    """A tag ends a turn where a line begins. The rest of a turn does not begin a line, and once would have been empty."""
    with serving(FakeEngine(" A: no", template="Q: %\nA: %")) as address:
        messages = [*HELLO, {"role": "assistant", "content": text}]
        reply = ask(f"{address}/v1/chat/completions", messages=messages, max_tokens=6, continue_final_message=True)
    assert reply["choices"][0]["message"]["content"] == (rest if text else "")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"continue_final_message": True}, "continue_final_message needs a last message of the role assistant, and it is user's"),
        ({"add_generation_prompt": False}, "add_generation_prompt cannot be false while continue_final_message is false"),
        (
            {"messages": [*HELLO, {"role": "assistant"}], "continue_final_message": True, "add_generation_prompt": True},
            "add_generation_prompt cannot be true while continue_final_message is true",
        ),
        ({"messages": [*HELLO, {"role": "assistant"}]}, "or set continue_final_message"),
    ],
)  # fmt: skip
def test_whose_turn_it_is_must_be_clear(url: str, fields: dict[str, Any], sentence: str) -> None:
    for address in (url, url.replace("v1/chat/completions", "tokenize")):
        reply = httpx.post(address, json={"messages": HELLO} | fields)
        assert reply.status_code == 400
        assert sentence in reply.json()["error"]["message"]


@pytest.mark.parametrize(("max_tokens", "left_out"), [(2, 0), (20, 2), (32, 4)])
def test_a_reply_says_how_many_messages_did_not_fit(max_tokens: int, left_out: int) -> None:
    """Instructions always fit. With truncate_prompt_tokens the conversation is cut within a message."""
    turns = [
        {"role": role, "content": "x" * 9} for role in ("system", "user", "assistant", "user", "assistant", "user")
    ]
    with serving(FakeEngine(n_ctx=64, template="chat")) as address:
        path = f"{address}/v1/chat/completions"
        assert ask(path, messages=turns, max_tokens=max_tokens)["left_out"] == left_out
        assert ask(path, messages=turns, max_tokens=max_tokens, truncate_prompt_tokens=9)["left_out"] is None


def test_a_reply_names_its_seed(url: str) -> None:
    """A page that shows it can write the same text again, also where none was asked for."""
    first = ask(url, temperature=1)
    again = ask(url, temperature=1, seed=first["seed"])
    assert again["choices"][0]["message"] == first["choices"][0]["message"]
    stream = httpx.post(
        url, json={"messages": HELLO, "seed": 7, "stream": True, "stream_options": {"include_usage": True}}
    )
    chunks = [json.loads(event) for event in events(stream.text)[:-1]]
    assert [chunk.get("seed") for chunk in chunks] == [None] * (len(chunks) - 1) + [7]
