"""Requests that are dear within all limits: by what the engine reads and writes for them, or by their size for the event loop."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A POST, and the status of its answer."""

    path: str
    body: bytes
    status: int = 200


def asked(path: str, fields: dict[str, Any], status: int = 200) -> Asked:
    return Asked(path, json.dumps(fields, separators=(",", ":")).encode(), status)


def prompts(count: int, tokens: int) -> list[list[int]]:
    """Prompts that have nothing in common."""
    return [[7 + number] + [9] * (tokens - 1) for number in range(count)]


MORE = {"max_tokens": 4096, "ignore_eos": True}
HISTORY = [{"role": ("user", "assistant")[number % 2], "content": "So it goes, my friend."} for number in range(2047)]
DEAR = {
    "110 prompts of 700 tokens": asked("/v1/completions", {"prompt": prompts(110, 700), "max_tokens": 1}),
    "90 prompts x 1,024 tokens, scored": asked(
        "/v1/completions", {"prompt": prompts(90, 20), "max_tokens": 1024, "echo": True, "logprobs": 0}
    ),
    "echo of 90 prompts, scored": asked(
        "/v1/completions", {"prompt": prompts(90, 1000), "max_tokens": 0, "echo": True, "logprobs": 0}
    ),
    "128 prompts x 4,096 tokens": asked("/v1/completions", {"prompt": prompts(128, 1), **MORE}),
    "n=128": asked("/v1/completions", {"prompt": "Why", "n": 128, "max_tokens": 180, "ignore_eos": True}),
    "best of 20 for 6 prompts": asked(
        "/v1/completions", {"prompt": prompts(6, 600), "best_of": 20, "max_tokens": 800, "ignore_eos": True}
    ),
    "a chat of 2,047 turns": asked("/v1/chat/completions", {"messages": HISTORY, "n": 20, **MORE}),
    "TGI, best of 20": asked(
        "/generate", {"inputs": "Why", "parameters": {"max_new_tokens": 4096, "best_of": 20, "do_sample": True}}
    ),
    "llama.cpp, 100 prompts": asked("/completion", {"prompt": ["Why"] * 100, "n_predict": 4096, "ignore_eos": True}),
    "Ollama": asked("/api/generate", {"model": "starter", "prompt": "Why", "options": {"num_predict": 4096}}),
    "Responses": asked("/v1/responses", {"input": "Why", "max_output_tokens": 4096}),
    "20 texts of the page": asked("/generate", {"prefix": "Why", "nsamples": 20, "length": 4096}),
}

