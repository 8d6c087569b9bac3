"""The generation loop: prompt tokens in, pieces of text out, one for each token of each text.

It is an iterator, so streaming and stop strings need nothing else: a caller that stops iterating stops the generation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from app.engine.base import Decoder, Engine, Logits, Tokens, as_rows, start_tokens
from app.engine.deadline import NEVER, Deadline, DeadlinePassed
from app.engine.sampling import Sampling, choose, log_softmax, penalize, shift
from app.engine.stop_strings import StopStringFilter
from app.errors import BatchTooLarge, PromptTooLong

FinishReason = Literal["stop", "length", "timeout"]
# The ranges that /generate, `sample` and `evaluate` accept.
Length = Annotated[int, Meta(ge=1)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]


@dataclass(frozen=True)
class GenerationOptions:
    """How long the texts are, how their tokens are chosen and where they end.

    `samples` texts of at most `length` new tokens are generated as one batch, each from a random stream of its own. The same
    `seed` gives the same texts. A text ends

    - before one of `stops`, or after it with `include_stop`,
    - at one of `stop_tokens`, which is part of the text only with `include_stop`,
    - before `truncate`, which is never shown,
    - before one of `tags`, or at the model's end marker (unless `ignore_end`), of which not even a part is ever shown,

    but not before `min_length` tokens. Characters of `strip` are dropped at the beginning of a text; with `truncate`, newlines
    too. `bias` maps token ids to what is added to their logits. `logprobs` asks for the score of each token and of that many of
    the likeliest tokens at its position; `score_prompt` asks for the same of the prompt. `reuse` uses the prefix cache, which
    saves time and may change the last digits of the logits.
    """

    length: int = 100
    samples: int = 1
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    stops: Sequence[str] = ()
    truncate: str | None = None
    tags: Sequence[str] = ()
    strip: str = ""
    include_stop: bool = False
    stop_tokens: Sequence[int] = ()
    ignore_end: bool = False
    min_length: int = 0
    bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    score_prompt: bool = False
    reuse: bool = False


@dataclass(frozen=True)
class TokenScore:
    """A token with its log probability: the natural logarithm, in the model's own distribution before any sampling rule.

    `start` is the character at which the token begins, counted from the beginning of the prompt if the prompt is scored too, else
    of the text. `logprob` is None for the very first token. `likeliest` has the likeliest tokens at this position, as pairs of
    token and log probability.
    """

    token: int
    start: int
    logprob: float | None
    likeliest: Sequence[tuple[int, float]] = ()


@dataclass(frozen=True)
class TextDelta:
    """What one more token adds to the text number `index`: characters, or none yet. The last delta has a finish reason.

    `scored` are the tokens whose characters this delta shows. Those of the prompt come first, in deltas `of_prompt`. A text
    that runs out of time ends with a delta of 0 `tokens`.
    """

    index: int
    text: str
    finish_reason: FinishReason | None = None
    scored: Sequence[TokenScore] = ()
    tokens: int = 1
    of_prompt: bool = False


def prepare(engine: Engine, prompt: str, options: GenerationOptions) -> list[int]:
    """The prompt's tokens, once it is certain that the texts fit. Raises PromptTooLong, BatchTooLarge."""
    tokens = start_tokens(engine, prompt)
    check(engine, tokens, options)
    return tokens


def check(engine: Engine, tokens: Sequence[int], options: GenerationOptions) -> None:
    """Refuse a prompt longer than the window and a batch larger than memory. Raises PromptTooLong, BatchTooLarge."""
    if len(tokens) > engine.n_ctx:
        raise PromptTooLong(len(tokens), engine.n_ctx)
    positions = options.samples * needed_positions(engine, tokens, options)
    if options.samples > 1 and positions > engine.max_positions:
        raise BatchTooLarge(positions, engine.max_positions)


def needed_positions(engine: Engine, tokens: Sequence[int], options: GenerationOptions) -> int:
    """Positions of the KV cache that one text needs."""
    return min(engine.n_ctx, len(tokens) + options.length)


