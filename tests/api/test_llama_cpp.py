"""`/completion` and `/props`: shapes, streams and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.breaking_engine import BreakingEngine
from tests.conftest import events, serving

NINE = {"prompt": "Why", "n_predict": 9, "temperature": 0}
T, H = ord("T"), ord("h")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.1, n_ctx=256)) as address:
        yield address


def asked(url: str, **fields: Any) -> Any:
    reply = httpx.post(f"{url}/completion", json=NINE | fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_whole_reply(url: str) -> None:
    reply = asked(url, n_probs=2, return_tokens=True)
    assert (reply["content"], reply["stop"], reply["stop_type"], reply["model"]) == (SCRIPT[:9], True, "limit", "fake")
    assert (reply["tokens_predicted"], reply["tokens_evaluated"], reply["prompt"]) == (9, 4, "Why")
    assert bytes(reply["tokens"]).decode() == SCRIPT[:9]
    likeliest = [token["top_logprobs"][0]["id"] for token in reply["completion_probabilities"]]
    assert likeliest == reply["tokens"]
    assert reply["generation_settings"]["n_predict"] == 9
    assert reply["timings"]["predicted_n"] == 9


@pytest.mark.parametrize(
    ("fields", "text", "stop_type", "word"),
    [
        ({"stop": ["zz", "qu"]}, "The ", "word", "qu"),
        ({"stop": "qu"}, "The ", "word", "qu"),
        ({"stop": []}, "The quick", "limit", ""),
        ({"n_predict": 0}, "", "limit", ""),
        ({"logit_bias": [[T, False], ["zz", -5]], "n_predict": 1}, "\0", "limit", ""),
        ({"logit_bias": {str(T): -100, "zz": 5}, "n_predict": 1}, "z", "limit", ""),
        ({"logit_bias": [[33, 100]], "temperature": 2}, "!" * 9, "limit", ""),
        ({"top_p": 0, "temperature": 2}, "The quick", "limit", ""),
        ({"repeat_penalty": 5.0, "repeat_last_n": 0, "top_k": -1, "min_p": 0, "typical_p": 1}, "The quick", "limit", ""),
        ({"cache_prompt": False, "id_slot": -1, "seed": -1, "samplers": [], "mirostat": 0}, "The quick", "limit", ""),
    ],
)  # fmt: skip
def test_options_are_honoured(url: str, fields: dict[str, Any], text: str, stop_type: str, word: str) -> None:
    reply = asked(url, **fields)
    assert (reply["content"], reply["stop_type"], reply["stopping_word"]) == (text, stop_type, word)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "ab"), ({"repeat_last_n": 64}, "ab"), ({"repeat_last_n": -1}, "ab"), ({"repeat_last_n": 2}, "ab"),
        ({"repeat_last_n": 1}, "abababab"), ({"repeat_last_n": 0}, "abababab"),
    ],
)  # fmt: skip
def test_penalties_look_at_the_last_tokens(fields: dict[str, Any], text: str) -> None:
    """Of a script of two tokens, each is possible again as soon as it is not among the last. Ollama's options mean the same."""
    with serving(FakeEngine("ab", doubt=0.1)) as url:
        asked_here = {"prompt": [33], "n_predict": 8, "repeat_penalty": 100, "temperature": 0} | fields
        found = httpx.post(f"{url}/completion", json=asked_here).json()["content"]
        options = {"num_predict": 8, "repeat_penalty": 100, "temperature": 0} | fields
        chat = {"model": "fake", "prompt": "!", "raw": True, "stream": False, "options": options}
        assert httpx.post(f"{url}/api/generate", json=chat).json()["response"] == found
    assert found.startswith(text)
    assert (found == text) == (len(text) == 8)


def test_an_end_marker_ends_the_text_unless_it_is_ignored() -> None:
    with serving(FakeEngine("")) as url:
        assert asked(url)["stop_type"] == "eos"
        assert asked(url, ignore_eos=True)["stop_type"] == "limit"


def test_as_many_tokens_as_fit_in_the_window(url: str) -> None:
    for length in (-1, -2, None):
        reply = asked(url, n_predict=length)
        assert (reply["tokens_predicted"], reply["truncated"]) == (252, False)
    assert asked(url, n_predict=300)["truncated"] is True


@pytest.mark.parametrize(
    ("prompt", "evaluated"),
    [
        ("Why", 4), ("", 1), ([T, H], 2), ([T, "hy"], 3), (["W", H], 3),
        (["Why", "Who?"], [4, 5]), ([["W", H], [T, H]], [3, 2]), (["Why"], [4]), ([[T, H]], [2]),
    ],
)  # fmt: skip
def test_prompts_are_texts_tokens_and_lists_of_them(url: str, prompt: Any, evaluated: Any) -> None:
    """A prompt of tokens is read as it is. A text begins as a document does, with a token of its own."""
    reply = asked(url, prompt=prompt)
    if isinstance(evaluated, list):
        assert [each["tokens_evaluated"] for each in reply] == evaluated
        assert [each["index"] for each in reply] == [*range(len(evaluated))]
    else:
        assert reply["tokens_evaluated"] == evaluated


