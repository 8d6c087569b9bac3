"""ARRAY_AGG and STRING_AGG: aggregates that gather values in an order, up to a limit."""

from __future__ import annotations

from typing import NamedTuple

from sqlglot import exp

from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.sql_types import STRING, array_of
from finetune.fetch.googlesql.typed import Typed, coerced, combined


class Gathered(NamedTuple):
    """The parts of NAME([DISTINCT] value [, separator] [IGNORE NULLS] [ORDER BY …] [LIMIT n])."""

    value: exp.Expr
    separator: exp.Expr | None
    distinct: bool
    ignore_nulls: bool
    order: exp.Order | None
    limit: exp.Expr | None


def gathered(node: exp.Anonymous, scope: Scope) -> Typed:
    parts = parts_of(node, scope)
    value = scope.typed(parts.value)
    name = node.name.upper()
    if value.type.name == "ARRAY" or (parts.distinct and not value.type.is_scalar):
        raise scope.unsupported(node, f"{name} of {value.type}")
    order = ordering(node, scope, parts)
    distinct = "DISTINCT " if parts.distinct else ""
    leave_out = name == "STRING_AGG" or parts.ignore_nulls
    filtered = f" FILTER (WHERE {value.sql} IS NOT NULL)" if leave_out else ""
    sql = f"list({distinct}{value.sql}{order}){filtered}"
    if parts.limit:
        sql = f"list_slice({sql}, 1, {limit_of(node, scope, parts.limit)})"
    if name == "ARRAY_AGG":
        return combined(f"({sql})", array_of(value.type), [value])
    return joined_text(node, scope, sql, value, parts)


def joined_text(node: exp.Anonymous, scope: Scope, sql: str, value: Typed, parts: Gathered) -> Typed:
    separator = scope.typed(parts.separator) if parts.separator else Typed("','", STRING, ",")
    if coerced(value, STRING) is None or separator.type != STRING or not separator.is_constant:
        raise scope.unsupported(
            node, f"STRING_AGG({value.type}, {separator.type}) other than a text and a constant text"
        )
    if parts.ignore_nulls:
        raise scope.unsupported(node, "STRING_AGG with IGNORE NULLS")
    return combined(f"array_to_string({sql}, {separator.sql})", STRING, [value])


def parts_of(node: exp.Anonymous, scope: Scope) -> Gathered:
    """The parser wraps the last argument in LIMIT, ORDER BY, IGNORE NULLS and DISTINCT, in several orders."""
    distinct = ignore = False
    order = limit = None
    values: list[exp.Expr] = []
    waiting = list(node.expressions)
    while waiting:
        inner = waiting.pop(0)
        match inner:
            case exp.Limit() if limit is None and inner.args.get("this") is not None:
                limit = inner.expression
                waiting.insert(0, inner.this)
            case exp.Order() if order is None and inner.args.get("this") is not None:
                order = inner
                waiting.insert(0, inner.this)
            case exp.IgnoreNulls():
                ignore = True
                waiting.insert(0, inner.this)
            case exp.RespectNulls():
                waiting.insert(0, inner.this)
            case exp.Distinct() if not distinct and not inner.args.get("on") and not values:
                distinct = True
                waiting = [*inner.expressions, *waiting]
            case exp.HavingMax() | exp.Limit() | exp.Order() | exp.Distinct() | exp.Star():
                raise scope.unsupported(node, f"{node.name.upper()} with this modifier")
            case _:
                values.append(inner)
    if not 1 <= len(values) <= (2 if node.name.upper() == "STRING_AGG" else 1):
        raise scope.error(node, f"{node.name.upper()} takes one value")
    return Gathered(values[0], values[1] if len(values) > 1 else None, distinct, ignore, order, limit)


def ordering(node: exp.Anonymous, scope: Scope, parts: Gathered) -> str:
    if parts.order is None:
        return ""
    if parts.distinct and any(term.this != parts.value for term in parts.order.expressions):
        raise scope.error(node, "with DISTINCT, ORDER BY takes the value itself")
    return f" {order_terms(scope, parts.order)}"


def order_terms(scope: Scope, order: exp.Order) -> str:
    return f"ORDER BY {', '.join(order_term(scope, term, scope.typed(term.this)) for term in order.expressions)}"


def order_term(scope: Scope, term: exp.Ordered, value: Typed) -> str:
    """NULLs come first in ascending order and last in descending order, unless the query says otherwise."""
    if not value.type.is_scalar:
        raise scope.error(term.this, f"ORDER BY does not support expressions of type {value.type.name}")
    if term.args.get("with_fill"):
        raise scope.unsupported(term.this, "ORDER BY with this modifier")
    direction = "DESC" if term.args.get("desc") else "ASC"
    return f"{value.sql} {direction} NULLS {'FIRST' if term.args.get('nulls_first') else 'LAST'}"


def limit_of(node: exp.Expr, scope: Scope, limit: exp.Expr) -> str:
    """LIMIT and OFFSET take a whole number or a parameter. Raises SqlError."""
    if isinstance(limit, exp.Literal | exp.Parameter):
        found = scope.typed(limit)
        if found.is_constant and type(found.value) is int and found.value >= 0:
            return found.sql
    raise scope.error(node, "LIMIT and OFFSET take a whole number or a parameter that is one")
