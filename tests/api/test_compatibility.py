"""What other programs send along is honoured, changes nothing, or is refused by name."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types import completion_create_params as of_completions
from openai.types.chat import completion_create_params as of_chat

from app.engine.fake import FakeEngine
from tests.api.error_checks import assert_error
from tests.conftest import events, serving

COMPLETIONS, CHAT, PLAIN, FEEDBACK = "/v1/completions", "/v1/chat/completions", "/", "/feedback"
HELLO: dict[str, Any] = {"role": "user", "content": "Hello!"}
ASKED: dict[str, dict[str, Any]] = {
    COMPLETIONS: {"prompt": "Why", "seed": 5, "max_tokens": 30},
    CHAT: {"messages": [HELLO], "seed": 5, "max_tokens": 30},
    PLAIN: {"prefix": "Why", "seed": 5, "length": 30},
    "/tokenize": {"prompt": "Why"},
    FEEDBACK: {"vote": "up", "text": "Why"},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    votes = tmp_path_factory.mktemp("votes") / "votes.db"
    with serving(FakeEngine(doubt=0.3, template="chat"), feedback=f"sqlite:///{votes}") as address:
        yield address


@pytest.fixture(scope="module")
def plain(url: str) -> dict[str, Any]:
    """The answer of each route to what is asked, without more."""
    return {path: answer(url, path, {}) for path in ASKED}


def answer(url: str, path: str, more: dict[str, Any]) -> dict[str, Any]:
    reply = httpx.post(url + path, json=ASKED[path] | more)
    assert reply.status_code == 200, (more, reply.text)
    return {name: value for name, value in reply.json().items() if name not in ("id", "created")}


def fields_of(parameters: type) -> set[str]:
    return set(typing.get_type_hints(parameters)) - {"messages", "seed", "max_tokens"}


CHAT_FIELDS = fields_of(of_chat.CompletionCreateParamsBase)
COMPLETION_FIELDS = fields_of(of_completions.CompletionCreateParamsBase)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *((CHAT, field) for field in sorted(CHAT_FIELDS)),
        *((COMPLETIONS, field) for field in sorted(COMPLETION_FIELDS - {"prompt"})),
        *((PLAIN, field) for field in ("stop", "truncate", "model", "top_k", "stream", "reasoning_effort")),
        *((FEEDBACK, field) for field in ("prefix", "voter", "model", "score")),
        *(("/tokenize", field) for field in ("messages", "return_token_strs", "nothing")),
    ],
)
def test_null_is_absent(url: str, plain: dict[str, Any], path: str, field: str) -> None:
    """Seen: `reasoning_effort: null`, which OpenAI's schema allows, was a 400, and so was null for a field nobody knows."""
    assert answer(url, path, {field: None}) == plain[path]


def test_nulls_change_nothing_all_at_once(url: str, plain: dict[str, Any]) -> None:
    """Programs that write each field of their type send this."""
    nothing = dict.fromkeys(CHAT_FIELDS | {"anything"})
    nested: dict[str, Any] = {
        "messages": [HELLO | {"name": None, "content": [{"type": "text", "text": "Hello!", "cache_control": None}]}],
        "response_format": {"type": "text", "json_schema": None},
        "stream_options": {"include_usage": None, "include_obfuscation": None, "anything": None},
        "logit_bias": {"5": None},
    }
    assert answer(url, CHAT, nothing | nested) == plain[CHAT]


@pytest.mark.parametrize(
    "options", [None, {}, {"include_usage": None}, {"include_usage": False, "include_obfuscation": None}]
)
def test_a_stream_with_options_that_ask_for_nothing(url: str, options: dict[str, Any] | None) -> None:
    def pieces(more: dict[str, Any]) -> list[Any]:
        reply = httpx.post(url + CHAT, json=ASKED[CHAT] | {"stream": True} | more)
        return [json.loads(event)["choices"] for event in events(reply.text)[:-1]]

    assert pieces({"stream_options": options}) == pieces({})