def test_several_texts_of_a_prompt(url: str) -> None:
    assert [reply["content"] for reply in asked(url, n_cmpl=2)] == [SCRIPT[:9]] * 2


def test_a_reply_is_reduced_to_some_fields(url: str) -> None:
    fields = ["content", "generation_settings/n_predict", "nothing", "content/x"]
    assert asked(url, response_fields=fields) == {"content": SCRIPT[:9], "n_predict": 9}


@pytest.mark.parametrize("path", ["/completion", "/completions"])
def test_a_stream_ends_with_the_whole_reply_without_content(url: str, path: str) -> None:
    reply = httpx.post(url + path, json=NINE | {"stream": True, "stop": ["zz"], "n_probs": 1})
    assert "[DONE]" not in reply.text
    *pieces, last = map(json.loads, events(reply.text))
    assert "".join(piece["content"] for piece in pieces) == SCRIPT[:9]
    assert [piece["tokens"] for piece in pieces] == [[ord(character)] for character in SCRIPT[:9]]
    assert all(not piece["stop"] and len(piece["completion_probabilities"]) == 1 for piece in pieces)
    assert (last["stop"], last["content"], last["stop_type"], last["tokens_predicted"]) == (True, "", "limit", 9)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prompt": None}, "prompt is missing: add it."),
        ({"prompt": 5}, "prompt is 5"),
        ({"prompt": []}, "prompt is an empty list"),
        ({"prompt": [[]]}, "prompt is an empty list"),
        ({"prompt": [1, [2]]}, "prompt has tokens beside lists"),
        ({"prompt": [999]}, "prompt has a token that the model lacks"),
        ({"prompt": {"prompt_string": "x", "multimodal_data": []}}, "prompt is"),
        ({"prompt": ["x"] * 129}, "expected at most 128 texts"),
        ({"n_predict": -3}, "n_predict is -3"),
        ({"n_predict": 5000}, "n_predict is 5000: expected at most 4096."),
        ({"temperature": "hot"}, 'temperature is "hot"'),
        ({"samplers": ["top_k"]}, "samplers is"),
        ({"grammar": "root ::= x"}, "grammar is"),
        ({"json_schema": {}}, "json_schema is {}: this is not supported, leave it out."),
        ({"mirostat": 2}, "mirostat is 2: expected 0."),
        ({"repeat_last_n": -2}, "repeat_last_n is -2"),
        ({"n_keep": 5}, "n_keep is 5: expected 0."),
        ({"lora": [{"id": 0}]}, "lora is"),
        ({"logit_bias": [[999, 1]]}, "logit_bias has a token that the model lacks"),
        ({"logit_bias": [[84, True]]}, "logit_bias has true"),
        ({"logit_bias": [[84]]}, "logit_bias"),
        ({"logit_bias": [[token, False] for token in range(257)]}, "logit_bias rules out every token: leave one."),
        ({"model": "llama"}, "is not served here"),
        ({"max_tokens": 5}, "max_tokens is not a field of this request"),
        ({"prompt": "x" * 300}, "prompt is 301 tokens long and the model's window holds 256: shorten it."),
    ],
)
def test_what_cannot_be_honoured_is_refused(url: str, fields: dict[str, Any], says: str) -> None:
    reply = httpx.post(f"{url}/completion", json=NINE | fields)
    error = reply.json()["error"]
    assert reply.status_code == error["code"] == (404 if "served" in says else 400)
    assert set(error) == {"code", "message", "type"} | ({"n_ctx", "n_prompt_tokens"} if "window" in says else set())
    assert says in error["message"]


def test_props_describe_the_default_model(url: str) -> None:
    props = httpx.get(f"{url}/props").json()
    settings = props["default_generation_settings"]
    assert (settings["n_ctx"], settings["params"]["top_k"], settings["params"]["seed"]) == (256, 40, -1)
    assert (props["total_slots"], props["model_alias"], props["modalities"]["vision"]) == (1, "fake", False)
    for method, path, status in (("POST", "/props", 405), ("GET", "/slots", 404), ("GET", "/completion", 405)):
        reply = httpx.request(method, url + path)
        assert reply.status_code == reply.json()["error"]["code"] == status


def test_a_failure_in_a_stream_is_its_last_event() -> None:
    with serving(BreakingEngine()) as url:
        reply = httpx.post(f"{url}/completion", json={"prompt": "x", "stream": True})
    assert json.loads(events(reply.text)[-1])["error"]["code"] == 500
