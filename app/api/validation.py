"""Validation: converts plain values to a request type or says in words what is wrong.

A request is checked in this order:

1. here, the type and range of each field;
2. in the request types' `__post_init__`, contradictions between fields;
3. in app.api.model_limits, what depends on the model or a setting;
4. in app.ask.Generation, whether the prompt and the batch fit.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, TypeVar

import msgspec
from starlette.requests import Request

from app.api.body import has_surrogates, read_object, too_deep
from app.errors import InvalidRequest

Schema = TypeVar("Schema", bound=msgspec.Struct)
# The longest part of a wrong value that an error message repeats, in characters.
SHOWN_CHARACTERS = 40
# Of objects and lists within each other. What handles them calls itself for each level, and Python allows about a thousand calls.
MAX_DEPTH = 100


async def read_fields(request: Request[Any], schema: type[Schema], example: str) -> Schema:
    """Read a POST: its JSON body as `schema`. Raises InvalidRequest, BodyTooLarge, RequestTimeout.

    `example` is what an error message shows as a body.
    """
    return await read_object(request, lambda fields: validate(fields, schema), example)


def validate(fields: Mapping[str, Any], schema: type[Schema], *, text: bool = False) -> Schema:
    """Convert plain values to `schema`. A field that is null counts as left out, at any depth. Raises InvalidRequest.

    `text`: numbers and booleans may be given as strings, as a query string and a web form give them.
    """
    for name, value in fields.items():
        if value is not None and name not in schema.__struct_encode_fields__:
            raise unknown_field(name, "", schema)
        check_value(name, value)
    given = without_nulls(fields)
    try:
        converted = msgspec.convert(given, schema, strict=not text)
    except msgspec.ValidationError as error:
        raise refusal(str(error), given, schema) from None
    for name, value in given.items():
        # Where text may stand for another value, msgspec takes this word for null.
        if value is not None and getattr(converted, name) is None:
            raise invalid_value(name, f"{name} is {shorten(value)}: expected a value, leave it out for none.")
    return converted


def without_nulls(value: Any) -> Any:
    """The value without its fields that are null. An item of a list that is null stays, since its place means something."""
    if isinstance(value, Mapping):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def invalid_value(param: str, message: str) -> InvalidRequest:
    """The error for a field whose value is not possible."""
    return InvalidRequest(message, param=param, code="invalid_value")


def check_value(field: str, value: object, depth: int = 1) -> None:
    """Refuse what JSON can express and nothing behind it can hold, anywhere in the value of a field. Raises InvalidRequest.

    That is numbers beyond 64 bits, unpaired surrogates, and lists within a hundred others.
    """
    if isinstance(value, str):
        if has_surrogates(value):
            raise invalid_value(field, f"{field} holds half a character (a lone surrogate): send whole characters.")
    elif isinstance(value, int | float):
        if not -(2**63) <= value < 2**63:
            raise invalid_value(field, f"{field} is too large a number: send a smaller one.")
    elif isinstance(value, list | dict):
        if depth == MAX_DEPTH:
            raise too_deep()
        for each in value.values() if isinstance(value, dict) else value:
            check_value(field, each, depth + 1)


def refusal(message: str, fields: Mapping[str, Any], schema: type[msgspec.Struct]) -> InvalidRequest:
    """Turn msgspec's "Expected `int` >= 1 - at `$.length`" into an error that names the field and its value."""
    expected, _, path = message.rpartition(" - at ") if " - at " in message else (message, "", "")
    path = re.sub(r".*`\$\.?", "", path).rstrip("`")
    name = re.split(r"[.\[]", path)[0]
    if unknown := re.search(r"unknown field `(.*)`", expected, re.DOTALL):
        return unknown_field(unknown[1], path, schema)
    if missing := re.search(r"missing required field `(.+)`", expected):
        where = f" from {path}" if path else ""
        return InvalidRequest(
            f"{missing[1]} is missing{where}: add it.", param=name or missing[1], code="missing_field"
        )
    value = shorten(value_at(path, fields))
    return invalid_value(name, f"{path} is {value}: {in_words(expected.partition(', got')[0], path, schema)}.")


def unknown_field(field: str, path: str, schema: type[msgspec.Struct]) -> InvalidRequest:
    """The error for a field of the request, or of its part at `path`, that is not known."""
    where = path or f"this request, which has {', '.join(documented_fields(schema))}"
    shown = field if re.fullmatch(r"[\w.-]{1,40}", field) else shorten(field)
    param = re.split(r"[.\[]", path)[0] if path else field
    return InvalidRequest(f"{shown} is not a field of {where}.", param=param, code="unknown_field")


def documented_fields(schema: type[msgspec.Struct]) -> list[str]:
    """The fields with a description, which leaves out those that are taken and change nothing."""
    return [
        name
        for name, hint in hints_of(schema).items()
        if any(meta.description for meta in getattr(hint, "__metadata__", ()))
    ]


@cache
def hints_of(schema: type[msgspec.Struct]) -> dict[str, Any]:
    """The annotation of each field. Reading them takes milliseconds."""
    return typing.get_type_hints(schema, include_extras=True)


def in_words(expected: str, path: str, schema: type[msgspec.Struct]) -> str:
    """What msgspec expects, as advice. A field that may only be null or empty is one that this service does not support."""
    possible = choices(path, schema)
    if expected == "Expected `null`" or expected.endswith("of length <= 0") or possible == [""]:
        return "this is not supported, leave it out"
    if possible:
        return f"expected {' or '.join(map(json.dumps, possible))}"
    return f"{expected[0].lower()}{expected[1:]}"


def choices(path: str, schema: type[msgspec.Struct]) -> list[Any]:
    """The values that the field at a path such as `messages[0].role` may have, if they can be listed."""
    hint: Any = schema
    for name in re.findall(r"[a-z]\w*", path):
        hints = [hints_of(each) for each in parts_of(hint) if hasattr(each, "__struct_fields__")]
        hint = next((each[name] for each in hints if name in each), None)
    return [value for each in parts_of(hint) if typing.get_origin(each) is Literal for value in typing.get_args(each)]


def parts_of(hint: Any) -> Iterator[Any]:
    """A type and all types inside it, such as `list[str]` and `str`."""
    yield hint
    for part in typing.get_args(hint):
        yield from parts_of(part)


def value_at(path: str, fields: Mapping[str, Any]) -> Any:
    """The value at a path such as `messages[0].content`. Where the path does not exist, the value above it."""
    value: Any = fields
    for name, position in re.findall(r"(\w+)|\[(\d+)\]", path):
        if position and isinstance(value, list):
            value = value[int(position)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
    return value


def shorten(value: object) -> str:
    """A value as JSON, cut to `SHOWN_CHARACTERS`."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"
