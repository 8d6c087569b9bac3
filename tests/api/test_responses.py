"""`/v1/responses`: shapes, typed events and refusals. tests/api/test_openai_client.py and tests/clients ask with clients."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.breaking_engine import BreakingEngine
from tests.api.error_checks import assert_error
from tests.conftest import events, serving

PATH = "/v1/responses"
LOGPROBS = "message.output_text.logprobs"
NINE = {"input": "Why", "max_output_tokens": 9, "temperature": 0}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.1, n_ctx=256), FakeEngine(name="qa", template="qa", n_ctx=256)) as address:
        yield address


def asked(url: str, **fields: Any) -> dict[str, Any]:
    reply = httpx.post(url + PATH, json=NINE | fields)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def text_of(response: dict[str, Any]) -> str:
    (message,) = response["output"]
    (part,) = message["content"]
    said: str = part["text"]
    return said


def test_a_whole_response(url: str) -> None:
    response = asked(url, metadata={"a": "b"}, user="somebody", store=True, instructions="Be kind.", top_p=0.5)
    assert text_of(response) == SCRIPT[:9]
    assert (response["object"], response["status"], response["model"]) == ("response", "incomplete", "fake")
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] == 9
    assert response["usage"]["total_tokens"] == response["usage"]["input_tokens"] + 9
    assert (response["metadata"], response["instructions"], response["top_p"]) == ({"a": "b"}, "Be kind.", 0.5)
    assert response["store"] is False, "nothing is stored, whatever is asked for"


def test_a_text_that_ends_by_itself_is_completed() -> None:
    with serving(FakeEngine("")) as url:
        response = asked(url)
    assert (response["status"], response["incomplete_details"], text_of(response)) == ("completed", None, "")


def test_a_stream_has_the_events_of_one_message(url: str) -> None:
    reply = httpx.post(url + PATH, json=NINE | {"stream": True, "include": [LOGPROBS]})
    found = [json.loads(event) for event in events(reply.text)]
    assert re.findall("^event: (.*)$", reply.text, re.MULTILINE) == [event["type"] for event in found]
    assert [event["sequence_number"] for event in found] == [*range(len(found))]
    kinds = [event["type"].removeprefix("response.") for event in found]
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * 9,
        "output_text.done", "content_part.done", "output_item.done", "incomplete",
    ]  # fmt: skip
    deltas = found[4:13]
    assert "".join(event["delta"] for event in deltas) == found[13]["text"] == text_of(found[-1]["response"])
    assert [event["logprobs"][0]["token"] for event in deltas] == [*SCRIPT[:9]]
    assert found[0]["response"]["id"] == found[-1]["response"]["id"]


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ("Hello!", "[QUESTION] Hello!\n[ANSWER]"),
        ([{"role": "user", "content": "Hello!"}], "[QUESTION] Hello!\n[ANSWER]"),
        (
            [
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": [{"type": "input_text", "text": "Hi."}]},
                {
                    "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "Yes?", "annotations": [], "logprobs": []}],
                },
                {"type": "message", "role": "user", "content": "Hello!"},
            ],
            "[QUESTION] Be kind.\nHi.\n[ANSWER] Yes?\n[QUESTION] Hello!\n[ANSWER]",
        ),
    ],
)  # fmt: skip
def test_the_input_is_a_text_or_a_conversation(url: str, given: Any, tokens: str) -> None:
    assert asked(url, model="qa", input=given)["usage"]["input_tokens"] == 1 + len(tokens)
    more = asked(url, model="qa", input=given, instructions="Brief.")["usage"]["input_tokens"]
    assert more == 1 + len(tokens) + len("Brief.\n")


def test_the_oldest_turns_are_left_out_unless_that_is_switched_off(url: str) -> None:
    long = [
        {"role": "user", "content": "x" * 250},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]
    assert asked(url, input=long)["usage"]["input_tokens"] < 10
    refused = httpx.post(url + PATH, json=NINE | {"input": long * 2, "truncation": "disabled"})
    error = assert_error(refused, 400, "input", "exceed_context_size_error")
    assert error["n_ctx"] == 256


def test_without_a_limit_the_answer_fills_the_window(url: str) -> None:
    response = asked(url, max_output_tokens=None, top_p=0)
    assert response["usage"]["total_tokens"] == 256
    assert response["max_output_tokens"] == response["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"input": None}, "input", "input is missing: add it."),
        ({"input": []}, "input", "input is []"),
        ({"input": 5}, "input", "input is 5"),
        ({"input": [{"role": "assistant", "content": "a"}]}, "input", "the last of input is the assistant's"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input", "input[0].content[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input", "input[0]"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "nothing is stored here: send the whole"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "nothing is stored here: send the whole"),
        ({"background": True}, "background", "background is true: expected false."),
        ({"tools": [{"type": "web_search"}]}, "tools", "this is not supported, leave it out."),
        ({"tool_choice": "required"}, "tool_choice", 'expected "none" or "auto".'),
        ({"text": {"format": {"type": "json_schema"}}}, "text", 'text.format.type is "json_schema"'),
        ({"text": {"verbosity": "low"}}, "text", 'expected "medium".'),
        ({"reasoning": {"effort": "low"}}, "reasoning", 'expected "none".'),
        ({"include": ["file_search_call.results"]}, "include", "include[0] is"),
        ({"top_logprobs": 2}, "top_logprobs", f"top_logprobs needs {LOGPROBS} in include"),
        ({"max_output_tokens": 0}, "max_output_tokens", "max_output_tokens is 0"),
        ({"max_output_tokens": 5000}, "max_output_tokens", "expected at most 4096."),
        ({"temperature": 3}, "temperature", "temperature is 3"),
        ({"stream_options": {}}, "stream_options", "only for streams"),
        ({"messages": []}, "messages", "messages is not a field of this request"),
        ({"stop": ["a"]}, "stop", "stop is not a field of this request"),
    ],
)
def test_what_cannot_be_honoured_is_refused(url: str, fields: dict[str, Any], param: str, says: str) -> None:
    error = assert_error(httpx.post(url + PATH, json=NINE | fields), 400, param)
    assert says in str(error["message"])


def test_no_response_can_be_asked_for_later(url: str) -> None:
    for method in ("GET", "DELETE"):
        assert_error(httpx.request(method, f"{url}{PATH}/resp_1"), 404, None, "not_found_error")


def test_a_failure_in_a_stream_is_its_last_event() -> None:
    with serving(BreakingEngine()) as url:
        reply = httpx.post(url + PATH, json={"input": "x", "stream": True})
    last = json.loads(events(reply.text)[-1])
    assert (last["type"], last["code"]) == ("error", "internal_error")
    assert last["sequence_number"] == reply.text.count("event: ") - 1
