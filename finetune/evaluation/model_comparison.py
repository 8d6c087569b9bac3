"""Two models beside each other: their losses on the same held-out text, what they write from the same seeds, speed and size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.generation import GenerationOptions
from app.engine.onnx import OnnxEngine
from finetune.checkpoint import count_parameters
from finetune.data.document_sample import sample_documents
from finetune.data.prepared import Data
from finetune.evaluation.copying import COPY, copy_rates, longest_matches
from finetune.evaluation.passages import Passage, first_passage
from finetune.evaluation.text_losses import text_losses
from finetune.evaluation.variety import distinct_share, mean_repetition
from finetune.progress_bar import progress_bar
from finetune.sampled_texts import sample_texts

FORMAT = 1
RESAMPLES = 2000


class ComparedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a model. `bits_per_byte`: its loss on the held-out text; `size`: bytes of its weights as served.

    `tokens_per_second`: while it writes one text on this machine. The shares lie between 0 and 1.
    """

    title: str
    path: str
    parameters: int
    size: int
    bits_per_byte: float
    tokens_per_second: float
    mean_length: float
    distinct: float
    repetition: float
    copied: float | None
    samples: list[str]


class ModelComparison(msgspec.Struct, frozen=True, kw_only=True):
    """`difference`: how much lower the loss of the second is, in bits per byte, with its 95 % interval if there is one."""

    format: int
    models: tuple[ComparedModel, ComparedModel]
    documents: int
    bytes: int
    difference: float
    low: float | None
    high: float | None
    settings: dict[str, str | int | float]
    notes: list[str]

    @property
    def verdict(self) -> str:
        one, other = (model.title for model in self.models)
        if self.low is None or self.high is None:
            return "There are too few held-out documents to tell whether the two differ."
        if self.low <= 0 <= self.high:
            return (
                f"No difference can be told between {one} and {other}: {self.difference:+.3f} bits per byte, "
                f"95 % interval {self.low:+.3f} to {self.high:+.3f}."
            )
        better = other if self.difference > 0 else one
        low, high = sorted((abs(self.low), abs(self.high)))
        return (
            f"{better} predicts the held-out text better, by {abs(self.difference):.3f} bits per byte "
            f"(95 % interval {low:.3f} to {high:.3f})."
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """A model's losses by text in nats [texts], the texts that it wrote, and what else the comparison needs of it."""

    title: str
    path: Path
    losses: NDArray[np.float64]
    written: list[str]
    tokens_per_second: float
    size: int
    parameters: int


def held_out_texts(data: Data, most: int, seed: int, fitting: int) -> list[str]:
    """Held-out documents, `most` tokens in all and each at most `fitting`, up to their first end of text."""
    sample, end = sample_documents(data.validation, most, seed), data.description.end_of_text
    tokenizer = data.tokenizer
    texts = [
        tokenizer.decode(first_passage(sample, index, end, fitting).tokens.tolist()) for index in range(len(sample))
    ]
    return [text for text in texts if text]


def measure_model(
    engine: OnnxEngine,
    title: str,
    path: Path,
    texts: Sequence[str],
    prefix: str,
    count: int,
    options: GenerationOptions,
) -> MeasuredModel:
    losses = text_losses(engine, texts, f"{title}: read")
    began = time.perf_counter()
    alone = next(iter(sample_texts(engine, prefix, 1, options))).text
    speed = len(engine.tokenizer.encode(alone)) / (time.perf_counter() - began)
    with progress_bar(f"{title}: write", count, " texts") as progress:
        written = [each.text for each in sample_texts(engine, prefix, count, options, written=progress.update)]
    return MeasuredModel(
        title=title,
        path=path,
        losses=losses,
        written=written,
        tokens_per_second=round(speed, 1),
        size=engine.weight_bytes,
        parameters=count_parameters(engine.hparams),
    )


def fits(engine: OnnxEngine, text: str) -> bool:
    return len(engine.tokenizer.encode(text)) < engine.n_ctx


def compare_models(
    both: tuple[MeasuredModel, MeasuredModel],
    texts: Sequence[str],
    data: Data,
    settings: dict[str, str | int | float],
    notes: list[str],
) -> ModelComparison:
    sizes = np.array([len(text.encode()) for text in texts], np.float64)
    gains = (both[0].losses - both[1].losses) / np.log(2)
    low, high = bootstrap_interval(gains, sizes)
    # Distinct 2-grams depend on the amount of text, so they are counted over equally much of both.
    spelled = [spell(model, data) for model in both]
    most = min(sum(len(passage.tokens) for passage in passages) for passages in spelled)
    one, other = (
        summarize(model, passages, most, sizes, data, str(settings["prefix"]))
        for model, passages in zip(both, spelled, strict=True)
    )
    return ModelComparison(
        format=FORMAT,
        models=(one, other),
        documents=len(texts),
        bytes=int(sizes.sum()),
        difference=float(gains.sum() / sizes.sum()),
        low=low,
        high=high,
        settings=settings,
        notes=notes,
    )


def spell(model: MeasuredModel, data: Data) -> list[Passage]:
    """Its texts in the data's tokens, so that those of two models compare."""
    tokenizer = data.tokenizer
    return [Passage(np.array(tokenizer.encode(text), np.int32), ended=False) for text in model.written]


def bootstrap_interval(
    gains: NDArray[np.float64], sizes: NDArray[np.float64]
) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of sum(gains) / sum(sizes), by resampling documents: both models read the same ones."""
    if len(gains) < 2:
        return None, None
    chosen = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
    ratios = gains[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def summarize(
    model: MeasuredModel,
    passages: Sequence[Passage],
    most: int,
    sizes: NDArray[np.float64],
    data: Data,
    prefix: str,
) -> ComparedModel:
    """The figures of a model, distinct 2-grams over `most` of them."""
    return ComparedModel(
        title=model.title,
        path=str(model.path),
        parameters=model.parameters,
        size=model.size,
        bits_per_byte=float(model.losses.sum() / np.log(2) / sizes.sum()),
        tokens_per_second=model.tokens_per_second,
        mean_length=sum(len(passage.tokens) for passage in passages) / len(passages),
        distinct=distinct_share(passages, 2, most),
        repetition=mean_repetition(passages, 4),
        copied=copied_from(data, passages),
        samples=[prefix + text for text in model.written],
    )


def copied_from(data: Data, passages: Sequence[Passage]) -> float | None:
    """The share of n-grams that are in the training text; None without such a text, or where all passages are shorter."""
    if not len(data.train):
        return None
    matches = longest_matches(passages, data.train.tokens, data.description.end_of_text)
    return copy_rates(passages, matches, [COPY]).shares.get(COPY)
