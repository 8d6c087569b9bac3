"""What `evaluate` found out, as report.json has it, and in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from finetune.evaluation.parroting import Copying
from finetune.evaluation.perplexity import Surprise
from finetune.evaluation.variety import Variety
from finetune.run_folder import LogEntry

FORMAT = 1
FILES = ("report.json", "report.html")
# Nats per token by which text is easier once it was trained on, and what that means.
GAPS = (
    (0.05, "it has not learned its training text by heart"),
    (0.3, "it knows its training text a little better"),
    (0.8, "it has begun to learn its training text by heart"),
    (float("inf"), "it has learned its training text by heart: an earlier save or more text would be better"),
)


class Passages(msgspec.Struct, frozen=True, kw_only=True):
    variety: Variety
    copying: Copying


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of the model's texts and, to know what is much, of human ones that it never saw."""

    model: Passages
    human: Passages | None


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A copied run of so many tokens, what is around it in the model's text, and in a training document."""

    tokens: int
    words: int
    document: int
    run: str
    before: str
    after: str
    source_before: str
    source_after: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """report.json. `documents` and `tokens` are those of the data by split; `n` is the headline's size of a copy."""

    format: int
    checkpoint: str
    save: str
    step: int
    parameters: int
    corpus_sha256: str
    documents: dict[str, int]
    tokens: dict[str, int]
    settings: dict[str, str | int | float]
    n: int
    train: Surprise | None
    validation: Surprise | None
    log: list[LogEntry]
    texts: Figures
    examples: list[Example]
    samples: list[str]
    made: dict[str, str]

    def sentences(self) -> list[str]:
        """The headline."""
        return [*self.on_prediction(), *self.on_copying(), *self.on_repetition()]

    def on_prediction(self) -> Iterator[str]:
        if self.validation is None:
            yield (
                "The data holds out no documents, so how well the model predicts what it has not seen is unknown, and "
                "there is no human text to hold its own against."
            )
        if self.train is None:
            return
        if self.validation is None:
            yield f"It predicts the text it was trained on at a perplexity of {self.train.perplexity:.1f}."
            return
        gap = self.validation.nats - self.train.nats
        yield (
            f"It predicts text it has not seen at a perplexity of {self.validation.perplexity:.1f}, and text it was "
            f"trained on at {self.train.perplexity:.1f}: {next(words for most, words in GAPS if gap < most)}."
        )

    def on_copying(self) -> Iterator[str]:
        model, human = self.texts.model.copying, self.texts.human
        share = model.shares.get(self.n)
        if share is None:
            yield f"None of its texts is as long as {self.n} tokens, so nothing can be said about copies of that length."
            return
        theirs = human.copying.shares.get(self.n) if human else None
        beside = "" if theirs is None else f"; of human text, {percent(theirs)}"
        yield f"{percent(share)} of the {self.n}-token runs it writes are word for word in the training text{beside}."
        if self.examples:
            longest = self.examples[0]
            yield f"The longest copy is {longest.tokens} tokens, {longest.words} words."
        if model.whole:
            yield f"{percent(model.whole)} of its texts are a training document from beginning to end."

    def on_repetition(self) -> Iterator[str]:
        model, human = self.texts.model.variety, self.texts.human
        beside = f"; in human text, {percent(human.variety.repetition[4])}" if human else ""
        yield f"{percent(model.repetition[4])} of a text's 4-grams repeat an earlier one{beside}."


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
