"""Perplexity: how well a model predicts documents, each read from its beginning.

A document is read after an end of text, as in training, and its own end is predicted too. A document longer than the window
is read in windows that overlap by half. Only the second half of each later window counts, so that every token but the first
ones is predicted from at least half a window of context, as when the app's window slides.

Control codes (Role.META) are read but not counted: the person who asks for a text gives them. All other tokens count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.tensorflow import TensorflowEngine
from app.engine.tokenizer import Tokenizer
from app.errors import CheckpointError
from finetune.data.document_sample import sample_documents
from finetune.data.prepared import Documents, Role
from finetune.progress_bar import progress_bar
from finetune.training.divergence import HIGHEST_LOSS

COUNTED_ROLES = [Role.TEXT, Role.PROMPT, Role.REPLY]
Tokens = NDArray[np.int64]
Floats = NDArray[np.float32]


class Perplexity(msgspec.Struct, frozen=True, kw_only=True):
    """Over `tokens` tokens of `documents` documents. `nats` and `by_role` are mean losses per token in nats.

    `by_role` also has the control codes.
    """

    documents: int
    tokens: int
    nats: float
    perplexity: float
    bits_per_byte: float
    by_role: dict[str, float]


class Window(NamedTuple):
    """Tokens to read [n], the token that follows each, its role, and whether it counts."""

    tokens: Tokens
    following: NDArray[np.int32]
    roles: NDArray[np.uint8]
    counted: NDArray[np.bool_]


def measure_perplexity(
    engine: TensorflowEngine,
    documents: Documents,
    end: int,
    most: int,
    seed: int,
    title: str,
    seen: Callable[[NDArray[np.int32], Floats], None] = lambda *_: None,
) -> Perplexity | None:
    """The perplexity of a random sample of the documents, `most` tokens at most. None if there is nothing to count.

    `seen` is called with the counted tokens of each window and their losses, both [n].
    """
    sample = sample_documents(documents, most, seed)
    windows = [window for index in range(len(sample)) for window in windows_of(*sample[index], end, engine.n_ctx)]
    nats, counts, sizes = np.zeros((3, len(Role)))
    widths = byte_widths(engine.tokenizer, end)
    with progress_bar(title, sum(int(window.counted.sum()) for window in windows), " tokens") as progress:
        for window in windows:
            losses = token_losses(engine.all_logits(window.tokens), window.following)[window.counted]
            roles, following = window.roles[window.counted], window.following[window.counted]
            seen(following, losses)
            nats += np.bincount(roles, losses, len(Role))
            counts += np.bincount(roles, minlength=len(Role))
            sizes += np.bincount(roles, widths[following], len(Role))
            progress.update(len(roles))
    return summarize(nats, counts, sizes, len(sample))


def summarize(
    nats: NDArray[np.float64], counts: NDArray[np.float64], sizes: NDArray[np.float64], documents: int
) -> Perplexity | None:
    """Take the means of sums by role: nats, tokens and bytes. Raises CheckpointError where training has failed."""
    tokens, total = int(counts[COUNTED_ROLES].sum()), float(nats[COUNTED_ROLES].sum())
    if not tokens:
        return None
    if not total / tokens < HIGHEST_LOSS:
        problem = f"the model's loss is {total / tokens:,.0f} nats per token, so its training has failed"
        raise CheckpointError(problem, "evaluate an earlier save, or train again with a lower --learning-rate")
    return Perplexity(
        documents=documents,
        tokens=tokens,
        nats=total / tokens,
        perplexity=float(np.exp(total / tokens)),
        bits_per_byte=float(total / np.log(2) / max(1, int(sizes[COUNTED_ROLES].sum()))),
        by_role={role.name.lower(): float(nats[role] / counts[role]) for role in Role if counts[role]},
    )


def windows_of(tokens: NDArray[np.int32], roles: NDArray[np.uint8], end: int, n_ctx: int) -> Iterator[Window]:
    """The windows of one document."""
    read = np.concatenate([np.array([end], np.int64), tokens[:-1]])
    step = max(1, n_ctx // 2)
    for start in range(0, max(1, len(tokens) - n_ctx + step), step):
        here = slice(start, start + n_ctx)
        counted = np.ones(len(read[here]), np.bool_)
        counted[: n_ctx - step if start else 0] = False
        yield Window(read[here], tokens[here], roles[here], counted)


def token_losses(logits: Floats, following: NDArray[np.int32]) -> Floats:
    """The loss in nats at each token that follows, [n]. Overwrites the logits [n, n_vocab], the largest array of all."""
    expected = np.take_along_axis(logits, following[:, np.newaxis], axis=-1)[:, 0]
    highest = logits.max(axis=-1)
    logits -= highest[:, np.newaxis]
    np.exp(logits, out=logits)
    losses: Floats = np.log(logits.sum(axis=-1)) + highest - expected
    return losses


def byte_widths(tokenizer: Tokenizer, end: int) -> NDArray[np.int64]:
    """How many bytes of text each token stands for; the end of text stands for none."""
    widths = np.array([len(tokenizer.bytes_of(token)) for token in range(len(tokenizer))], np.int64)
    widths[end] = 0
    return widths
