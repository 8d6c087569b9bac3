"""What compiled GoogleSQL evaluates to on DuckDB, for the fuzz tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import duckdb

from finetune.fetch.googlesql.queries import compiled
from finetune.fetch.googlesql.scopes import Column, Relation
from finetune.fetch.googlesql.sql_types import BOOL, DATE, FLOAT64, INT64, STRING, TIMESTAMP, SqlType

ERROR = "error"
KINDS: dict[type, SqlType] = {str: STRING, int: INT64, float: FLOAT64, bool: BOOL, date: DATE, datetime: TIMESTAMP}


def values_of(
    connection: duckdb.DuckDBPyConnection, expressions: Sequence[str], arguments: dict[str, Any], constant: bool
) -> list[Any]:
    """The values of expressions, in which {x} stands for the argument x; [ERROR] if one of them ends in one."""
    names = {name: f"@{name}" if constant else name for name in arguments}
    columns = [Column(name, "", KINDS[type(value)]) for name, value in arguments.items()]
    listed = ", ".join(f"CAST($column_{column.name} AS {column.type.duckdb}) AS {column.name}" for column in columns)
    selected = ", ".join(expression.format(**names) for expression in expressions)
    query = compiled(f"SELECT {selected} FROM t", {"t": Relation(f"(SELECT {listed})", columns)}, arguments)
    given = {f"column_{name}": value for name, value in arguments.items()} | dict(query.values)
    try:
        return list(connection.sql(query.sql, params=given).to_arrow_table().to_pylist()[0].values())
    except duckdb.Error:
        return [ERROR]


def check(connection: duckdb.DuckDBPyConnection, expected: dict[str, Any], **arguments: Any) -> None:
    """Hold expressions to their expected values. Those that should end in an error run one by one."""
    constants = [False] if any(isinstance(value, date) for value in arguments.values()) else [False, True]
    fine = {expression: value for expression, value in expected.items() if value != ERROR}
    groups = [fine] * bool(fine) + [{expression: ERROR} for expression in expected if expression not in fine]
    for constant in constants:
        for group in groups:
            found = values_of(connection, list(group), arguments, constant)
            wanted = list(group.values())
            assert [(value, type(value)) for value in found] == [(value, type(value)) for value in wanted], arguments
