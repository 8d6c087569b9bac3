"""The longest copies as examples, each beside the training document that it is from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.tokenizer import Tokenizer
from finetune.data.prepared import Documents
from finetune.evaluation.copying import Matches, runs_within
from finetune.evaluation.passages import Passage

EXAMPLES = 10
CONTEXT = 40
"""Tokens of the training document to show on each side of a copy."""
TokenIds = NDArray[Any]
Decode = Callable[[TokenIds], str]


class CopiedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A copied run of tokens, the model's text around it, and the training document around it.

    `document` counts from 0; `words` are words of `run`.
    """

    tokens: int
    words: int
    document: int
    run: str
    before: str
    after: str
    source_before: str
    source_after: str


def decoder(tokenizer: Tokenizer, end: int) -> Decode:
    """A function that turns tokens into text and leaves ends of text out."""
    return lambda tokens: tokenizer.decode(int(token) for token in tokens if token != end)


def longest_copies(
    passages: Sequence[Passage], matches: Sequence[Matches], train: Documents, decode: Decode, n: int
) -> list[CopiedRun]:
    """The longest copies of at least n tokens, one of each text, each run once."""
    found: dict[bytes, CopiedRun] = {}
    runs = [runs_within(passage, match) for passage, match in zip(passages, matches, strict=True)]
    for index in sorted(range(len(passages)), key=lambda index: -int(runs[index].max(initial=0))):
        size = int(runs[index].max(initial=0))
        if size < n or len(found) == EXAMPLES:
            break
        start, tokens = int(runs[index].argmax()), passages[index].tokens
        run = tokens[start : start + size].tobytes()
        if run not in found:
            # Position 0 of the matches is the end of text before the passage.
            place = int(matches[index].places[start + 1])
            found[run] = copied_run(train, decode, tokens, slice(start, start + size), place)
    return list(found.values())


def copied_run(train: Documents, decode: Decode, tokens: TokenIds, run: slice, place: int) -> CopiedRun:
    """The run of `tokens` that also begins at `place` of the training tokens."""
    document = int(np.searchsorted(train.ends, place, side="right"))
    first, last = train.span(document)
    after = place + run.stop - run.start
    start, stop = max(first, place - CONTEXT), min(last, after + CONTEXT)
    copied = decode(tokens[run])
    return CopiedRun(
        tokens=after - place,
        words=len(copied.split()),
        document=document,
        run=copied,
        before=decode(tokens[: run.start]),
        after=decode(tokens[run.stop :]),
        source_before="…" * (start > first) + decode(train.tokens[start:place]),
        source_after=decode(train.tokens[after:stop]) + "…" * (stop < last),
    )
