"""Parameters: what --param name=value can set, for a query or for a named source."""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec
import msgspec.structs

from app.errors import SettingError

Value = str | int | float | bool
# GoogleSQL's types, and what a message calls their values.
TYPES = {"STRING": "text", "INT64": "a whole number", "FLOAT64": "a number", "BOOL": "true or false"}
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
Options = TypeVar("Options", bound=msgspec.Struct)


class Parameter(NamedTuple):
    """A parameter. `type` is GoogleSQL's; without a default it has to be given."""

    name: str
    type: str
    default: Value | None
    meaning: str
    choices: Sequence[str] = ()
    minimum: int | None = None


def bind(owner: str, parameters: Sequence[Parameter], given: Sequence[str]) -> dict[str, Value]:
    """Each parameter's value: as given in "name=value", or its default. Raises SettingError naming the parameter.

    `owner` is the query or source, for messages.
    """
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Value] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise SettingError(f"--param is {pair!r}, and should be name=value.")
        if name not in known:
            raise SettingError(f"{owner} has no parameter {name!r}; it has {', '.join(known) or 'none'}.")
        if name in values:
            raise SettingError(f"--param {name} is given twice.")
        values[name] = convert(known[name], text)
    return {name: value_of(owner, parameter, values) for name, parameter in known.items()}


def value_of(owner: str, parameter: Parameter, values: dict[str, Value]) -> Value:
    value = values.get(parameter.name, parameter.default)
    if value is None:
        raise SettingError(f"{owner} needs --param {parameter.name}=…: {parameter.meaning}.")
    return value


def convert(parameter: Parameter, text: str) -> Value:
    """The text of the command line as a value of the parameter's type. Raises SettingError."""
    value = parse_value(parameter.type, text)
    if value is None:
        expected = TYPES[parameter.type]
    elif parameter.choices and value not in parameter.choices:
        expected = f"one of {', '.join(parameter.choices)}"
    elif parameter.minimum is not None and float(value) < parameter.minimum:
        expected = f"{parameter.minimum} or more"
    else:
        return value
    raise SettingError(f"--param {parameter.name} is {text!r}, and should be {expected}.")


def parse_value(kind: str, text: str) -> Value | None:
    """None if the text is not of this GoogleSQL type."""
    try:
        match kind:
            case "INT64":
                return number if WHOLE.fullmatch(text) and -(2**63) <= (number := int(text)) < 2**63 else None
            case "FLOAT64":
                return fraction if DECIMAL.fullmatch(text) and math.isfinite(fraction := float(text)) else None
            case "BOOL":
                return {"true": True, "false": False}[text.lower()]
            case _:
                return text
    except (ValueError, KeyError):
        return None


def bind_options(owner: str, options: type[Options], given: Sequence[str]) -> Options:
    """The options of a named source, as given in "name=value" or by default. Raises SettingError."""
    return msgspec.convert(bind(owner, parameters_of(options), given), options)


def parameters_of(options: type[msgspec.Struct]) -> list[Parameter]:
    """The fields of an options class as parameters. Each field is Annotated with its meaning."""
    return [parameter_of(field) for field in msgspec.structs.fields(options)]


def parameter_of(field: msgspec.structs.FieldInfo) -> Parameter:
    kind, meta = typing.get_args(field.type)
    default = None if field.required else field.default
    choices = typing.get_args(kind)
    return Parameter(
        field.name, "INT64" if kind is int else "STRING", default, str(meta.description), choices, minimum=meta.ge
    )
