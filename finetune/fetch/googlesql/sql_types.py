"""GoogleSQL's types, as expressions and columns have them, and DuckDB's types for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlglot import exp

DUCKDB_NAMES = {
    "STRING": "VARCHAR", "BYTES": "BLOB", "INT64": "BIGINT", "FLOAT64": "DOUBLE", "BOOL": "BOOLEAN", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip
# Types as the parser names them. What is missing here (NUMERIC, DATETIME, JSON, …) is refused.
PARSED_NAMES = {
    exp.DType.TEXT: "STRING", exp.DType.BINARY: "BYTES", exp.DType.BIGINT: "INT64", exp.DType.DOUBLE: "FLOAT64",
    exp.DType.BOOLEAN: "BOOL", exp.DType.DATE: "DATE", exp.DType.TIMESTAMPTZ: "TIMESTAMP",
}  # fmt: skip


class SqlType(NamedTuple):
    """A type. `fields` are those of a STRUCT, or the one nameless element of an ARRAY."""

    name: str
    fields: tuple[tuple[str, SqlType], ...] = ()

    def __str__(self) -> str:
        if not self.fields:
            return self.name
        return f"{self.name}<{', '.join(f'{name} {kind}'.strip() for name, kind in self.fields)}>"

    @property
    def element(self) -> SqlType:
        return self.fields[0][1]

    @property
    def is_scalar(self) -> bool:
        return self.name not in ("ARRAY", "STRUCT")

    @property
    def duckdb(self) -> str:
        """DuckDB's name of the type."""
        if self.name == "ARRAY":
            return f"{self.element.duckdb}[]"
        if self.name == "STRUCT":
            listed = ", ".join(f"{identifier(name)} {kind.duckdb}" for name, kind in self.fields)
            return f"STRUCT({listed})"
        return DUCKDB_NAMES.get(self.name, "BIGINT")


STRING, BYTES, INT64, FLOAT64 = SqlType("STRING"), SqlType("BYTES"), SqlType("INT64"), SqlType("FLOAT64")
BOOL, DATE, TIMESTAMP = SqlType("BOOL"), SqlType("DATE"), SqlType("TIMESTAMP")
INTERVAL = SqlType("INTERVAL")
NULL = SqlType("NULL")
"""The type of a NULL that nothing has given a type."""


def array_of(element: SqlType) -> SqlType:
    return SqlType("ARRAY", (("", element),))


def identifier(name: str) -> str:
    """A name as SQL, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def string_literal(text: str) -> str:
    """A text as a string of SQL, for the places where DuckDB takes no parameter."""
    return "'" + text.replace("'", "''") + "'"


def supertype(types: Sequence[SqlType]) -> SqlType | None:
    """The type that values of all these types become together; None if BigQuery has none."""
    known = [kind for kind in types if kind != NULL]
    if not known:
        return NULL
    if all(kind == known[0] for kind in known):
        return known[0]
    return FLOAT64 if {kind.name for kind in known} == {"INT64", "FLOAT64"} else None


def parsed_type(node: exp.DataType) -> SqlType | None:
    """The type that a query names; None if it is not supported."""
    if node.this == exp.DType.ARRAY and len(node.expressions) == 1:
        element = parsed_type(node.expressions[0])
        return array_of(element) if element else None
    name = PARSED_NAMES.get(node.this)
    return SqlType(name) if name and not node.expressions else None
