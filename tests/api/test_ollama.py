"""The routes for Ollama's clients: shapes, lines of JSON and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.breaking_engine import BreakingEngine
from tests.conftest import serving

HELLO = [{"role": "user", "content": "Hello!"}]
NINE = {"num_predict": 9, "temperature": 0}
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(doubt=0.1, n_ctx=256), FakeEngine(name="qa", template="qa", n_ctx=256)) as address:
        yield address


def asked(url: str, path: str, **fields: Any) -> dict[str, Any]:
    what = {"prompt": "Why"} if path == "/api/generate" else {"messages": HELLO}
    reply = httpx.post(url + path, json={"model": "fake", "stream": False, "options": NINE} | what | fields)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def text_of(reply: dict[str, Any]) -> str:
    said: str = reply["response"] if "response" in reply else reply["message"]["content"]
    return said


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
@pytest.mark.parametrize("model", ["fake", "fake:latest", "qa"])
def test_a_whole_reply_has_text_counts_and_durations(url: str, path: str, model: str) -> None:
    reply = asked(url, path, model=model)
    assert (text_of(reply), reply["done"], reply["done_reason"]) == (SCRIPT[:9], True, "length")
    assert (reply["model"], reply["eval_count"]) == (model, 9)
    assert reply["prompt_eval_count"] > 3
    assert all(isinstance(reply[name], int) and reply[name] >= 0 for name in DURATIONS)
    assert reply["total_duration"] >= reply["eval_duration"]


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_a_stream_is_lines_of_json_unless_it_is_switched_off(url: str, path: str) -> None:
    what = {"prompt": "Why"} if path == "/api/generate" else {"messages": HELLO}
    reply = httpx.post(url + path, json={"model": "fake", "options": NINE, "logprobs": True} | what)
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    *pieces, last = map(json.loads, reply.text.splitlines())
    assert "".join(map(text_of, pieces)) == SCRIPT[:9]
    assert not any(piece["done"] or "eval_count" in piece for piece in pieces)
    assert [piece["logprobs"][0]["token"] for piece in pieces] == [*SCRIPT[:9]]
    assert (last["done"], last["done_reason"], text_of(last), last["eval_count"]) == (True, "length", "", 9)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"options": NINE | {"stop": ["qu"]}}, "The "),
        ({"options": NINE | {"stop": "qu", "seed": -1, "top_k": 40, "top_p": 0.9, "min_p": 0, "typical_p": 1}}, "The "),
        ({"options": {"num_predict": 4, "top_p": 0}}, "The "),
        ({"options": {"num_predict": 0}}, ""),
        (
            {"options": NINE | {"repeat_penalty": 1.1, "repeat_last_n": 0, "num_ctx": 4096, "num_thread": 8}},
            "The quick",
        ),
        ({"keep_alive": "5m", "format": "", "think": False, "shift": True, "truncate": True}, "The quick"),
        ({"keep_alive": -1, "options": NINE | {"num_gpu": 1, "mirostat": 0, "mirostat_tau": 5.0}}, "The quick"),
    ],
)
def test_options_are_honoured(url: str, fields: dict[str, Any], text: str) -> None:
    for path in ("/api/generate", "/api/chat"):
        # In a conversation, white space at the end of an answer is no part of it only if a tag follows.
        assert text_of(asked(url, path, **fields)) == text


def test_as_many_tokens_as_fit_in_the_window(url: str) -> None:
    for options, length in (
        ({}, 252),
        ({"num_predict": -1}, 252),
        ({"num_predict": -2}, 252),
        ({"num_predict": 260}, 260),
    ):
        reply = asked(url, "/api/generate", options=options | {"top_k": 1})
        assert reply["eval_count"] == length
    assert asked(url, "/api/generate", options={"num_predict": 260, "top_k": 1}, shift=False)["eval_count"] == 252


def test_the_prompt_is_a_question_to_a_model_with_turns_unless_it_is_raw(url: str) -> None:
    plain, raw, system = (
        asked(url, "/api/generate", model="qa", **more)["prompt_eval_count"]
        for more in ({}, {"raw": True}, {"system": "Be kind."})
    )
    assert (plain, raw, system) == (1 + len("[QUESTION] Why\n[ANSWER]"), 4, plain + len("Be kind.\n"))


def test_a_long_prompt_is_cut_unless_that_is_switched_off(url: str) -> None:
    assert asked(url, "/api/generate", prompt="x" * 1000)["prompt_eval_count"] == 256
    assert asked(url, "/api/generate", options=NINE | {"num_ctx": 100}, prompt="x" * 200)["prompt_eval_count"] == 100
    long = [{"role": "user", "content": "x" * 200}, {"role": "assistant", "content": "y" * 50}, *HELLO]
    assert asked(url, "/api/chat", messages=long)["prompt_eval_count"] == 1 + len("Hello!\n") - 1
    for path, fields, window in (
        ("/api/generate", {"prompt": "x" * 1000}, 256),
        ("/api/generate", {"prompt": "x" * 99, "options": {"num_ctx": 90}}, 90),
        ("/api/chat", {"messages": long}, 256),
    ):
        reply = httpx.post(url + path, json={"model": "fake", "truncate": False} | fields)
        assert reply.status_code == 400
        assert f"the model's window holds {window}: shorten it." in reply.json()["error"]


def test_an_unfinished_answer_goes_on(url: str) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "The quick"}]
    assert asked(url, "/api/chat", model="qa", messages=messages)["prompt_eval_count"] == 1 + len(
        "[QUESTION] Hello!\n[ANSWER] The quick"
    )
    blank = [*HELLO, {"role": "assistant", "content": " "}]
    assert asked(url, "/api/chat", model="qa", messages=blank)["prompt_eval_count"] == 1 + len(
        "[QUESTION] Hello!\n[ANSWER]"
    )


@pytest.mark.parametrize(("path", "fields"), [("/api/generate", {}), ("/api/chat", {"messages": []})])
def test_an_empty_request_loads_the_model(url: str, path: str, fields: dict[str, Any]) -> None:
    reply = httpx.post(url + path, json={"model": "qa"} | fields)
    assert (text_of(reply.json()), reply.json()["done"], reply.json()["done_reason"]) == ("", True, "load")
    assert "qa:latest" in [model["name"] for model in httpx.get(f"{url}/api/ps").json()["models"]]


def test_the_models_are_listed_and_shown(url: str) -> None:
    models = httpx.get(f"{url}/api/tags").json()["models"]
    assert [model["name"] for model in models] == ["fake:latest", "qa:latest"]
    assert len({model["digest"] for model in models}) == 2
    for field in ({"model": "qa"}, {"name": "qa:latest"}, {"model": "qa", "verbose": True}):
        shown = httpx.post(f"{url}/api/show", json=field).json()
        assert shown["template"] == "[QUESTION] {{ .Prompt }}\n[ANSWER] "
        assert shown["model_info"]["gpt2.context_length"] == 256
    assert httpx.get(f"{url}/api/version").json().keys() == {"version"}
    assert httpx.head(url).status_code == 200


@pytest.mark.parametrize(
    ("path", "fields", "says"),
    [
        ("/api/generate", {"prompt": "x"}, "model is missing: add it."),
        ("/api/generate", {"model": "", "prompt": "x"}, 'model is ""'),
        ("/api/generate", {"model": 5}, "model is 5"),
        ("/api/show", {}, "model is missing: add it."),
        ("/api/show", {"model": "a", "name": "a"}, "name is the old name of model"),
        ("/api/generate", {"prompt": 5}, "prompt is 5"),
        ("/api/generate", {"suffix": "x"}, 'suffix is "x": this is not supported, leave it out.'),
        ("/api/generate", {"template": "x"}, "template is"),
        ("/api/generate", {"context": [1, 2]}, "context is [1, 2]: this is not supported, leave it out."),
        ("/api/generate", {"images": ["aaaa"]}, "images is"),
        ("/api/generate", {"raw": True, "system": "x"}, "system cannot be given with raw"),
        ("/api/generate", {"width": 64}, "width is 64"),
        ("/api/generate", {"max_tokens": 5}, "max_tokens is not a field of this request"),
        ("/api/generate", {"top_logprobs": 2}, "top_logprobs needs logprobs"),
        ("/api/chat", {"format": "json"}, 'format is "json": this is not supported, leave it out.'),
        ("/api/chat", {"format": {"type": "object"}}, "format is"),
        ("/api/chat", {"think": True}, "think is true: expected false."),
        ("/api/chat", {"think": "high"}, "think is"),
        ("/api/chat", {"tools": [{"type": "function"}]}, "tools is"),
        ("/api/chat", {"messages": [{"role": "tool", "content": "x"}]}, 'messages[0].role is "tool"'),
        ("/api/chat", {"messages": [{"role": "user", "content": "x", "images": ["a"]}]}, "messages[0].images is"),
        ("/api/chat", {"options": {"mirostat": 1}}, "options.mirostat is 1: expected 0."),
        ("/api/chat", {"options": {"repeat_last_n": -2}}, "options.repeat_last_n is -2"),
        ("/api/chat", {"options": {"num_predict": -3}}, "options.num_predict is -3"),
        ("/api/chat", {"options": {"num_predict": 5000}}, "options.num_predict is 5000: expected at most 4096."),
        ("/api/chat", {"options": {"num_keep": 4}}, "options.num_keep is 4"),
        ("/api/chat", {"options": {"nothing": 4}}, "nothing is not a field of options."),
        ("/api/chat", {"options": {"stop": 5}}, "options.stop is 5"),
        ("/api/chat", {"options": {"seed": 2**63}}, "too large a number"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused(url: str, path: str, fields: dict[str, Any], says: str) -> None:
    model = {} if says.startswith(("model", "name")) else {"model": "fake"}
    reply = httpx.post(url + path, json=model | fields)
    assert reply.status_code == 400
    assert set(reply.json()) == {"error"}
    assert says in reply.json()["error"]


def test_what_is_not_there_is_said_in_ollamas_form(url: str) -> None:
    assert "is not served here" in httpx.post(f"{url}/api/chat", json={"model": "llama"}).json()["error"]
    for method, path, status in (("POST", "/api/pull", 404), ("DELETE", "/api/delete", 404), ("GET", "/api/chat", 405)):
        reply = httpx.request(method, url + path)
        assert reply.status_code == status
        assert isinstance(reply.json()["error"], str)


def test_a_failure_in_a_stream_is_its_last_line() -> None:
    with serving(BreakingEngine()) as url:
        lines = httpx.post(f"{url}/api/generate", json={"model": "fake", "prompt": "x"}).text.splitlines()
    assert "the generation failed" in json.loads(lines[-1])["error"]
