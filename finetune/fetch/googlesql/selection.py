"""The SELECT list: its expressions with their names, and what * stands for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlglot import exp

from finetune.fetch.googlesql.grammar import unused_arguments
from finetune.fetch.googlesql.scopes import Column, Scope
from finetune.fetch.googlesql.sql_types import INTERVAL, NULL
from finetune.fetch.googlesql.typed import Typed


class Projection(NamedTuple):
    """An expression of the SELECT list. `given` tells that the query gives it its name."""

    name: str
    value: Typed
    given: bool = True


def projections(node: exp.Select, scope: Scope) -> list[Projection]:
    """BigQuery calls what has no name f0_, f1_ and so on."""
    found: list[Projection] = []
    for each in node.expressions:
        star = each.this if isinstance(each, exp.Column) else each
        if isinstance(star, exp.Star):
            found += starred(each, star, scope)
            continue
        value = each.this if isinstance(each, exp.Alias) else each
        name = (
            each.alias if isinstance(each, exp.Alias) else each.name if isinstance(each, exp.Column | exp.Dot) else ""
        )
        if isinstance(each, exp.Dot):
            name = each.expression.name
        unnamed = sum(not projection.given for projection in found)
        found.append(Projection(name or f"f{unnamed}_", firm(value, scope), bool(name)))
    return found


def firm(node: exp.Expr, scope: Scope) -> Typed:
    """An expression of the list. A NULL without a type is INT64, and a literal is not converted later on."""
    value = scope.typed(node)
    if value.type == INTERVAL:
        raise scope.unsupported(node, "an INTERVAL in the SELECT list")
    if value.type == NULL:
        return value
    return Typed(value.sql, value.type, volatile=value.volatile, fails=value.fails)


def starred(node: exp.Expr, star: exp.Star, scope: Scope) -> Iterator[Projection]:
    if extra := unused_arguments(star, ("except_", "replace")):
        raise scope.unsupported(node, f"* with {extra[0].strip('_').upper()}")
    left_out = {each.name.lower() for each in star.args.get("except_") or []}
    replaced = {each.alias.lower(): each.this for each in star.args.get("replace") or []}
    columns = columns_of(node, scope)
    names = [column.name.lower() for column in columns]
    if unknown := next((name for name in (*left_out, *replaced) if name not in names), None):
        raise scope.error(node, f"Column {unknown} in SELECT * EXCEPT or REPLACE list does not exist")
    for column in columns:
        name = column.name.lower()
        if names.count(name) > 1 and name not in left_out:
            raise scope.error(node, f"* has two columns {column.name}: name the columns")
        if name not in left_out:
            value = firm(replaced[name], scope) if name in replaced else Typed(column.sql, column.type)
            yield Projection(column.name, value)


def columns_of(node: exp.Expr, scope: Scope) -> list[Column]:
    """The columns of t.* or *; with USING, those that are joined come first, and once."""
    table = node.args.get("table") if isinstance(node, exp.Column) else None
    if table is not None:
        sources = [source for source in scope.sources if source.alias.lower() == table.name.lower()]
        if not sources or node.args.get("db"):
            raise scope.unsupported(node, f"{table.name}.*")
        return [column for column in sources[0].columns if not column.hidden]
    if not scope.sources:
        raise scope.error(node, "SELECT * must have a FROM clause")
    others = [
        column for source in scope.sources for column in source.columns
        if not column.hidden and column.name.lower() not in scope.merged
    ]  # fmt: skip
    return [*scope.merged.values(), *others]
