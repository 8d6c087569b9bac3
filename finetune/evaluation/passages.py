"""The texts that are measured: what the model writes, and human texts to compare it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from finetune.data.prepared import Data, Documents
from finetune.progress_bar import progress_bar
from finetune.sampled_texts import sample_texts


@dataclass(frozen=True)
class Passage:
    """A text as tokens [n] without its end of text. `ended`: whether it ended by itself or was cut at the length asked for."""

    tokens: NDArray[np.int32]
    ended: bool


def model_passages(engine: Engine, prefix: str, count: int, options: GenerationOptions, title: str) -> list[Passage]:
    """What the model writes after the prefix.

    Its texts are encoded again, since a model can spell a text in other tokens than the training text does.
    """
    with progress_bar(title, count, " texts") as progress:
        texts = list(sample_texts(engine, prefix, count, options, written=progress.update))
    return [Passage(np.array(engine.tokenizer.encode(text.text), np.int32), text.ended) for text in texts]


def human_passages(data: Data, count: int, length: int, seed: int) -> list[Passage]:
    """Random validation documents up to their first end of text, cut to the length that the model was given."""
    chosen = np.random.default_rng(seed).permutation(len(data.validation))[:count]
    return [first_passage(data.validation, int(index), data.description.end_of_text, length) for index in chosen]


def first_passage(documents: Documents, index: int, end: int, length: int) -> Passage:
    """A document up to its first end of text, at most `length` tokens."""
    tokens, _ = documents[index]
    size = int(np.argmax(tokens == end)) if (tokens == end).any() else len(tokens)
    return Passage(tokens[: min(size, length)], ended=size < length)


def mean(values: Sequence[float]) -> float:
    """The mean, or 0 if there are no values."""
    return float(np.mean(values)) if values else 0.0
