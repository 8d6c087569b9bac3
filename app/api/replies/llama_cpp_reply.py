"""The reply of `/completion`, and its types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.api.error_forms import llama_cpp_error
from app.api.framing import EVENTS
from app.api.logprobs import chat_logprobs
from app.api.openai_replies import TokenLogprob
from app.api.replies.reply import GeneratedText
from app.ask import Generation
from app.engine.generation import FinishReason, TextDelta, TokenScore, shown_text
from app.errors import RequestError

StopType = Literal["none", "eos", "limit", "word"]


class LlamaCppLogprob(TokenLogprob, frozen=True, kw_only=True):
    id: int


class LlamaCppProbability(LlamaCppLogprob, frozen=True, kw_only=True):
    """A token of the text, with the likeliest tokens at its position."""

    top_logprobs: list[LlamaCppLogprob]


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds and rates in tokens a second, of reading the prompts and of writing all the texts."""

    prompt_n: int
    prompt_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_second: float


class LlamaCppPiece(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a stream. The last one of each text is a LlamaCppCompletion without content."""

    index: int
    content: str
    tokens: list[int]
    stop: bool = False
    id_slot: int = -1
    tokens_predicted: int
    tokens_evaluated: int
    completion_probabilities: list[LlamaCppProbability] | UnsetType = UNSET


class LlamaCppCompletion(LlamaCppPiece, frozen=True, kw_only=True):
    """The reply of `/completion`. `truncated`: the window became full and slid."""

    model: str
    prompt: str
    generation_settings: dict[str, Any]
    has_new_line: bool
    truncated: bool
    stop_type: StopType
    stopping_word: str
    tokens_cached: int
    timings: Timings


class LlamaCppReply:
    """`settings` are the request's options as they were used, `fields` those that the reply is reduced to, if any."""

    framing = EVENTS

    def __init__(
        self,
        generation: Generation,
        prompts: Sequence[Sequence[int]],
        settings: dict[str, Any],
        *,
        probabilities: bool,
        tokens: bool,
        as_list: bool,
        fields: Sequence[str] | None,
    ) -> None:
        self.generation = generation
        self._prompts = prompts
        self._settings = settings
        self._probabilities = probabilities
        self._tokens = tokens
        self._as_list = as_list
        self._fields = fields
        # Of a stream: each text so far, and its tokens.
        self._texts = [GeneratedText() for _ in generation.finish_reasons]

    def whole(self, texts: Sequence[GeneratedText]) -> object:
        replies = [self._completion(index, text, text.text, text.scores) for index, text in enumerate(texts)]
        reduced = [reply if self._fields is None else chosen_fields(reply, self._fields) for reply in replies]
        return reduced if self._as_list else reduced[0]

    def first(self) -> list[object]:
        return []

    def chunk(self, delta: TextDelta) -> list[LlamaCppPiece]:
        text = self._texts[delta.index]
        text.add(delta)
        pieces = []
        if delta.text or delta.scored:
            pieces.append(LlamaCppPiece(**self._piece(delta.index, text, delta.text, delta.scored)))
        if delta.finish_reason:
            pieces.append(self._completion(delta.index, text, "", ()))
        return pieces

    def last(self) -> list[object]:
        return []

    def failure(self, error: RequestError) -> dict[str, object]:
        return llama_cpp_error(error)[0]

    def _piece(self, index: int, text: GeneratedText, content: str, scores: Sequence[TokenScore]) -> dict[str, Any]:
        return {
            "index": index,
            "content": content,
            "tokens": [score.token for score in scores] if self._tokens else [],
            "tokens_predicted": text.tokens,
            "tokens_evaluated": len(self._prompt(index)),
            "completion_probabilities": self._likeliest(scores) if self._probabilities and scores else UNSET,
        }

    def _completion(
        self, index: int, text: GeneratedText, content: str, scores: Sequence[TokenScore]
    ) -> LlamaCppCompletion:
        prompt = self._prompt(index)
        return LlamaCppCompletion(
            **self._piece(index, text, content, scores) | {"stop": True},
            model=self.generation.engine.name,
            prompt=shown_text(self.generation.engine, prompt),
            generation_settings=self._settings,
            has_new_line="\n" in text.text,
            truncated=len(prompt) + text.tokens > self.generation.engine.n_ctx,
            stop_type=stop_type(text.finish_reason, text.stop),
            stopping_word=text.stop,
            tokens_cached=0,
            timings=self._timings(),
        )

    def _prompt(self, index: int) -> Sequence[int]:
        return self._prompts[index // self.generation.options.samples]

    def _timings(self) -> Timings:
        generation = self.generation
        first = generation.first_token_seconds or generation.seconds
        reading, writing = max(first - generation.queue_seconds, 1e-9), max(generation.seconds - first, 1e-9)
        return Timings(
            prompt_n=generation.prompt_tokens,
            prompt_ms=1000 * reading,
            prompt_per_second=generation.prompt_tokens / reading,
            predicted_n=generation.generated_tokens,
            predicted_ms=1000 * writing,
            predicted_per_second=generation.generated_tokens / writing,
        )

    def _likeliest(self, scores: Sequence[TokenScore]) -> list[LlamaCppProbability]:
        content = chat_logprobs(self.generation.engine.tokenizer, scores).content
        return [
            LlamaCppProbability(
                token.token,
                token.logprob,
                token.bytes,
                id=score.token,
                top_logprobs=[
                    LlamaCppLogprob(other.token, other.logprob, other.bytes, id=number)
                    for other, (number, _) in zip(token.top_logprobs, score.likeliest, strict=True)
                ],
            )
            for token, score in zip(content, scores, strict=True)
        ]


def stop_type(reason: FinishReason | None, stop: str) -> StopType:
    """Why a text ended. llama.cpp has no word for a deadline, so a text that a deadline cut short has reached its limit."""
    return "limit" if reason != "stop" else "word" if stop else "eos"


def chosen_fields(reply: LlamaCppCompletion, names: Sequence[str]) -> dict[str, Any]:
    """Those of the fields that there are. `a/b` is the field b of a, and becomes a field of that name."""
    found: dict[str, Any] = {}
    for name in names:
        value: Any = msgspec.to_builtins(reply)
        for part in name.split("/"):
            value = value.get(part, UNSET) if isinstance(value, Mapping) else UNSET
        if value is not UNSET:
            found[name.rpartition("/")[2]] = value
    return found
