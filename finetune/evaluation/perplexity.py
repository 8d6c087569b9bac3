"""How well a model predicts text: its surprise at each token of documents that are read from their beginning.

A document is read after an end of text, as it was trained on, and its own end must be predicted too. One that is longer
than the window is read in windows that overlap by half: of each but the first only the second half counts, so that no
token is predicted from less than half a window of what came before it, as when the app's window slides.
Control codes (Role.META) are read and not counted: whoever asks for a text gives them. All else counts, prompts included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.engine.tokenizer import Tokenizer
from finetune.data.prepared import Documents, Role
from finetune.evaluation.reference import Array, Read

COUNTED = (Role.TEXT, Role.PROMPT, Role.REPLY)


class Surprise(msgspec.Struct, frozen=True, kw_only=True):
    """Over `tokens` tokens of `documents` documents; `nats` per token, `by_role` likewise, control codes among them."""

    documents: int
    tokens: int
    nats: float
    perplexity: float
    bits_per_byte: float
    by_role: dict[str, float]


class Window(NamedTuple):
    """Tokens to read [n], the token that follows each, its role, and whether it counts."""

    tokens: NDArray[np.int32]
    following: NDArray[np.int32]
    roles: NDArray[np.uint8]
    counts: NDArray[np.bool_]


def measure(
    read: Read, n_ctx: int, documents: Documents, tokenizer: Tokenizer, end: int, most: int, seed: int, title: str
) -> Surprise | None:
    """The surprise at a random share of the documents, `most` tokens at the most. None where nothing can be counted."""
    chosen = list(choose(documents, most, seed))
    windows = [window for tokens, roles in chosen for window in cut(tokens, roles, end, n_ctx)]
    nats, counts, sizes = np.zeros(len(Role)), np.zeros(len(Role), np.int64), np.zeros(len(Role), np.int64)
    widths = byte_widths(tokenizer, end)
    with tqdm(total=sum(int(window.counts.sum()) for window in windows), desc=title, unit=" tokens") as progress:
        for batch in batches(windows, n_ctx):
            roles, losses, following = read_batch(read, batch)
            nats += np.bincount(roles, losses, len(Role))
            counts += np.bincount(roles, minlength=len(Role))
            sizes += np.bincount(roles, widths[following], len(Role)).astype(np.int64)
            progress.update(len(roles))
    return summarize(nats, counts, sizes, len(chosen))


def summarize(
    nats: NDArray[np.float64], counts: NDArray[np.int64], sizes: NDArray[np.int64], documents: int
) -> Surprise | None:
    counted = list(COUNTED)
    tokens, total = int(counts[counted].sum()), float(nats[counted].sum())
    if not tokens:
        return None
    return Surprise(
        documents=documents,
        tokens=tokens,
        nats=total / tokens,
        perplexity=float(np.exp(total / tokens)),
        bits_per_byte=float(total / np.log(2) / max(1, int(sizes[counted].sum()))),
        by_role={role.name.lower(): float(nats[role] / counts[role]) for role in Role if counts[role]},
    )


def choose(documents: Documents, most: int, seed: int) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint8]]]:
    """Random documents until there are enough tokens; of the last one, its beginning."""
    for index in np.random.default_rng(seed).permutation(len(documents)):
        if most <= 0:
            return
        tokens, roles = documents[int(index)]
        yield tokens[:most], roles[:most]
        most -= len(tokens)


def cut(tokens: NDArray[np.int32], roles: NDArray[np.uint8], end: int, n_ctx: int) -> Iterator[Window]:
    """The windows of one document."""
    read = np.concatenate([np.array([end], np.int32), tokens[:-1]])
    step = max(1, n_ctx // 2)
    for start in range(0, max(1, len(tokens) - n_ctx + step), step):
        here = slice(start, start + n_ctx)
        counts = np.ones(len(read[here]), np.bool_)
        counts[: n_ctx - step if start else 0] = False
        yield Window(read[here], tokens[here], roles[here], counts)


def batches(windows: Sequence[Window], positions: int) -> Iterator[list[Window]]:
    """Windows of much the same length together, as many as come to `positions` when all are as long as the longest."""
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: len(window.tokens)):
        if batch and (len(batch) + 1) * len(window.tokens) > positions:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def read_batch(read: Read, batch: Sequence[Window]) -> tuple[NDArray[np.uint8], Array, NDArray[np.int32]]:
    """For each token that counts: its role, the surprise at it, and the token."""
    rows = np.zeros((2, len(batch), len(batch[-1].tokens)), np.int32)
    roles, counts = np.zeros(rows.shape[1:], np.uint8), np.zeros(rows.shape[1:], np.bool_)
    # What follows a shorter row is seen by none of its positions.
    for row, window in enumerate(batch):
        n = len(window.tokens)
        rows[:, row, :n] = window.tokens, window.following
        roles[row, :n], counts[row, :n] = window.roles, window.counts
    tokens, following = rows
    return roles[counts], surprises(read(tokens), following)[counts], following[counts]


def surprises(logits: Array, following: NDArray[np.int32]) -> Array:
    """Nats [rows, n] at the tokens that follow. Overwrites the logits, which are the largest array of all."""
    expected = np.take_along_axis(logits, following[..., np.newaxis], axis=-1)[..., 0]
    highest = logits.max(axis=-1)
    logits -= highest[..., np.newaxis]
    np.exp(logits, out=logits)
    losses: Array = np.log(logits.sum(axis=-1)) + highest - expected
    return losses


def byte_widths(tokenizer: Tokenizer, end: int) -> NDArray[np.int64]:
    """How many bytes of text each token stands for; the end of text, none."""
    widths = np.array([len(tokenizer.bytes_of(token)) for token in range(len(tokenizer))], np.int64)
    widths[end] = 0
    return widths