HINTS: list[dict[str, Any]] = [
    {"user": "ann"}, {"metadata": {"a": "b"}}, {"store": True}, {"store": False}, {"service_tier": "flex"},
    {"safety_identifier": "a"}, {"prompt_cache_key": "a"}, {"prompt_cache_retention": "24h"},
    {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}}, {"cache_prompt": True}, {"cache_prompt": False},
    {"cache_control": {"type": "ephemeral"}}, {"keep_alive": "5m"}, {"keep_alive": -1}, {"n": 1}, {"n": 1.0}, {"logit_bias": {}},
    {"stop": []}, {"stop": ""}, {"stream": False},
    {"stream_options": {}}, {"stream_options": {"include_usage": False}}, {"temperature": 1}, {"top_p": 1},
    {"presence_penalty": 0}, {"frequency_penalty": 0.0}, {"top_k": 0}, {"top_k": -1}, {"min_p": 0}, {"typical_p": 1},
    {"repetition_penalty": 1}, {"repeat_penalty": 1.0, "repeat_last_n": 64}, {"min_tokens": 0}, {"ignore_eos": False},
    {"stop_token_ids": []}, {"include_stop_str_in_output": False}, {"skip_special_tokens": True}, {"tools": []},
    {"tools": [], "tool_choice": "none"}, {"tool_choice": "auto"}, {"parallel_tool_calls": True}, {"functions": []},
    {"function_call": "none"}, {"modalities": ["text"]}, {"response_format": {"type": "text"}}, {"verbosity": "medium"},
    {"reasoning_effort": "none"}, {"chat_template_kwargs": {}}, {"options": {}}, {"best_of": 1}, {"echo": False},
    {"use_beam_search": False, "length_penalty": 1.0, "early_stopping": False}, {"grammar": ""}, {"lora": []},
]  # fmt: skip
CHAT_HINTS: list[dict[str, Any]] = [
    {"logprobs": False}, {"logprobs": False, "top_logprobs": 0}, {"add_generation_prompt": True},
    {"continue_final_message": False}, {"add_special_tokens": False}, {"documents": []}, {"include_reasoning": True},
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "hint"),
    [*((path, hint) for path in (COMPLETIONS, CHAT) for hint in HINTS), *((CHAT, hint) for hint in CHAT_HINTS)],
    ids=str,
)
def test_a_hint_changes_nothing(url: str, plain: dict[str, Any], path: str, hint: dict[str, Any]) -> None:
    assert answer(url, path, hint) == plain[path]


# What each program sends beside the conversation when its user changes nothing.
PROGRAMS: dict[str, dict[str, Any]] = {
    "llama.cpp's page": {
        "cache_prompt": True, "reasoning_format": "none", "samplers": "", "dynatemp_range": 0, "dynatemp_exponent": 1,
        "typical_p": 1, "xtc_probability": 0, "xtc_threshold": 0.1, "repeat_last_n": 64, "repeat_penalty": 1,
        "presence_penalty": 0, "frequency_penalty": 0, "dry_multiplier": 0, "dry_base": 1.75, "dry_allowed_length": 2,
        "dry_penalty_last_n": -1, "timings_per_token": False, "post_sampling_probs": False, "n_probs": 0, "min_keep": 0,
        "mirostat": 0, "mirostat_tau": 5, "mirostat_eta": 0.1, "grammar": "", "id_slot": -1,
    },
    "vLLM's client": {
        "best_of": 1, "use_beam_search": False, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "length_penalty": 1.0,
        "stop_token_ids": [], "include_stop_str_in_output": False, "ignore_eos": False, "min_tokens": 0,
        "skip_special_tokens": True, "spaces_between_special_tokens": True, "truncate_prompt_tokens": None,
        "prompt_logprobs": None, "echo": False, "add_generation_prompt": True, "continue_final_message": False,
        "add_special_tokens": False, "documents": None, "chat_template": None, "chat_template_kwargs": {},
        "guided_json": None, "priority": 0, "request_id": "a", "return_tokens_as_token_ids": False,
    },
    "LangChain": {"model": "fake", "n": 1, "stream": False, "parallel_tool_calls": True, "stop": None, "logprobs": False},
    "Vercel's AI SDK": {"model": "fake", "response_format": {"type": "text"}, "tools": [], "tool_choice": "auto"},
    "SillyTavern": {
        "model": "fake", "presence_penalty": 0, "frequency_penalty": 0, "top_p": 1, "logit_bias": {}, "stop": [],
        "top_a": 0, "tfs": 1, "mirostat_mode": 0, "guidance_scale": 1, "negative_prompt": "", "grammar_string": "",
        "custom_token_bans": "", "banned_strings": [], "epsilon_cutoff": 0, "eta_cutoff": 0, "smoothing_factor": 0,
        "smoothing_curve": 1, "ban_eos_token": False, "dry_sequence_breakers": ["\n"], "do_sample": True,
    },
    "Open WebUI": {"model": "fake", "stream": False, "max_tokens": 30, "options": {}, "keep_alive": "5m", "tools": None},
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_works_with_what_it_sends(url: str, plain: dict[str, Any], program: str) -> None:
    assert answer(url, CHAT, PROGRAMS[program]) == plain[CHAT]


REPLAYED: list[dict[str, Any]] = [
    {"refusal": None, "annotations": None, "audio": None, "function_call": None, "tool_calls": None},
    {"refusal": None, "annotations": [], "tool_calls": [], "reasoning_content": None, "reasoning": None},
    {"reasoning_content": "", "images": [], "thinking_blocks": None, "provider_specific_fields": {"refusal": None}},
    {"name": None, "cache_control": {"type": "ephemeral"}},
    {"content": [{"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral"}}]},
]


@pytest.mark.parametrize("more", REPLAYED, ids=str)
def test_a_turn_may_come_back_with_empty_fields(url: str, more: dict[str, Any]) -> None:
    turns: list[dict[str, Any]] = [HELLO, {"role": "assistant", "content": "Hi."}, HELLO]
    replayed = [HELLO, turns[1] | more, HELLO]
    assert answer(url, CHAT, {"messages": replayed}) == answer(url, CHAT, {"messages": turns})