LONG = ("The quick brown fox jumps over the lazy dog, and says hello. " * 5000)[:250_000]
TURN = [{"role": "user", "content": LONG}]
LARGE = {
    "/tokenize": asked("/tokenize", {"prompt": LONG, "return_token_strs": True, "return_text_offsets": True}),
    "/tokenize of a chat": asked("/tokenize", {"messages": [{"role": "user", "content": "Hello, you."}] * 2048}),
    "/detokenize": Asked("/detokenize", b'{"tokens":[' + b",".join([b"9"] * 120_000) + b"]}"),
    "a prefix": asked("/generate", {"prefix": LONG}, 400),
    "a prefix of blanks": asked("/generate", {"prefix": " " * 250_000}, 400),
    "a message": asked("/v1/chat/completions", {"messages": TURN}, 400),
    "a message of many parts": asked(
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a b"}] * 7000}]},
        400,
    ),
    "a message that is cut": asked(
        "/v1/chat/completions", {"messages": TURN, "truncate_prompt_tokens": 9, "max_tokens": 1}
    ),
    "a long chat": asked("/v1/chat/completions", {"messages": HISTORY, "max_tokens": 1}),
    "TGI's inputs": asked("/generate", {"inputs": LONG}, 422),
    "TGI's inputs that are cut": asked(
        "/generate", {"inputs": LONG, "parameters": {"truncate": 9, "max_new_tokens": 1}}
    ),
    "Ollama's prompt": asked(
        "/api/generate", {"model": "starter", "prompt": LONG, "stream": False, "options": {"num_predict": 1}}
    ),
    "Ollama's message": asked("/api/chat", {"model": "starter", "messages": TURN, "truncate": False}, 400),
    "llama.cpp's prompt": asked("/completion", {"prompt": LONG}, 400),
    "llama.cpp's prompt of pieces": asked("/completion", {"prompt": [["ab cd " * 3, 1] * 9000]}, 400),
    "llama.cpp's bias": asked("/completion", {"prompt": "Why", "n_predict": 1, "logit_bias": [[LONG[:200_000], 1]]}),
    "the input of Responses": asked("/v1/responses", {"input": LONG, "truncation": "disabled"}, 400),
    "128 prompts": asked("/v1/completions", {"prompt": [LONG[:1900]] * 128, "max_tokens": 0, "echo": True}),
    "token ids": Asked("/v1/completions", b'{"prompt":[' + b",".join([b"9"] * 120_000) + b"]}", 400),
    "stop strings": asked("/v1/completions", {"prompt": "Why", "stop": ["a" * 60_000] * 4}, 400),
    "a bias": asked("/v1/completions", {"prompt": "Why", "logit_bias": {str(i): 1 for i in range(20_000)}}, 400),
    "lists in lists": Asked("/generate", b'{"prefix":' + b"[" * 900 + b"]" * 900 + b"}", 400),
    "many lists": Asked("/v1/completions", b'{"prompt":[' + b",".join([b"[1]"] * 60_000) + b"]}", 400),
    "many lists in lists": Asked("/v1/completions", b'{"prompt":[' + b",".join([b"[[[[]]]]"] * 20_000) + b"]}", 400),
    "many fields": Asked("/generate", b"{" + b",".join(b'"a%d":1' % number for number in range(22_000)) + b"}", 400),
}
REPLIES = {
    "scores of 20 prompts": asked(
        "/v1/completions", {"prompt": prompts(20, 600), "max_tokens": 0, "echo": True, "logprobs": 5}
    ),
    "scores of 19 texts": asked(
        "/v1/completions", {"prompt": "Why", "n": 19, "max_tokens": 870, "logprobs": 5, "ignore_eos": True}
    ),
    "scores in a stream": asked(
        "/completion", {"prompt": "Why", "n_predict": 4000, "stream": True, "n_probs": 20, "ignore_eos": True}
    ),
    "scores in a stream of Responses": asked(
        "/v1/responses",
        {
            "input": "Why",
            "max_output_tokens": 4096,
            "stream": True,
            "include": ["message.output_text.logprobs"],
            "top_logprobs": 20,
        },
    ),
}
ENDLESS = {"stream": True, **MORE}
STREAMS = {
    "completions": (
        asked("/v1/completions", {"prompt": prompts(64, 1), **ENDLESS}),
        "data: [DONE]",
    ),
    "chat": (
        asked("/v1/chat/completions", {"messages": [{"role": "user", "content": "Why?"}], "n": 20, **ENDLESS}),
        "data: [DONE]",
    ),
    "Responses": (
        asked("/v1/responses", {"input": "Why?", "max_output_tokens": 4096, "stream": True}),
        '"type":"response.',
    ),
    "TGI": (
        asked("/generate_stream", {"inputs": "Why", "parameters": {"max_new_tokens": 4096}}),
        '"generated_text":"',
    ),
    "Ollama": (
        asked("/api/generate", {"model": "starter", "prompt": "Why", "options": {"num_predict": 4096}}),
        '"done":true',
    ),
    "llama.cpp": (
        asked("/completion", {"prompt": "Why", "n_predict": 4096, "ignore_eos": True, "stream": True}),
        '"stop":true',
    ),
    "the page": (asked("/generate", {"prefix": "Why", "nsamples": 9, "length": 4096, "stream": True}), "data: [DONE]"),
}
"""Endless streams, and what the last line of each has at its end."""
