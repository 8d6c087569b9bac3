"""report.json: what `evaluate` measured, and its headline in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from finetune.evaluation.advice import Advice, on_copies, on_temperature, on_training
from finetune.evaluation.copied_runs import CopiedRun
from finetune.evaluation.copy_marks import MarkedPiece
from finetune.evaluation.copying import CopyRates
from finetune.evaluation.perplexity import Perplexity
from finetune.evaluation.surprise import SurprisingPassage
from finetune.evaluation.temperatures import ByTemperature
from finetune.evaluation.variety import Variety
from finetune.html_report import percent
from finetune.run_folder import LogEntry

FORMAT = 1
# How much lower the loss on training text is, in nats per token, and what that means.
LOSS_GAPS = (
    (0.05, "it has not memorized its training text"),
    (0.3, "it knows its training text a little better"),
    (0.8, "it has begun to memorize its training text"),
    (float("inf"), "it has memorized its training text: use an earlier save or more text"),
)


class TextFigures(msgspec.Struct, frozen=True, kw_only=True):
    variety: Variety
    copying: CopyRates
    lengths: list[int]
    """Tokens of each text."""


class ModelAndHuman(msgspec.Struct, frozen=True, kw_only=True):
    """The same figures of the model's texts and, for comparison, of human texts that it never saw."""

    model: TextFigures
    human: TextFigures | None


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """report.json. `documents` and `tokens` are those of the data, by split; `n` is the size of a copy in the headline.

    `marked` has the same texts as `samples`, without the prefix and with copies marked. `resume` trains the run longer.
    """

    format: int
    checkpoint: str
    title: str
    save: str
    step: int
    parameters: int
    corpus_sha256: str
    documents: dict[str, int]
    tokens: dict[str, int]
    settings: dict[str, str | int | float]
    n: int
    train: Perplexity | None
    validation: Perplexity | None
    log: list[LogEntry]
    texts: ModelAndHuman
    examples: list[CopiedRun]
    samples: list[str]
    marked: list[list[MarkedPiece]]
    human_samples: list[str]
    temperatures: ByTemperature
    surprising: list[SurprisingPassage]
    resume: str | None
    made: dict[str, str]

    def headline(self) -> list[str]:
        """The most important findings, a sentence each."""
        return [*self.on_prediction(), *self.on_copying(), *self.on_repetition()]

    def advice(self) -> list[Advice]:
        """What to do next."""
        human = self.texts.human
        return [
            *on_training(self.log, self.step, self.resume),
            *on_copies(
                self.texts.model.copying.shares.get(self.n), human.copying.shares.get(self.n) if human else None
            ),
            *on_temperature(self.temperatures, self.settings["temperature"]),
        ]

    def on_prediction(self) -> Iterator[str]:
        if self.validation is None:
            yield (
                "The data holds out no documents, so it is unknown how well the model predicts text that it has not "
                "seen, and there is no human text to compare its own with."
            )
        if self.train is None:
            return
        if self.validation is None:
            yield f"The perplexity on text that it was trained on is {self.train.perplexity:.1f}."
            return
        gap = self.validation.nats - self.train.nats
        yield (
            f"The perplexity is {self.validation.perplexity:.1f} on text that it has not seen and "
            f"{self.train.perplexity:.1f} on text that it was trained on: "
            f"{next(words for most, words in LOSS_GAPS if gap < most)}."
        )

    def on_copying(self) -> Iterator[str]:
        model, human = self.texts.model.copying, self.texts.human
        share = model.shares.get(self.n)
        if share is None:
            yield f"None of its texts is {self.n} tokens long, so copies of that length cannot be counted."
            return
        human_share = human.copying.shares.get(self.n) if human else None
        comparison = "" if human_share is None else f"; of human text, {percent(human_share)}"
        yield f"{percent(share)} of the {self.n}-grams that it writes are in the training text word for word{comparison}."
        if self.examples:
            longest = self.examples[0]
            yield f"The longest copy is {longest.tokens} tokens, {longest.words} words."
        if model.whole:
            yield f"{percent(model.whole)} of its texts are whole training documents."

    def on_repetition(self) -> Iterator[str]:
        model, human = self.texts.model.variety, self.texts.human
        comparison = f"; in human text, {percent(human.variety.repetition[4])}" if human else ""
        yield f"{percent(model.repetition[4])} of a text's 4-grams repeat an earlier one{comparison}."