def test_the_clients_own_message_can_be_sent_back(url: str) -> None:
    """All its fields are written by `model_dump`, the empty ones as null."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as api:
        ask: dict[str, Any] = {"model": "fake", "max_tokens": 9, "seed": 1}
        first = api.chat.completions.create(messages=[HELLO], **ask).choices[0].message  # type: ignore[list-item]
        dumped = [HELLO, first.model_dump(), HELLO]
        short: Any = [HELLO, {"role": "assistant", "content": first.content}, HELLO]
        again = [api.chat.completions.create(messages=turns, **ask) for turns in (dumped, short)]  # type: ignore[arg-type]
    assert again[0].choices == again[1].choices
    assert again[0].usage == again[1].usage


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (COMPLETIONS, '"max_tokens": 3e1'),
        (COMPLETIONS, '"max_tokens": 30.0, "n": 1.0, "best_of": 1E0, "top_k": 0.0, "seed": 5.0, "min_tokens": -0.0'),
        (COMPLETIONS, '"logprobs": null, "truncate_prompt_tokens": -1.0, "stop_token_ids": []'),
        (CHAT, '"max_tokens": 30.0, "top_logprobs": 0.0, "seed": 0.5e1'),
        (PLAIN, '"length": 30.0, "nsamples": 1e0, "top_k": 0.0, "seed": 5.0'),
    ],
)
def test_an_integer_may_have_a_point(url: str, plain: dict[str, Any], path: str, fields: str) -> None:
    """JSON has one kind of numbers. Some languages write each of them with a point."""
    asked = json.dumps(ASKED[path])[:-1].replace(', "seed": 5', "")
    for name in ("max_tokens", "length"):
        asked = asked.replace(f', "{name}": 30', "") if name in fields else asked
    seed = "" if '"seed"' in fields else ', "seed": 5'
    reply = httpx.post(url + path, content=f"{asked}{seed}, {fields}}}").json()
    assert {name: value for name, value in reply.items() if name not in ("id", "created")} == plain[path]


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"max_tokens": 16.5}, "max_tokens", "16.5"),
        ({"max_tokens": True}, "max_tokens", "true"),
        ({"max_tokens": "16"}, "max_tokens", '"16"'),
        ({"n": True}, "n", "true"),
        ({"store": 1}, "store", "1"),
        ({"repeat_penalty": 1.1}, "repeat_penalty", "repeat_penalty is 1.1: expected 1."),
        ({"mirostat": 2}, "mirostat", "mirostat is 2: expected 0."),
        ({"priority": -5}, "priority", "priority is -5: expected 0."),
        ({"use_beam_search": True}, "use_beam_search", "use_beam_search is true: expected false."),
        ({"grammar": "root ::= x"}, "grammar", "this is not supported, leave it out."),
        ({"reasoning_effort": "high"}, "reasoning_effort", 'reasoning_effort is "high": expected "none".'),
        ({"verbosity": "low"}, "verbosity", 'expected "medium".'),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "chat_template_kwargs", "leave it out"),
        ({"options": {"num_ctx": 5}}, "options", "leave it out"),
        ({"tool_choice": {"type": "function"}}, "tool_choice", 'expected "none" or "auto".'),
        ({"audio": {"voice": "a"}}, "audio", "this is not supported, leave it out"),
        ({"web_search_options": {}}, "web_search_options", "this is not supported, leave it out"),
        ({"logprobs": False, "top_logprobs": 2}, "top_logprobs", "needs logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "only for streams"),
        ({"messages": [None]}, "messages", "messages[0] is null"),
        ({"stop": [None]}, "stop", "stop[0] is null"),
        ({"messages": [HELLO, {"role": "assistant", "content": "", "tool_calls": [{}]}, HELLO]}, "messages",
         "messages[1].tool_calls is [{}]: this is not supported, leave it out."),
        ({"messages": [HELLO | {"reasoning_content": "So."}]}, "messages", "messages[0].reasoning_content"),
        ({"messages": [HELLO | {"content": [{"type": "text", "text": "a", "b": 1}]}]}, "messages", "messages[0].content[0]"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(url: str, fields: dict[str, Any], param: str, says: str) -> None:
    error = assert_error(httpx.post(url + CHAT, json=ASKED[CHAT] | fields), 400, param)
    assert says in str(error["message"])


@pytest.mark.parametrize("content", [r'{"\ud83d": 1}', r'{"\ud83d": 1, "\ud83d": 2}', r'{"messages": [{"\ud83d": 1}]}'])
@pytest.mark.parametrize("path", ASKED)
def test_half_a_character_in_a_fields_name(url: str, path: str, content: str) -> None:
    """Seen: a 500, since the error that names the field could not be written as UTF-8."""
    assert_error(httpx.post(url + path, content=content), 400, None)
