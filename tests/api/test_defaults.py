"""Every route takes the model's defaults for what a request leaves out, and none where the model has none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from app.api.generate_request import GenerateRequest
from app.api.generation_options import OPENAI_SAMPLING, chat_options, completion_options, generate_options
from app.api.openai_requests import ChatRequest, CompletionRequest
from app.api.validation import validate
from app.engine.fake import FakeEngine
from app.engine.profile import Profile, SamplingDefaults
from app.engine.sampling import Sampling
from tests.conftest import serving

HELLO = [{"role": "user", "content": "Hello!"}]
DEFAULTS = SamplingDefaults(
    temperature=0.3, top_k=9, top_p=0.8, min_p=0.1, typical_p=0.9, repetition_penalty=1.2, length=7
)
OWN = Sampling(0.3, 9, 0.8, 0.1, 0.9, 1.2)
TUNED = Profile(
    title="Tuned",
    about="It is.",
    template="[USER] %\n[BOT] %",
    questions="qa",
    sampling=DEFAULTS,
    beginnings=["Are you there?"],
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(name="tuned", profile=TUNED), FakeEngine(name="plain")) as address:
        yield address


def sampled(route: str, fields: dict[str, Any], defaults: SamplingDefaults) -> Sampling:
    """How a request's tokens are chosen."""
    if route == "/":
        return generate_options(validate(fields, GenerateRequest), 5, defaults).sampling
    if route == "/v1/completions":
        return completion_options(validate(fields, CompletionRequest), 5, defaults).sampling
    engine = FakeEngine(profile=Profile(sampling=defaults))
    return chat_options(validate(fields | {"messages": HELLO}, ChatRequest), 5, engine).sampling


ROUTES = ["/", "/v1/completions", "/v1/chat/completions"]


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_left_out_or_null_is_the_models_default(route: str) -> None:
    assert sampled(route, {}, DEFAULTS) == OWN
    assert sampled(route, {"temperature": None, "top_p": None, "min_p": None}, DEFAULTS) == OWN


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_given_wins(route: str) -> None:
    """A neutral value is given, too: 0 or 1 switches the model's own rule off."""
    neutral = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1}
    assert sampled(route, neutral, DEFAULTS) == Sampling(1, 0, 1, 0, 0.9, 1)


def test_a_model_without_defaults_is_asked_as_before() -> None:
    nothing = SamplingDefaults()
    assert sampled("/", {}, nothing) == Sampling(0.7)
    assert sampled("/v1/completions", {}, nothing) == sampled("/v1/chat/completions", {}, nothing) == OPENAI_SAMPLING
    assert (OPENAI_SAMPLING.temperature, OPENAI_SAMPLING.top_p) == (1, 1)


def test_a_top_p_of_0_means_all_tokens_as_a_default_and_the_likeliest_in_a_request_of_openais() -> None:
    off = SamplingDefaults(temperature=0.5, top_p=0)
    assert sampled("/v1/completions", {}, off) == Sampling(0.5, top_p=0)
    assert sampled("/v1/completions", {"top_p": 0}, off).temperature == 0
    assert sampled("/", {"top_p": 0}, off).temperature == 0.5


def tokens(reply: httpx.Response) -> int:
    assert reply.status_code == 200, reply.text
    written: int = reply.json()["usage"]["completion_tokens"]
    return written


@pytest.mark.parametrize(
    ("path", "fields", "own", "otherwise"),
    [
        ("/", {}, 7, 100),
        ("/", {"length": None}, 7, 100),
        ("/", {"length": 3}, 3, 3),
        ("/v1/completions", {}, 7, 16),
        ("/v1/completions", {"max_tokens": 3}, 3, 3),
        ("/v1/completions", {"min_tokens": 9}, 9, 16),
        ("/v1/chat/completions", {"messages": HELLO}, 7, 1017),
        ("/v1/chat/completions", {"messages": HELLO, "min_tokens": 9}, 9, 1017),
        ("/v1/chat/completions", {"messages": HELLO, "max_tokens": 3}, 3, 3),
        ("/v1/chat/completions", {"messages": HELLO, "max_completion_tokens": -1}, 1004, 1017),
    ],
)
def test_the_length_is_the_models_too(url: str, path: str, fields: dict[str, Any], own: int, otherwise: int) -> None:
    """`min_tokens` alone raises the model's own length, which nobody asked for, instead of being refused for it."""
    for model, expected in (("tuned", own), ("plain", otherwise)):
        assert tokens(httpx.post(url + path, json=fields | {"model": model, "seed": 1})) == expected


