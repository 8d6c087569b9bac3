"""A typed expression: its SQL for DuckDB, its GoogleSQL type, and what has to be known of it to use it rightly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

from finetune.fetch.googlesql.sql_types import (
    DATE,
    FLOAT64,
    INT64,
    NULL,
    STRING,
    TIMESTAMP,
    SqlType,
    string_literal,
    supertype,
)
from finetune.fetch.googlesql.timestamp_text import micros_of

UNKNOWN = object()
"""The value of an expression that is only known for each row."""


class Typed(NamedTuple):
    """An expression. `value` is that of a literal or parameter; `unit` is that of an INTERVAL.

    `volatile` expressions have another value at each evaluation. `fails` tells that one may end in an error.
    """

    sql: str
    type: SqlType
    value: Any = UNKNOWN
    volatile: bool = False
    fails: bool = False
    unit: str = ""

    @property
    def is_constant(self) -> bool:
        return self.value is not UNKNOWN


class Failure:
    """What an expression gives where BigQuery would end in an error: an error that names the place, or NULL for SAFE."""

    def __init__(self, place: tuple[int, int], safe: bool = False) -> None:
        self.place, self.safe = place, safe

    def __getitem__(self, message: str) -> str:
        """In a template: {fail[division by zero]}."""
        if self.safe:
            return "NULL"
        line, column = self.place
        return f"error({string_literal(f'line {line}, column {column}: {message}')})"


class Call(NamedTuple):
    """A call of a function, for functions whose SQL depends on their constant arguments."""

    name: str
    arguments: Sequence[Typed]
    fail: Failure
    refuse: Callable[[str], Exception]


def combined(sql: str, kind: SqlType, parts: Sequence[Typed], fails: bool = False) -> Typed:
    """An expression made of others. `fails` tells that it may fail even where they do not."""
    return Typed(
        sql, kind, volatile=any(part.volatile for part in parts), fails=fails or any(part.fails for part in parts)
    )


def coerced(expression: Typed, kind: SqlType) -> Typed | None:
    """The expression with a type that BigQuery gives it where this type is wanted; None if it gives an error."""
    if expression.type == kind:
        return expression
    if expression.type == NULL:
        return expression._replace(sql=f"CAST(NULL AS {kind.duckdb})", type=kind)
    if expression.type == INT64 and kind == FLOAT64:
        return expression._replace(sql=f"CAST({expression.sql} AS DOUBLE)", type=kind)
    if expression.type == STRING and expression.is_constant and kind in (DATE, TIMESTAMP):
        return dated(expression, kind)
    return None


def dated(expression: Typed, kind: SqlType) -> Typed | None:
    """A constant text as a DATE or TIMESTAMP; None if it is none."""
    try:
        micros = micros_of(expression.value)
    except ValueError:
        return None
    if kind == DATE and len(expression.value) > len("2019-08-01"):
        return None
    sql = f"make_timestamptz({micros})"
    if kind == DATE:
        days = micros // 86_400_000_000
        sql = f"DATE '{date.fromordinal(date(1970, 1, 1).toordinal() + days)}'"
    return expression._replace(sql=sql, type=kind, value=UNKNOWN)


def unified(expressions: Sequence[Typed]) -> list[Typed] | None:
    """The expressions with the one type that BigQuery gives them together, as in CASE or IN; None if there is none."""
    firm = [each.type for each in expressions if not (each.is_constant and each.type == STRING)]
    for kind in (supertype(firm), supertype([each.type for each in expressions])):
        if kind is not None and kind != NULL:
            found = [coerced(each, kind) for each in expressions]
            if all(each is not None for each in found):
                return [each for each in found if each is not None]
    return list(expressions) if all(each.type == NULL for each in expressions) else None
