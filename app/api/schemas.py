"""What a request may say: fields, types, limits and defaults, in one place.

The same types validate every request, and they refuse what they do not know.
"""

from __future__ import annotations

import json
import re
import secrets
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from app.engine.generation import GenerationOptions, Length, Seed
from app.engine.sampling import Penalty, Probability, RepetitionPenalty, Sampling, Temperature, TopK
from app.errors import InvalidRequest

StopString = Annotated[str, Meta(min_length=1, max_length=1000)]


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/` and `/generate`."""

    length: Annotated[Length, Meta(description="new tokens")] = 100
    temperature: Annotated[Temperature, Meta(description="0 always takes the likeliest token")] = 0.7
    top_k: Annotated[TopK, Meta(description="choose among the k likeliest, 0 for all")] = 0
    top_p: Annotated[Probability, Meta(description="choose among the likeliest that add up to p, 0 for all")] = 0.0
    min_p: Annotated[
        Probability, Meta(description="choose among those at least p times as likely as the likeliest")
    ] = 0.0
    repetition_penalty: Annotated[RepetitionPenalty, Meta(description="above 1, what was said is less likely")] = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    prefix: Annotated[str, Meta(description="the text to continue")] = ""
    truncate: Annotated[str | None, Meta(description="end the text before this string")] = None
    stop: StopString | Annotated[list[StopString], Meta(max_length=4)] | None = None
    include_prefix: bool = True
    seed: Annotated[Seed, Meta(description="same seed, same text")] | None = None
    nsamples: Annotated[int, Meta(ge=1, le=128, description="texts to write side by side")] = 1
    stream: Annotated[bool, Meta(description="answer with server-sent events")] = False
    model: str | None = None

    def options(self) -> GenerationOptions:
        """How to generate; a seed is drawn where none was given."""
        sampling = Sampling(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
        )
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        # Small enough for every JSON parser to read back exactly.
        seed = secrets.randbelow(2**32) if self.seed is None else self.seed
        return GenerationOptions(
            length=self.length,
            samples=self.nsamples,
            seed=seed,
            sampling=sampling,
            stops=stops,
            truncate=self.truncate or None,
        )


class FeedbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/feedback`."""

    vote: Literal["up", "down"]
    text: Annotated[str, Meta(min_length=1, max_length=100_000, description="the text as it was shown")]
    prefix: Annotated[str, Meta(max_length=100_000, description="what it continues or answers")] = ""
    model: Annotated[str | None, Meta(description="which wrote it")] = None
    voter: (
        Annotated[str, Meta(min_length=1, max_length=64, description="the same for all votes of one person")] | None
    ) = None


Schema = TypeVar("Schema", bound=msgspec.Struct)


def validate(fields: Mapping[str, Any], schema: type[Schema], *, text: bool = False, nullable: bool = False) -> Schema:
    """Convert plain values to `schema`. Raises InvalidRequest.

    With `text`, values that are all strings, as in a query; if `nullable`, a field that is null is as one that is not there.
    """
    try:
        for name, value in fields.items():
            check_value(name, value)
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply: send a flat object.", code="invalid_json") from None
    known = schema.__struct_encode_fields__ if nullable else ()
    given = {name: value for name, value in fields.items() if value is not None or name not in known}
    try:
        return msgspec.convert(given, schema, strict=not text)
    except msgspec.ValidationError as error:
        raise refusal(str(error), fields, schema) from None


def check_value(name: str, value: object) -> None:
    """Refuse what msgspec lets through: integers beyond 64 bits, which escape its bounds, and halves of characters."""
    if isinstance(value, list):
        for item in value:
            check_value(name, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_value(name, key)
            check_value(name, item)
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise InvalidRequest(f"{name} is too large a number: send a smaller one.", param=name, code="invalid_value")
    elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidRequest(
            f"{name} holds half a character (a lone surrogate): send whole ones.", param=name, code="invalid_value"
        )


def refusal(message: str, fields: Mapping[str, Any], schema: type[msgspec.Struct]) -> InvalidRequest:
    """Turn msgspec's "Expected `int` >= 1 - at `$.length`" into an error that names the field and what it was."""
    expected, _, path = message.partition(" - at ")
    path = re.sub(r".*`\$\.?", "", path).rstrip("`")
    name = re.split(r"[.\[]", path)[0]
    if unknown := re.search(r"unknown field `(.+)`", expected):
        names = ", ".join(schema.__struct_encode_fields__)
        where = path or f"this request, which has {names}"
        return InvalidRequest(
            f"{unknown[1]} is not a field of {where}.", param=name or unknown[1], code="unknown_field"
        )
    if missing := re.search(r"missing required field `(.+)`", expected):
        where = f" from {path}" if path else ""
        return InvalidRequest(
            f"{missing[1]} is missing{where}: give it.", param=name or missing[1], code="missing_field"
        )
    value, expected = shorten(value_at(path, fields)), in_words(expected.partition(", got")[0], path, schema)
    return InvalidRequest(f"{path} is {value}: {expected}.", param=name, code="invalid_value")


def in_words(expected: str, path: str, schema: type[msgspec.Struct]) -> str:
    """What msgspec says of a value that is not possible here, or none of several, as advice."""
    if expected == "Expected `null`" or expected.endswith("of length <= 0"):
        return "this is not supported, leave it out"
    if expected.startswith("Invalid enum value"):
        return f"expected {' or '.join(map(json.dumps, choices(path, schema)))}"
    return f"{expected[0].lower()}{expected[1:]}"


def choices(path: str, schema: type[msgspec.Struct]) -> list[str]:
    """The values that may stand at `messages[0].role`."""
    hint: Any = schema
    for name in re.findall(r"[a-z]\w*", path):
        struct = next(each for each in inside(hint) if isinstance(each, type) and issubclass(each, msgspec.Struct))
        hint = typing.get_type_hints(struct)[name]
    return [value for each in inside(hint) if typing.get_origin(each) is Literal for value in typing.get_args(each)]


def inside(hint: Any) -> Iterator[Any]:
    """A type and those that it is made of."""
    yield hint
    for part in typing.get_args(hint):
        yield from inside(part)


def value_at(path: str, fields: Mapping[str, Any]) -> Any:
    """What lies at `messages[0].content`; where the path does not lead to a value, what lies above."""
    value: Any = fields
    for name, position in re.findall(r"(\w+)|\[(\d+)\]", path):
        if position and isinstance(value, list):
            value = value[int(position)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
    return value


def shorten(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"
