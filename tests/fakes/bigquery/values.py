"""Types and values: GoogleSQL's, DuckDB's, and how the REST API writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.fakes.bigquery.errors import Refused

Row = dict[str, Any]
TO_DUCKDB = {
    "STRING": "VARCHAR", "INTEGER": "BIGINT", "INT64": "BIGINT", "FLOAT": "DOUBLE", "FLOAT64": "DOUBLE", "JSON": "JSON",
    "BOOLEAN": "BOOLEAN", "BOOL": "BOOLEAN", "TIMESTAMP": "TIMESTAMP WITH TIME ZONE", "DATE": "DATE",
    "DATETIME": "TIMESTAMP", "BYTES": "BLOB", "NUMERIC": "DECIMAL(38, 9)",
}  # fmt: skip
FROM_DUCKDB = {
    "varchar": "STRING", "bigint": "INTEGER", "integer": "INTEGER", "smallint": "INTEGER", "tinyint": "INTEGER",
    "hugeint": "INTEGER", "ubigint": "INTEGER", "uinteger": "INTEGER", "double": "FLOAT", "float": "FLOAT",
    "boolean": "BOOLEAN", "timestamp with time zone": "TIMESTAMP", "date": "DATE", "timestamp": "DATETIME",
    "blob": "BYTES", "decimal": "NUMERIC",
}  # fmt: skip


def parameters(given: list[Row]) -> Row:
    return {one["name"]: parameter(one["parameterType"], one.get("parameterValue", {})) for one in given}


def parameter(kind: Row, given: Row) -> Any:
    if kind["type"] == "ARRAY":
        return [parameter(kind["arrayType"], value) for value in given.get("arrayValues", [])]
    value = given.get("value")
    if value is None:
        return None
    match kind["type"]:
        case "INT64" | "INTEGER":
            return int(value)
        case "FLOAT64" | "FLOAT":
            return float(value)
        case "BOOL" | "BOOLEAN":
            return str(value).lower() == "true"
        case "TIMESTAMP":
            return datetime.fromisoformat(value.replace(" UTC", "+00:00"))
        case "STRING" | "DATE" | "JSON":
            return value
    raise Refused(501, "notImplemented", f"The fake takes no parameter of type {kind['type']}.")


def sql_type(value: Any) -> str:
    """The GoogleSQL type of a Python value."""
    match value:
        case list():
            return f"ARRAY<{sql_type(value[0])}>" if value else "ARRAY<STRING>"
        case bool():
            return "BOOL"
        case int():
            return "INT64"
        case float():
            return "FLOAT64"
        case datetime():
            return "TIMESTAMP"
        case date():
            return "DATE"
    return "STRING"


def duckdb_type(kind: str) -> str:
    inner = re.fullmatch(r"ARRAY<(.+)>", kind)
    return f"{TO_DUCKDB[inner[1]]}[]" if inner else TO_DUCKDB[kind]


def column_of(column: Row) -> str:
    """A field of a table's schema as a column of CREATE TABLE."""
    kind = column["type"]
    if kind in ("RECORD", "STRUCT"):
        kind = f"STRUCT({', '.join(column_of(inner) for inner in column['fields'])})"
    elif kind in TO_DUCKDB:
        kind = TO_DUCKDB[kind]
    else:
        raise Refused(400, "invalid", f"Invalid value for type: {kind} is not a valid value")
    many = "[]" if column.get("mode") == "REPEATED" else ""
    required = " NOT NULL" if column.get("mode") == "REQUIRED" else ""
    return f'"{column["name"]}" {kind}{many}{required}'


def taken(value: Any, kind: str) -> Any:
    """A value as insertAll takes it: a number is a time in seconds."""
    if kind == TO_DUCKDB["TIMESTAMP"] and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return value


def schema_field(name: str, kind: Any) -> Row:
    """A column that DuckDB found as a field of BigQuery's schema."""
    if kind.id == "list":
        return schema_field(name, kind.children[0][1]) | {"mode": "REPEATED"}
    if kind.id == "struct":
        return {"name": name, "type": "RECORD", "mode": "NULLABLE"} | {
            "fields": [schema_field(inner, inner_kind) for inner, inner_kind in kind.children]
        }
    if str(kind) == "JSON":
        return {"name": name, "type": "JSON", "mode": "NULLABLE"}
    if str(kind) == '"NULL"':
        return {"name": name, "type": "INTEGER", "mode": "NULLABLE"}
    if kind.id not in FROM_DUCKDB:
        raise Refused(501, "notImplemented", f"The fake answers no column of DuckDB's type {kind}.")
    return {"name": name, "type": FROM_DUCKDB[kind.id], "mode": "NULLABLE"}


def cell(value: Any, whole: bool) -> Any:
    """A value as tabledata.list writes it. Times are microseconds if `whole`, else seconds."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case list():
            return [{"v": cell(inner, whole)} for inner in value]
        case dict():
            return {"f": [{"v": cell(inner, whole)} for inner in value.values()]}
        case datetime() if value.tzinfo:
            seconds = value.astimezone(UTC)
            micros = int((seconds - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)
            return str(micros) if whole else repr(micros / 1e6)
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value.normalize():f}"
    return str(value)
