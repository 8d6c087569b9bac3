"""The routes for TGI's clients: shapes, streams and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.breaking_engine import BreakingEngine
from tests.conftest import events, serving

NINE = {"max_new_tokens": 9, "temperature": 0}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.1, n_ctx=256)) as address:
        yield address


def streamed(url: str, path: str, **fields: Any) -> list[dict[str, Any]]:
    reply = httpx.post(url + path, json=fields)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert "[DONE]" not in reply.text
    return [json.loads(event) for event in events(reply.text)]


def test_each_route_answers_in_its_shape(url: str) -> None:
    """`/` is TGI's older route: its reply is a list, and the text begins with the inputs."""
    fields = {"inputs": "Why", "parameters": NINE}
    (old,) = httpx.post(url, json=fields).json()
    assert old["generated_text"] == "Why" + SCRIPT[:9]
    new = httpx.post(f"{url}/generate", json=fields).json()
    assert new["generated_text"] == SCRIPT[:9]
    assert new["details"]["finish_reason"] == "length"
    assert new["details"]["generated_tokens"] == 9
    assert "".join(token["text"] for token in new["details"]["tokens"]) == SCRIPT[:9]


def test_our_own_shape_is_told_apart_by_inputs(url: str) -> None:
    assert httpx.post(f"{url}/generate", json={"prefix": "Why", "length": 3}).json()["usage"]["completion_tokens"] == 3
    for more in ({"prefix": "Who"}, {"length": 3}):
        assert httpx.post(f"{url}/generate", json={"inputs": "Why"} | more).status_code == 422


@pytest.mark.parametrize(
    ("parameters", "text", "reason"),
    [
        ({"stop": ["zz", "qu"]}, "The qu", "stop_sequence"),
        ({"return_full_text": True}, "WhyThe quick", "length"),
        ({"truncate": 1}, "The quick", "length"),
        ({"best_of": 3, "temperature": 0.001}, "The quick", "length"),
        ({"do_sample": True, "seed": 3, "top_k": 1}, "The quick", "length"),
        ({"temperature": None, "do_sample": False}, "The quick", "length"),
        ({"temperature": None}, "The quick", "length"),
        ({"watermark": False, "grammar": None, "adapter_id": None}, "The quick", "length"),
    ],
)
def test_parameters_are_honoured(url: str, parameters: dict[str, Any], text: str, reason: str) -> None:
    reply = httpx.post(f"{url}/generate", json={"inputs": "Why", "parameters": NINE | parameters}).json()
    assert (reply["generated_text"], reply["details"]["finish_reason"]) == (text, reason)


def test_details_have_what_was_asked_for(url: str) -> None:
    parameters = NINE | {"decoder_input_details": True, "top_n_tokens": 2, "best_of": 2, "temperature": 1, "seed": 4}
    details = httpx.post(f"{url}/generate", json={"inputs": "Why", "parameters": parameters}).json()["details"]
    assert [token["text"] for token in details["prefill"]] == ["W", "h", "y"]
    assert all(len(likeliest) == 2 for likeliest in details["top_tokens"])
    assert details["seed"] == 4
    assert len(details["best_of_sequences"]) == 1
    plain = httpx.post(f"{url}/generate", json={"inputs": "Why", "parameters": NINE | {"details": False}}).json()
    assert set(plain) == {"generated_text"}


