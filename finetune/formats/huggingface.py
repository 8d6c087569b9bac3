"""File and tensor names of a GPT-2 in a folder of Hugging Face's transformers.

    config.json                                 the shape
    model.safetensors                           the weights; several files and an index where they are large
    tokenizer.json, or vocab.json + merges.txt  the vocabulary

Matrices are [inputs, outputs], as in gpt-2-simple, but without its leading dimension of 1.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import msgspec

from app.engine.json_text import decode_json
from app.engine.vocabulary_files import read_text
from app.errors import CheckpointError

T = TypeVar("T")
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
CHAT_TEMPLATE = "chat_template.jinja"
VOCABULARY, MERGES, ADDED_TOKENS = "vocab.json", "merges.txt", "added_tokens.json"


def tensor_name(variable: str) -> str:
    """The name in transformers of one of gpt-2-simple's variables: h0/ln_1/g is transformer.h.0.ln_1.weight."""
    *path, last = re.sub(r"^h(\d+)/", r"h/\1/", variable).split("/")
    parts = {"g": [*path, "weight"], "w": [*path, "weight"], "b": [*path, "bias"]}.get(last, [last, "weight"])
    return ".".join(["transformer", *parts])


def read_json(path: Path, kind: type[T], what: str) -> T:
    """Read a file that should be `what`. Raises CheckpointError naming it."""
    text = read_text(path)
    try:
        return decode_json(text, kind)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is not {what} ({error}): name a Hugging Face folder of a GPT-2.") from None
