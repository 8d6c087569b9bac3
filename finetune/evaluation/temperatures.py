"""The model at several temperatures: how varied its texts become, and which temperature is as varied as human text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from finetune.evaluation.copied_runs import Decode
from finetune.evaluation.passages import Passage, model_passages
from finetune.evaluation.variety import DISTINCT, distinct_share, mean_repetition

TEMPERATURES = (0.5, 0.7, 0.9, 1.1)
MOST = 20
"""Texts at each temperature."""
SHOWN = 3
N = 2
"""Distinct n-grams of this size measure variety: they depend on the temperature most evenly."""
assert N in DISTINCT


class AtTemperature(msgspec.Struct, frozen=True, kw_only=True):
    """Texts at a temperature. `distinct`: the share of different 2-grams among all; `repetition`: of repeated 4-grams."""

    temperature: float
    distinct: float
    repetition: float
    mean_length: float
    samples: list[str]


class ByTemperature(msgspec.Struct, frozen=True, kw_only=True):
    """`human` is the same share of different 2-grams in as much human text; None without validation text."""

    texts: int
    measured: list[AtTemperature]
    human: float | None

    @property
    def most_human(self) -> float | None:
        """The temperature whose texts are as varied as human ones."""
        if self.human is None:
            return None
        human = self.human
        return min(self.measured, key=lambda each: abs(each.distinct - human)).temperature


def passages_by_temperature(
    engine: Engine, prefix: str, count: int, options: GenerationOptions
) -> dict[float, list[Passage]]:
    return {
        temperature: model_passages(
            engine,
            prefix,
            min(count, MOST),
            replace(options, sampling=replace(options.sampling, temperature=temperature)),
            f"write at {temperature}",
        )
        for temperature in TEMPERATURES
    }


def compare_temperatures(
    found: dict[float, list[Passage]], human: Sequence[Passage], decode: Decode, prefix: str
) -> ByTemperature:
    """Distinct 2-grams depend on the amount of text, so all are counted over equally much of it."""
    human = human[:MOST]
    sizes = [sum(len(passage.tokens) for passage in passages) for passages in (*found.values(), human) if passages]
    most = min(sizes)
    return ByTemperature(
        texts=max(map(len, found.values())),
        measured=[
            AtTemperature(
                temperature=temperature,
                distinct=distinct_share(passages, N, most),
                repetition=mean_repetition(passages, 4),
                mean_length=sum(len(passage.tokens) for passage in passages) / len(passages),
                samples=[prefix + decode(passage.tokens) for passage in passages[:SHOWN]],
            )
            for temperature, passages in found.items()
        ],
        human=distinct_share(human, N, most) if human else None,
    )
