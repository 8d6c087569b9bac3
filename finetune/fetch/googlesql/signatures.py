"""Signatures: which types the functions take and return, and the choice among several of one name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from finetune.fetch.googlesql.sql_types import (
    BOOL,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    INTERVAL,
    NULL,
    STRING,
    TIMESTAMP,
    SqlType,
    array_of,
)  # fmt: skip
from finetune.fetch.googlesql.typed import Call, Typed, coerced, unified

TYPES = {str(kind): kind for kind in (STRING, BYTES, INT64, FLOAT64, BOOL, DATE, TIMESTAMP, INTERVAL)}
PART = "part"
"""A parameter that is a word of the language, such as MONTH or NFKC."""
ANY = "any"
"""A parameter of any type, whatever the others have."""
Template = str | Callable[[Call], str]
Declaration = tuple[str, Template]


class Function(NamedTuple):
    """One signature of a function.

    A parameter is a type, `T` (any type, the same for all T), `ARRAY<T>`, `any`, `part`, or one of these with `...`,
    which may be repeated. `sql` has {0}, {1} … for the arguments, {all} for all of them, and {fail[…]} where BigQuery ends
    in an error.
    """

    name: str
    parameters: Sequence[str]
    result: str
    sql: Template
    native_errors: bool
    """Whether DuckDB itself ends in an error where BigQuery does, so that SAFE could not turn it into NULL."""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"

    def parameter(self, number: int) -> str:
        """The parameter that an argument is for; empty if there is none."""
        if number >= len(self.parameters):
            return self.parameters[-1].removesuffix("...") if self.is_variadic else ""
        return self.parameters[number].removesuffix("...")

    @property
    def is_variadic(self) -> bool:
        return bool(self.parameters) and self.parameters[-1].endswith("...")

    def takes(self, count: int) -> bool:
        return count >= len(self.parameters) if self.is_variadic else count == len(self.parameters)


def declared(*declarations: Declaration) -> Mapping[str, list[Function]]:
    """Functions by their name, each written as "NAME|OTHER NAME(PARAMETERS) RESULT", with its SQL.

    A `!` at the end tells that DuckDB itself ends in errors.
    """
    found: dict[str, list[Function]] = {}
    for signature, sql in declarations:
        names, parameters, result, mark = re.fullmatch(r"([\w|]+)\((.*)\) (\S+?)(!?)", signature).groups()  # type: ignore[union-attr]
        for name in names.split("|"):
            listed = parameters.split(", ") if parameters else []
            found.setdefault(name, []).append(Function(name, listed, result, sql, bool(mark)))
    return found


class Match(NamedTuple):
    """A function that takes the arguments, which have been given its types."""

    function: Function
    arguments: list[Typed]
    result: SqlType


def matching(functions: Sequence[Function], arguments: Sequence[Typed]) -> Match | None:
    """The first function that takes the arguments as they are, or else with the types that BigQuery would give them."""
    found = [match for function in functions if (match := bound(function, arguments))]
    unchanged = [each for each in found if [a.type for a in each.arguments] == [a.type for a in arguments]]
    return next(iter(unchanged or found), None)


def bound(function: Function, arguments: Sequence[Typed]) -> Match | None:
    if not function.takes(len(arguments)):
        return None
    kinds = [function.parameter(number) for number in range(len(arguments))]
    generic = bind_generic(kinds, arguments)
    if generic is None and "T" in " ".join(kinds).replace("<", " ").replace(">", " ").split():
        return None
    given = []
    for kind, argument in zip(kinds, arguments, strict=True):
        wanted = argument.type if kind in (PART, ANY) else named_type(kind, generic)
        converted = coerced(argument, wanted) if wanted else None
        if converted is None:
            return None
        given.append(converted)
    result = named_type(function.result, generic)
    return Match(function, given, result) if result else None


def bind_generic(kinds: Sequence[str], arguments: Sequence[Typed]) -> SqlType | None:
    """The type that T stands for in these parameters."""
    plain = [argument for kind, argument in zip(kinds, arguments, strict=True) if kind == "T"]
    arrays = [argument.type for kind, argument in zip(kinds, arguments, strict=True) if kind == "ARRAY<T>"]
    elements = [kind.element for kind in arrays if kind.name == "ARRAY"]
    if elements:
        return elements[0]
    together = unified(plain)
    return together[0].type if together else None


def named_type(name: str, generic: SqlType | None) -> SqlType | None:
    if name == "T":
        return generic
    if name.startswith("ARRAY<"):
        element = named_type(name[len("ARRAY<") : -1], generic)
        return array_of(element) if element and element != NULL else None
    return TYPES[name]
