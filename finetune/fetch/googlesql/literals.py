"""Literals, parameters and intervals: expressions whose value the query itself has."""

from __future__ import annotations

import math
import re

from sqlglot import exp

from finetune.fetch.googlesql import operators
from finetune.fetch.googlesql.grammar import position_of
from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.sql_types import BOOL, BYTES, FLOAT64, INT64, INTERVAL, NULL, STRING, string_literal
from finetune.fetch.googlesql.typed import Typed
from finetune.fetch.query import SqlError


def literal(node: exp.Expr, scope: Scope) -> Typed:
    if isinstance(node, exp.HexString):
        return whole_number(node, int(node.name, 16), scope)
    if isinstance(node, exp.RawString) or node.is_string:
        if "\0" in node.name:
            raise scope.unsupported(node, "a text with a NUL character")
        return Typed(string_literal(node.name), STRING, node.name)
    if node.name.isdecimal():
        return whole_number(node, int(node.name), scope)
    number = float(node.name)
    if not math.isfinite(number):
        raise scope.error(node, f"Invalid floating point literal: {node.name}")
    return Typed(f"CAST('{node.name}' AS DOUBLE)", FLOAT64, number)


def whole_number(node: exp.Expr, number: int, scope: Scope) -> Typed:
    if not -(2**63) <= number < 2**63:
        raise scope.error(node, f"Invalid integer literal: {number}")
    return Typed(f"CAST({number} AS BIGINT)", INT64, number)


def byte_literal(node: exp.ByteString, scope: Scope) -> Typed:
    try:
        data = node.name.encode("ascii")
    except UnicodeEncodeError:
        raise scope.unsupported(node, "a BYTES literal with characters beyond ASCII") from None
    return Typed(f"unhex('{data.hex()}')", BYTES, data)


def opposite(node: exp.Neg, scope: Scope) -> Typed:
    if isinstance(node.this, exp.Literal) and not node.this.is_string:
        if node.this.name.isdecimal():
            return whole_number(node, -int(node.this.name), scope)
        number = literal(node.this, scope)
        return number._replace(sql=f"(-{number.sql})", value=-number.value)
    return operators.opposite(node, scope)


def boolean(node: exp.Boolean, scope: Scope) -> Typed:
    return Typed("TRUE" if node.this else "FALSE", BOOL, bool(node.this))


def null(node: exp.Null, scope: Scope) -> Typed:
    return Typed("NULL", NULL)


def parameter(node: exp.Parameter, scope: Scope) -> Typed:
    name = node.name.lower()
    values = {each.lower(): (each, value) for each, value in scope.statement.values.items()}
    if name not in values:
        raise SqlError(f"Query parameter '{node.name}' not found", *position_of(f"@{node.name}", scope.statement.sql))
    own, value = values[name]
    kind = {bool: BOOL, int: INT64, float: FLOAT64, str: STRING}[type(value)]
    scope.statement.used[f"given_{own}"] = value
    return Typed(f"CAST($given_{own} AS {kind.duckdb})", kind, value)


def interval(node: exp.Interval, scope: Scope) -> Typed:
    unit = node.args.get("unit")
    count = node.this
    if not isinstance(unit, exp.Var):
        raise scope.unsupported(node, scope.written(node))
    if isinstance(count, exp.Literal) and count.is_string:
        if not re.fullmatch(r"[+-]?\d+", count.name, re.ASCII):
            raise scope.unsupported(node, scope.written(node))
        found = whole_number(node, int(count.name), scope)
    else:
        found = scope.typed(count)
    if found.type != INT64:
        raise scope.unsupported(node, f"an INTERVAL of {found.type}")
    return found._replace(type=INTERVAL, unit=unit.name.upper())