def generate(
    engine: Engine, tokens: Sequence[int], options: GenerationOptions, deadline: Deadline = NEVER
) -> Iterator[TextDelta]:
    """Generate `options.samples` texts after the prompt `tokens` (see `prepare`) and yield each delta as it comes.

    When the window is full, it slides: the model reads its newest half again and the generation goes on. When the deadline
    passes, the texts end as they are. Raises DeadlinePassed if there is nothing of them by then, not even of the prompt's scores.
    """
    deadline.check()
    rows = make_rows(engine, tokens, options)
    begun = False
    try:
        for delta in generate_rows(engine, tokens, options, deadline, rows):
            begun = True
            yield delta
    except DeadlinePassed:
        if not begun:
            raise
        yield from (row.cut("timeout") for row in rows if not row.finished)


def generate_rows(
    engine: Engine, tokens: Sequence[int], options: GenerationOptions, deadline: Deadline, rows: Sequence[BatchRow]
) -> Iterator[TextDelta]:
    """The scores of the prompt, if they are wanted, then the rows. Raises DeadlinePassed."""
    if options.score_prompt:
        for scored in score_prompt(engine, tokens, options.logprobs or 0, deadline):
            yield from (TextDelta(row.index, "", scored=[scored], tokens=0, of_prompt=True) for row in rows)
    if not options.length:
        yield from (row.cut("length") for row in rows)
        return
    with closing(engine.decoder(len(rows), needed_positions(engine, tokens, options), options.reuse)) as decoder:
        yield from extend_rows(engine, tokens, options, deadline, rows, decoder)


