"""Ollama's client."""

from __future__ import annotations

from typing import Any

import ollama
import pytest

from app.engine.fake import SCRIPT

HELLO = [{"role": "user", "content": "Hello!"}]
NINE = {"temperature": 0, "num_predict": 9}


@pytest.fixture(scope="module")
def api(url: str) -> Any:
    return ollama.Client(host=url)


def test_models(api: Any) -> None:
    assert [model.model for model in api.list().models] == ["fake:latest", "starter:latest"]
    shown = api.show("starter")
    assert shown.modelinfo["gpt2.context_length"] == 1024
    assert shown.details.quantization_level == "Q8_0"
    assert "fake:latest" in [model.model for model in api.ps().models]


def test_generate_and_chat(api: Any) -> None:
    generated = api.generate("fake", "Why", options=NINE, keep_alive="5m")
    assert (generated.response, generated.done_reason, generated.eval_count) == (SCRIPT[:9], "length", 9)
    chatted = api.chat("starter:latest", messages=[{"role": "system", "content": "Be kind."}, *HELLO])
    assert chatted.message.content
    assert chatted.done_reason == "stop"
    again = api.chat("starter", messages=[*HELLO, chatted.message, {"role": "user", "content": "And?"}])
    assert again.prompt_eval_count > chatted.eval_count


def test_streams(api: Any) -> None:
    assert "".join(piece.response for piece in api.generate("fake", "Why", options=NINE, stream=True)) == SCRIPT[:9]
    *pieces, last = api.chat("fake", messages=HELLO, options=NINE, stream=True, logprobs=True)
    assert "".join(piece.message.content for piece in pieces) == SCRIPT[:9]
    assert last.total_duration >= last.eval_duration


def test_errors_are_the_clients_own(api: Any) -> None:
    asked: list[tuple[int, Any, Any]] = [
        (404, api.generate, {"model": "llama", "prompt": "Why"}),
        (404, api.pull, {"model": "llama"}),
        (400, api.chat, {"model": "fake", "messages": HELLO, "format": "json"}),
        (400, api.generate, {"model": "fake", "prompt": "Why", "images": [b"abc"]}),
    ]
    for status, ask, fields in asked:
        with pytest.raises(ollama.ResponseError) as refused:
            ask(**fields)
        assert refused.value.status_code == status
        assert refused.value.error.endswith(".")