@pytest.mark.parametrize(
    ("path", "more"), [("/generate_stream", {}), ("/", {"stream": True}), ("/generate", {"stream": True})]
)
def test_a_stream_has_an_event_for_each_token(url: str, path: str, more: dict[str, Any]) -> None:
    found = streamed(url, path, inputs="Why", parameters=NINE | {"top_n_tokens": 1}, **more)
    assert [event["token"]["text"] for event in found] == [*SCRIPT[:9]]
    assert [event["index"] for event in found] == [*range(1, 10)]
    assert all(event["generated_text"] is None and len(event["top_tokens"]) == 1 for event in found[:-1])
    assert found[-1]["generated_text"] == ("Why" if path == "/" else "") + SCRIPT[:9]
    assert found[-1]["details"] | {"seed": 0} == {
        "finish_reason": "length", "generated_tokens": 9, "input_length": 4, "seed": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("script", "stop", "text", "reason"),
    [
        ("The quick", ["quiz", "ck"], "The quick", "stop_sequence"),
        ("É ü€ x", ["x"], "É ü€ x", "stop_sequence"),
        ("", [], "", "eos_token"),
    ],
)
def test_the_tokens_of_a_stream_make_the_text(script: str, stop: list[str], text: str, reason: str) -> None:
    """A token whose characters are held back, since a stop string may begin in them, comes with its characters."""
    with serving(FakeEngine(script)) as url:
        found = streamed(url, "/generate_stream", inputs="", parameters={"max_new_tokens": 30, "stop": stop})
    assert "".join(event["token"]["text"] for event in found) == text == found[-1]["generated_text"]
    assert found[-1]["details"]["finish_reason"] == reason
    assert found[-1]["token"]["special"] == (reason == "eos_token")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"inputs": 5}, "inputs is 5: expected `str`."),
        ({"inputs": ["a"]}, "inputs is"),
        ({"inputs": "x", "model": "fake"}, "model is not a field"),
        ({"inputs": "x", "parameters": {"stop_sequences": ["a"]}}, "stop_sequences is not a field of parameters."),
        ({"inputs": "x", "parameters": {"max_new_tokens": 0}}, "parameters.max_new_tokens is 0"),
        ({"inputs": "x", "parameters": {"max_new_tokens": 10**6}}, "max_new_tokens is 1000000: expected at most 4096."),
        ({"inputs": "x", "parameters": {"max_new_tokens": 10**20}}, "too large a number"),
        ({"inputs": "x", "parameters": {"temperature": -1}}, "parameters.temperature is -1"),
        ({"inputs": "x", "parameters": {"watermark": True}}, "parameters.watermark is true: expected false."),
        ({"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "a"}}}, "parameters.grammar is"),
        ({"inputs": "x", "parameters": {"adapter_id": "a"}}, "parameters.adapter_id is"),
        ({"inputs": "x", "parameters": {"stop": ["a"] * 5}}, "parameters.stop is"),
        ({"inputs": "x", "parameters": {"best_of": 2, "do_sample": False}}, "all texts would be the same"),
        ({"inputs": "x", "stream": True, "parameters": {"best_of": 2}}, "best_of cannot be above 1 in a stream"),
        ({"inputs": "x", "stream": True, "parameters": {"decoder_input_details": True}}, "is for whole replies"),
        ({"inputs": "x" * 300}, "inputs is 301 tokens long and the model's window holds 256: shorten it."),
        ({"inputs": "\ud800"}, "half a character"),
    ],
)
def test_what_cannot_be_honoured_is_refused(url: str, fields: dict[str, Any], says: str) -> None:
    for path in ("/", "/generate"):
        reply = httpx.post(url + path, content=json.dumps(fields))
        assert reply.status_code == 422
        assert set(reply.json()) == {"error", "error_type"}
        assert reply.json()["error_type"] == "validation"
        assert says in reply.json()["error"]


def test_info_has_the_model_and_the_limits(url: str) -> None:
    info = httpx.get(f"{url}/info").json()
    assert (info["model_id"], info["max_input_tokens"], info["max_total_tokens"]) == ("fake", 256, 256 + 4096)
    assert info["model_pipeline_tag"] == "text-generation"


def test_a_chat_needs_no_models_name(url: str) -> None:
    """huggingface_hub's clients call the model of a server `dummy`, and TGI's examples call it `tgi`."""
    ask = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    with serving(FakeEngine(), FakeEngine(name="tgi")) as other:
        found = [
            httpx.post(f"{address}/v1/chat/completions", json=ask | {"model": name}).json().get("model")
            for address, name in ((url, "tgi"), (url, "dummy"), (other, "tgi"), (other, "dummy"), (url, "gpt-5"))
        ]
    assert found == ["fake", "fake", "tgi", "fake", None]


def test_a_failure_in_a_stream_is_its_last_event() -> None:
    with serving(BreakingEngine()) as url:
        *_, last = streamed(url, "/generate_stream", inputs="Why")
    assert last["error_type"] == "generation"


def test_other_refusals_have_tgis_form() -> None:
    with serving(FakeEngine(), api_keys="a", rate_limit=1) as url:
        key = {"X-Api-Key": "a"}
        ask = {"inputs": "Why", "parameters": {"max_new_tokens": 1}}
        statuses = [httpx.post(f"{url}/generate_stream", json=ask)]
        statuses += [httpx.post(f"{url}/generate_stream", json=ask, headers=key) for _ in range(2)]
        statuses += [httpx.get(f"{url}/generate_stream", headers=key)]
    found = [(reply.status_code, reply.json()["error_type"]) for reply in statuses if reply.status_code != 200]
    assert found == [(401, "generation"), (429, "overloaded"), (405, "generation")]