def test_max_length_lowers_a_default_and_refuses_a_request() -> None:
    with serving(FakeEngine(profile=TUNED), max_length=5) as url:
        for path, fields in (("/", {}), ("/v1/completions", {}), ("/v1/chat/completions", {"messages": HELLO})):
            assert tokens(httpx.post(url + path, json=fields)) == 5
        refused = httpx.post(f"{url}/", json={"length": 6})
        assert refused.json()["error"]["message"] == "length is 6: expected at most 5."


def test_the_defaults_are_those_of_the_model_that_is_asked(url: str) -> None:
    """By the same seed: greedy by default is greedy, and the default model's defaults are not another model's."""
    greedy = Profile(sampling=SamplingDefaults(temperature=0))
    with serving(FakeEngine(doubt=0.9), FakeEngine(name="greedy", doubt=0.9, profile=greedy)) as address:
        texts = {
            name: httpx.get(address, params={"model": name, "length": 20, "seed": 1}).json()["text"]
            for name in ("fake", "greedy")
        }
    assert texts["greedy"] == "The quick brown fox "
    assert texts["fake"] != texts["greedy"]


def test_openais_client_leaves_out_what_is_the_models(url: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key="none")
    reply = client.chat.completions.create(model="tuned", messages=HELLO)  # type: ignore[arg-type]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 7
    assert client.models.retrieve("tuned").to_dict()["profile"]["title"] == "Tuned"  # type: ignore[index]


def test_version_and_models_tell_the_profile(url: str) -> None:
    told = httpx.get(f"{url}/version").json()["profiles"]
    assert told["tuned"] == {
        "title": "Tuned",
        "about": "It is.",
        "accent": "",
        "accent_on_dark": "",
        "template": "[USER] %\n[BOT] %",
        "tags": {"person": "[USER]", "model": "[BOT]"},
        "questions": "qa",
        "question_tags": {"person": "[QUESTION]", "model": "[ANSWER]"},
        "turns": True,
        "sampling": {
            "temperature": 0.3,
            "top_k": 9,
            "top_p": 0.8,
            "min_p": 0.1,
            "typical_p": 0.9,
            "repetition_penalty": 1.2,
            "length": 7,
        },
        "beginnings": ["Are you there?"],
        "n_ctx": 1024,
    }
    assert (told["plain"]["turns"], told["plain"]["sampling"], told["plain"]["title"]) == (False, {}, "")
    listed = httpx.get(f"{url}/v1/models").json()["data"]
    assert {model["id"]: model["profile"] for model in listed} == told


def test_beginnings_are_told_to_those_with_a_key() -> None:
    """They may be parts of a corpus that is not for everybody, and `/version` is."""
    with serving(FakeEngine(profile=TUNED), api_keys="key") as url:
        for headers, beginnings in (({}, []), ({"X-Api-Key": "no"}, []), ({"X-Api-Key": "key"}, ["Are you there?"])):
            told = httpx.get(f"{url}/version", headers=headers).json()["profiles"]["fake"]
            assert (told["title"], told["beginnings"]) == ("Tuned", beginnings)


def test_a_conversation_is_put_in_the_models_own_tags(url: str) -> None:
    spoken = {"model": "tuned", "messages": [*HELLO, {"role": "assistant", "content": "Hi."}, *HELLO]}
    reply = httpx.post(f"{url}/tokenize", json=spoken).json()
    assert bytes(reply["tokens"][1:]) == b"[USER] Hello!\n[BOT] Hi.\n[USER] Hello!\n[BOT]"


@pytest.mark.parametrize("stream", [False, True])
def test_no_tag_of_any_template_is_part_of_a_reply(stream: bool) -> None:
    """A fifth of the starter's first replies once showed [ANSWER]."""
    for tag in ("[USER]", "[BOT]", "[QUESTION]", "[ANSWER]", "[VERDICT]"):
        with serving(FakeEngine(f"Yes.\n\n {tag} No.", profile=TUNED)) as url:
            fields = {"messages": HELLO, "stream": stream, "max_tokens": 50}
            reply = httpx.post(f"{url}/v1/chat/completions", json=fields)
        assert "".join(re.findall(r'"content":"(.*?)"', reply.text)) == "Yes."


def test_the_page_has_the_models_title(url: str) -> None:
    profile = Profile(title="<b>Mine</b> & yours", about='A "line".')
    with serving(FakeEngine(profile=profile)) as address:
        mine, other = (httpx.get(each, headers={"Accept": "text/html"}) for each in (address, url))
    assert "<title>&lt;b&gt;Mine&lt;/b&gt; &amp; yours</title>" in mine.text
    assert 'content="A &quot;line&quot;."' in mine.text
    assert "<b>" not in mine.text
    assert mine.headers["etag"] != other.headers["etag"]
