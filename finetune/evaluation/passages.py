"""The texts that are measured: what the model writes, and human texts to compare it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import EndMarker
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.generation import GenerationOptions
from finetune.data.prepared import Data, Documents
from finetune.export.checkpoint_engine import checkpoint_engine
from finetune.export.quantization import Bits
from finetune.progress_bar import progress_bar
from finetune.sampled_texts import sample_texts


@dataclass(frozen=True)
class Passage:
    """A text as tokens [n] without its end of text. `ended`: whether it ended by itself or was cut at the length asked for."""

    tokens: NDArray[np.int32]
    ended: bool


def model_passages(
    source: CheckpointFolder, bits: Bits, end: EndMarker, prefix: str, count: int, options: GenerationOptions
) -> list[Passage]:
    """What the model writes after the prefix.

    Its texts are encoded again, since a model can spell a text in other tokens than the training text does.
    """
    passages = []
    with checkpoint_engine(source, bits, end) as engine, progress_bar("write", count, " texts") as progress:
        for sampled in sample_texts(engine, prefix, count, options):
            passages.append(Passage(np.array(source.tokenizer.encode(sampled.text), np.int32), sampled.ended))
            progress.update()
    return passages


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
