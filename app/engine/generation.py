"""What is asked of a generation, and its texts as they grow: from logits to tokens, from tokens to pieces of text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from app.engine.base import Engine, Logits, start_tokens
from app.engine.sampling import Sampling, choose, largest, log_softmax, penalize, shift
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
    too. A text that `follows` the beginning of its turn does not begin a line there. `bias` maps token ids to what is added to
    their logits. `logprobs` asks for the score of each token and of that many of the likeliest tokens at its position;
    `score_prompt` asks for the same of the prompt. With a `penalty_window` the penalties look at that number of the last tokens
    alone, those of the prompt included. `reuse` uses the prefix cache, which saves time and, unless the engine shares
    passes, may change the last digits of the logits.
    """

    length: int = 100
    samples: int = 1
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    stops: Sequence[str] = ()
    truncate: str | None = None
    tags: Sequence[str] = ()
    strip: str = ""
    follows: str = ""
    include_stop: bool = False
    stop_tokens: Sequence[int] = ()
    ignore_end: bool = False
    min_length: int = 0
    bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    score_prompt: bool = False
    penalty_window: int | None = None
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
    that runs out of time ends with a delta of 0 `tokens`. `stop` is the stop string that ended the text, if one did.
    """

    index: int
    text: str
    finish_reason: FinishReason | None = None
    scored: Sequence[TokenScore] = ()
    tokens: int = 1
    of_prompt: bool = False
    stop: str = ""


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


def refuse_long(engine: Engine, texts: Iterable[str]) -> None:
    """Refuse texts that the window cannot hold together, before they are tokenized: no token is longer than the longest.

    Raises PromptTooLong with the fewest tokens that they can have.
    """
    size = sum(len(text.encode()) for text in texts)
    # What is only a little too long, tokenizing tells soon enough.
    if size > 4 * engine.n_ctx and (least := engine.tokenizer.fewest(size)) > engine.n_ctx:
        raise PromptTooLong(least, engine.n_ctx, at_least=True)


def needed_positions(engine: Engine, tokens: Sequence[int], options: GenerationOptions) -> int:
    """Positions of the KV cache that one text needs."""
    return min(engine.n_ctx, len(tokens) + options.length)


def score(logits: Logits | None, token: int, start: int, top: int) -> TokenScore:
    """The token's log probability, with the `top` likeliest tokens at its position; `logits` are [n_vocab]."""
    if logits is None:
        return TokenScore(token, start, None)
    logs = log_softmax(logits)
    likeliest = [(int(other), float(logs[other])) for other in largest(logs, top)]
    return TokenScore(token, start, float(logs[token]), likeliest)


def shown_text(engine: Engine, tokens: Sequence[int]) -> str:
    """The prompt as text, without the tokens that only mark ends."""
    ends = end_tokens(engine)
    return engine.tokenizer.decode(token for token in tokens if token not in ends)


def end_tokens(engine: Engine) -> set[int]:
    """The tokens that can end a text of this model. They are never shown."""
    return {token for token in (engine.end.token, engine.tokenizer.end_of_text) if token is not None}


class PromptScorer:
    """Scores the tokens of a prompt, one after the other, each given the logits after the token before."""

    def __init__(self, engine: Engine, top: int) -> None:
        self._text = StopStringFilter(engine.tokenizer, ())
        self._ends = end_tokens(engine)
        self._top = top
        self._logits: Logits | None = None

    def add(self, token: int, logits: Logits) -> TokenScore | None:
        """The token's score, None for one that only marks an end. `logits` are those after the token."""
        before, self._logits = self._logits, logits
        if token in self._ends:
            return None
        found = score(before, token, self._text.length, self._top)
        self._text.add(token)
        return found


class WrittenText:
    """Text number `index` of those that follow a prompt, as it grows. Its scored tokens begin at character `offset`."""

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
        self._last = deque(prompt, options.penalty_window) if options.penalty_window else None
        # Tokens that are scored and not shown yet.
        self._waiting: list[TokenScore] = []
        self._offset = offset

    def write(self, logits: Logits) -> tuple[int, TextDelta]:
        """Choose the next token, given logits [n_vocab], and add it: the token, and what it adds to the text."""
        token = self.choose(logits)
        return token, self.add(token, "length" if self._written == self._options.length else None)

    def choose(self, logits: Logits) -> int:
        """The next token, given logits [n_vocab]."""
        token = choose(self._adjust(logits), self._options.sampling, self._random)
        self._counts[token] += 1
        if self._last is not None:
            self._last.append(token)
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
        return TextDelta(self.index, shown, reason, self._scored(complete, hidden), stop=self._text.found)

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
            logits = penalize(logits, *self._seen(), options.sampling)
        if self._written < options.min_length and self._ends:
            logits = shift(logits, [*self._ends], [-np.inf] * len(self._ends))
        return logits

    def _seen(self) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
        """What the penalties look at: the tokens of the prompt, and how often the text has each token, both [n_vocab]."""
        if self._last is None:
            return self._prompted, self._counts
        counts = np.bincount(self._last, minlength=len(self._counts)).astype(np.int32)
        return counts > 0, counts

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
    return StopStringFilter(engine.tokenizer, [*truncate, *stops], strip, shown, end, options.tags, options.follows)
