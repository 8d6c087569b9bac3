"""Hugging Face's client, which speaks to TGI."""

from __future__ import annotations

from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import ValidationError

from app.engine.fake import SCRIPT

HELLO = [{"role": "user", "content": "Hello!"}]
NINE: Any = {"max_new_tokens": 9, "return_full_text": False}


@pytest.fixture(scope="module")
def api(url: str) -> Any:
    return huggingface_hub.InferenceClient(model=url)


def test_text_generation(api: Any) -> None:
    assert api.text_generation("Why", max_new_tokens=9) == f"Why{SCRIPT[:9]}"
    assert api.text_generation("Why", **NINE) == SCRIPT[:9]
    assert "".join(api.text_generation("Why", **NINE, stream=True)) == SCRIPT[:9]


def test_details(api: Any) -> None:
    whole = api.text_generation("Why", **NINE, details=True, decoder_input_details=True, top_n_tokens=2)
    assert (whole.generated_text, whole.details.finish_reason) == (SCRIPT[:9], "length")
    assert len(whole.details.prefill) == 3
    assert len(whole.details.tokens) == len(whole.details.top_tokens) == 9
    *pieces, last = api.text_generation("Why", **NINE, details=True, stream=True, stop=["ui"])
    assert last.generated_text == "".join(piece.token.text for piece in [*pieces, last]) == "The qui"
    assert last.details.finish_reason == "stop_sequence"


def test_chat_needs_no_models_name(api: Any, url: str) -> None:
    same: Any = {"messages": HELLO, "max_tokens": 9, "temperature": 0}
    assert api.chat_completion(**same).choices[0].message.content == SCRIPT[:9]
    streamed = api.chat_completion(**same, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == SCRIPT[:9]
    named = huggingface_hub.InferenceClient(base_url=f"{url}/v1").chat_completion(model="starter", **same)
    assert named.model == "starter"


def test_what_is_refused_is_a_validation_error(api: Any) -> None:
    for wrong in ({"watermark": True}, {"grammar": {"type": "regex", "value": "a"}}, {"max_new_tokens": 10**6}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            api.text_generation("Why", **wrong)
