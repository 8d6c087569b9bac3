"""The replies of the routes for clients of TGI, and their types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from app.api.error_forms import tgi_error
from app.api.framing import EVENTS
from app.api.logprobs import token_text
from app.api.replies.completion import mean_logprob
from app.api.replies.reply import GeneratedText
from app.api.tgi_requests import TgiParameters
from app.ask import Generation
from app.engine.generation import FinishReason, TextDelta, TokenScore, end_tokens
from app.errors import RequestError

TgiFinishReason = Literal["length", "eos_token", "stop_sequence"]


class PrefillToken(msgspec.Struct, frozen=True):
    """A token of the inputs, with the natural logarithm of its probability, which the first has not."""

    id: int
    text: str
    logprob: float | None


class TgiToken(msgspec.Struct, frozen=True):
    """A token of the text. `special`: it marks the end, and is not text."""

    id: int
    text: str
    logprob: float
    special: bool = False


class TgiTextDetails(msgspec.Struct, frozen=True, kw_only=True):
    finish_reason: TgiFinishReason
    generated_tokens: int
    seed: int
    prefill: list[PrefillToken]
    tokens: list[TgiToken]
    top_tokens: list[list[TgiToken]] | None = None


class BestOfSequence(TgiTextDetails, frozen=True, kw_only=True):
    """One of the texts that are not the likeliest."""

    generated_text: str


class TgiDetails(TgiTextDetails, frozen=True, kw_only=True):
    best_of_sequences: list[BestOfSequence] | None = None


class TgiGenerated(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reply of `/generate` with `inputs`."""

    generated_text: str
    details: TgiDetails | None = None


class TgiStreamDetails(msgspec.Struct, frozen=True, kw_only=True):
    finish_reason: TgiFinishReason
    generated_tokens: int
    input_length: int
    seed: int


class TgiStreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One token, the first of which has the index 1. The event of the last one has the whole text."""

    index: int
    token: TgiToken
    top_tokens: list[TgiToken] | msgspec.UnsetType = msgspec.UNSET
    generated_text: str | None = None
    details: TgiStreamDetails | None = None


class TgiReply:
    """`prefix` is what the text begins with: the inputs, or nothing. `as_list`: a whole reply is in a list."""

    framing = EVENTS

    def __init__(self, generation: Generation, parameters: TgiParameters, prefix: str, as_list: bool) -> None:
        self.generation = generation
        self._parameters = parameters
        self._prefix = prefix
        self._as_list = as_list
        # Of a stream: the text and the number of tokens so far, and the last token.
        self._text = ""
        self._index = 0
        self._last: TokenScore | None = None

    def whole(self, texts: Sequence[GeneratedText]) -> TgiGenerated | list[TgiGenerated]:
        first, *others = sorted(texts, key=mean_logprob, reverse=True)
        reply = TgiGenerated(self._prefix + first.text, self._details(first, others))
        return [reply] if self._as_list else reply

    def first(self) -> list[object]:
        return []

    def chunk(self, delta: TextDelta) -> Iterator[TgiStreamEvent]:
        """An event for each token that the delta shows, and one for an end marker."""
        scores = list(delta.scored)
        if delta.text and not scores and self._last:
            # The rest of a token that was held back, since a stop string might have begun in it.
            scores = [self._last]
        tokens = self._tokens(delta.text, scores)
        if delta.finish_reason and not tokens:
            tokens = [TgiToken(min(end_tokens(self.generation.engine), default=0), "", 0.0, special=True)]
        self._text += delta.text
        self._last = scores[-1] if scores else self._last
        for number, token in enumerate(tokens):
            self._index += 1
            likeliest = self._likeliest(scores[number]) if scores and self._parameters.top_n_tokens else msgspec.UNSET
            event = TgiStreamEvent(index=self._index, token=token, top_tokens=likeliest)
            yield self._finished(event, delta) if delta.finish_reason and number == len(tokens) - 1 else event

    def last(self) -> list[object]:
        return []

    def failure(self, error: RequestError) -> dict[str, object]:
        return tgi_error(error)[0]

    def _tokens(self, text: str, scores: Sequence[TokenScore]) -> list[TgiToken]:
        """The tokens, among which the text is divided: what is shown late belongs to the first."""
        if not scores:
            return []
        borders = [0, *(score.start - len(self._text) for score in scores[1:]), len(text)]
        pieces = [text[start:end] for start, end in pairwise(borders)]
        return [TgiToken(score.token, piece, score.logprob or 0.0) for score, piece in zip(scores, pieces, strict=True)]

    def _finished(self, event: TgiStreamEvent, delta: TextDelta) -> TgiStreamEvent:
        """The same event with what is known at the end."""
        details = TgiStreamDetails(
            finish_reason=tgi_finish_reason(delta.finish_reason, delta.stop),
            generated_tokens=self.generation.generated_tokens,
            input_length=self.generation.prompt_tokens,
            seed=self.generation.options.seed,
        )
        return msgspec.structs.replace(event, generated_text=self._prefix + self._text, details=details)

    def _details(self, text: GeneratedText, others: Sequence[GeneratedText]) -> TgiDetails | None:
        if not (self._parameters.details or self._parameters.decoder_input_details):
            return None
        sequences = [BestOfSequence(generated_text=self._prefix + other.text, **self._about(other)) for other in others]
        return TgiDetails(best_of_sequences=sequences or None, **self._about(text))

    def _about(self, text: GeneratedText) -> dict[str, Any]:
        tokenizer = self.generation.engine.tokenizer
        return {
            "finish_reason": tgi_finish_reason(text.finish_reason, text.stop),
            "generated_tokens": text.tokens,
            "seed": self.generation.options.seed,
            "prefill": [
                PrefillToken(score.token, token_text(tokenizer, score.token), score.logprob)
                for score in text.prompt_scores
            ],
            "tokens": [
                TgiToken(score.token, token_text(tokenizer, score.token), score.logprob or 0.0) for score in text.scores
            ],
            "top_tokens": [self._likeliest(score) for score in text.scores] if self._parameters.top_n_tokens else None,
        }

    def _likeliest(self, score: TokenScore) -> list[TgiToken]:
        tokenizer, ends = self.generation.engine.tokenizer, end_tokens(self.generation.engine)
        return [
            TgiToken(token, token_text(tokenizer, token), logprob, token in ends) for token, logprob in score.likeliest
        ]


def tgi_finish_reason(reason: FinishReason | None, stop: str) -> TgiFinishReason:
    """TGI's finish reason. It has none for a deadline, so a text that a deadline cut short has the reason "length"."""
    if reason != "stop":
        return "length"
    return "stop_sequence" if stop else "eos_token"
