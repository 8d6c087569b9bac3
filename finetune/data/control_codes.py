"""Control codes: a document of tokens as it is without its code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.engine.tokenizer import Tokenizer
from finetune.data.prepared import Role

Tokens = NDArray[np.int32]
Roles = NDArray[np.uint8]


def without_code(tokens: Tokens, roles: Roles, tokenizer: Tokenizer | None) -> tuple[Tokens, Roles]:
    """A document's tokens [n] and roles [n] without its control code and without the space that follows a code.

    GPT-2 has other tokens for a word with a space in front, so the first part is tokenized again. Without a tokenizer only the
    code is removed.
    """
    code = int(np.argmax(roles != Role.META))
    tokens, roles = tokens[code:], roles[code:]
    if not code or tokenizer is None:
        return tokens, roles
    first = int((roles == roles[0]).sum())
    text = first - int(tokens[first - 1] == tokenizer.end_of_text)
    bare = tokenizer.encode(tokenizer.decode(tokens[:text].tolist()).removeprefix(" "))
    return (
        np.concatenate([np.array(bare, tokens.dtype), tokens[text:]]),
        np.concatenate([np.full(len(bare), roles[0]), roles[text:]]),
    )