def extend_rows(
    engine: Engine,
    tokens: Sequence[int],
    options: GenerationOptions,
    deadline: Deadline,
    rows: Sequence[BatchRow],
    decoder: Decoder,
) -> Iterator[TextDelta]:
    """One token for each unfinished row at a time, until all rows are finished. Raises DeadlinePassed."""
    history: list[Tokens] = list(as_rows(tokens, len(rows)).T)
    logits = decoder.prefill(np.stack(history, axis=1), deadline)
    for count in range(1, options.length + 1):
        # A finished row reads a token that is never shown.
        chosen = np.zeros(len(rows), np.int64)
        last: FinishReason | None = "length" if count == options.length else None
        deltas: list[TextDelta] = []
        for row in rows:
            if not row.finished and not deadline.passed:
                chosen[row.index] = token = row.choose(logits[row.index])
                deltas.append(row.add(token, last))
        yield from deltas
        if all(row.finished for row in rows):
            return
        history.append(chosen)
        if len(history) > engine.n_ctx:
            history = history[-max(1, engine.n_ctx // 2) :]
            logits = decoder.prefill(np.stack(history, axis=1), deadline)
        else:
            deadline.check()
            logits = decoder.step(chosen)


def score_prompt(engine: Engine, tokens: Sequence[int], top: int, deadline: Deadline) -> Iterator[TokenScore]:
    """Score the prompt's tokens, read one by one as a decoder returns the newest logits only. Raises DeadlinePassed."""
    text, ends = StopStringFilter(engine.tokenizer, ()), end_tokens(engine)
    logits: Logits | None = None
    with closing(engine.decoder(1, len(tokens))) as decoder:
        for token in tokens:
            deadline.check()
            if token not in ends:
                yield score(logits, token, text.length, top)
                text.add(token)
            fed = np.array([token], np.int64)
            logits = (decoder.prefill(fed[np.newaxis], deadline) if logits is None else decoder.step(fed))[0]


def score(logits: Logits | None, token: int, start: int, top: int) -> TokenScore:
    """The token's log probability, with the `top` likeliest tokens at its position; `logits` are [n_vocab]."""
    if logits is None:
        return TokenScore(token, start, None)
    logs = log_softmax(logits)
    top = min(top, len(logs))
    likeliest = np.argpartition(-logs, top - 1)[:top] if top else np.empty(0, np.int64)
    ordered = likeliest[np.argsort(-logs[likeliest], kind="stable")]
    return TokenScore(token, start, float(logs[token]), [(int(other), float(logs[other])) for other in ordered])


def shown_text(engine: Engine, tokens: Sequence[int]) -> str:
    """The prompt as text, without the tokens that only mark ends."""
    ends = end_tokens(engine)
    return engine.tokenizer.decode(token for token in tokens if token not in ends)


def end_tokens(engine: Engine) -> set[int]:
    """The tokens that can end a text of this model. They are never shown."""
    return {token for token in (engine.end.token, engine.tokenizer.end_of_text) if token is not None}


def make_rows(engine: Engine, prompt: Sequence[int], options: GenerationOptions) -> list[BatchRow]:
    offset = len(shown_text(engine, prompt)) if options.score_prompt else 0
    return [BatchRow(engine, prompt, options, index, offset) for index in range(options.samples)]


class BatchRow:
    """One text of a batch, as it grows. Its scored tokens begin at character `offset`."""

    def __init__(
        self, engine: Engine, prompt: Sequence[int], options: GenerationOptions, index: int, offset: int
    ) -> None:
        self.index = index
        self.finished = False
        self._options = options
        self._random = np.random.default_rng([options.seed, index])
        self._marks = end_tokens(engine)
        self._ends = {*options.stop_tokens, *(() if options.ignore_end else self._marks)}
        self._text = stop_string_filter(engine, options)
        self._written = 0
        self._counts = np.zeros(len(engine.tokenizer), np.int32)
        self._prompted = np.zeros(len(engine.tokenizer), np.bool_)
        self._prompted[list(prompt)] = True
        # Tokens that are scored and not shown yet.
        self._waiting: list[TokenScore] = []
        self._offset = offset

    def choose(self, logits: Logits) -> int:
        """The next token, given logits [n_vocab]."""
        token = choose(self._adjust(logits), self._options.sampling, self._random)
        self._counts[token] += 1
        self._written += 1
        if self._options.logprobs is not None:
            start = self._offset + self._text.length
            self._waiting.append(score(logits, token, start, self._options.logprobs))
        return token

    def add(self, token: int, last: FinishReason | None) -> TextDelta:
        """Add the token. The text ends at an end marker, at a stop string or, if `last` gives a reason, with this token."""
        ended = token in self._ends
        hidden = token in self._marks or (ended and not self._options.include_stop)
        shown = "" if hidden else self._text.add(token, may_stop=self._written > self._options.min_length)
        reason = "stop" if ended or self._text.stopped else last
        self.finished = reason is not None
        shown += self._text.rest() if self.finished else ""
        complete = reason not in (None, "stop") and self._text.settled == self._text.length
        return TextDelta(self.index, shown, reason, self._scored(complete, hidden))

    def cut(self, reason: FinishReason) -> TextDelta:
        """End the text as it is, without another token."""
        self.finished = True
        return TextDelta(self.index, self._text.rest(), reason, self._scored(complete=True, hidden=False), tokens=0)

    def _adjust(self, logits: Logits) -> Logits:
        """The logits with bias and penalties, and without the end markers before the minimum length."""
        options = self._options
        if options.bias:
            logits = shift(logits, [*options.bias], [*options.bias.values()])
        if options.sampling.penalizes:
            logits = penalize(logits, self._prompted, self._counts, options.sampling)
        if self._written < options.min_length and self._ends:
            logits = shift(logits, [*self._ends], [-np.inf] * len(self._ends))
        return logits

    def _scored(self, complete: bool, hidden: bool) -> list[TokenScore]:
        """The scored tokens to yield now: those that begin before the settled characters, or all of a text that was cut short."""
        if hidden and self._waiting:
            self._waiting.pop()
        settled = self._offset + (self._text.length + 1 if complete else self._text.settled)
        shown = [scored for scored in self._waiting if scored.start < settled]
        self._waiting = self._waiting[len(shown) :]
        return shown


def stop_string_filter(engine: Engine, options: GenerationOptions) -> StopStringFilter:
    """The filter that ends a text of this model as the options say."""
    truncate = [options.truncate] if options.truncate else []
    end = [engine.end.text] if engine.end.text and not options.ignore_end else []
    stops, shown = ((), options.stops) if options.include_stop else (options.stops, ())
    strip = options.strip + ("\n" if options.truncate else "")
    return StopStringFilter(engine.tokenizer, [*truncate, *stops], strip, shown, end, options.tags)
