"""Predicate pushdown: which rows of a table a query can use, so that no others are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlglot import exp

from finetune.fetch.googlesql import parse, referenced_tables
from finetune.fetch.parameters import Value


def pushed_down_predicate(sql: str, address: str, columns: Collection[str], values: Mapping[str, Value]) -> str:
    """The WHERE terms of a query that concern this table only, as DuckDB SQL with the parameters' values inserted.

    A table that is read in several places keeps the rows that any of them can use. TRUE keeps all rows.
    """
    found = [own_terms(table, columns) for table, name in referenced_tables(parse(sql)) if name == address]
    if not found or not all(found):
        return "TRUE"

    def standalone(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            return exp.column(node.name, quoted=True)
        return exp.convert(values[node.name]) if isinstance(node, exp.Parameter) and node.name in values else node

    return exp.or_(*(exp.and_(*terms) for terms in found)).transform(standalone).sql(dialect="duckdb")


def own_terms(table: exp.Table, columns: Collection[str]) -> list[exp.Expr]:
    """The terms, joined by AND, of the WHERE around a table that use its columns only."""
    select = table.find_ancestor(exp.Select)
    joins = select.args.get("joins") or [] if select else []
    # Below an outer join a missing row becomes NULLs, which WHERE may ask for, so no row may be left out.
    outer = any(join.side for join in joins)
    where = select.args.get("where") if select else None
    if where is None or outer or not (isinstance(table.parent, exp.From) or table.parent in joins):
        return []
    terms = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    qualifiers = {table.alias_or_name.lower()} | (set() if joins else {""})
    return [term for term in terms if concerns_only(term, qualifiers, columns)]


def concerns_only(term: exp.Expr, qualifiers: Collection[str], columns: Collection[str]) -> bool:
    """Whether a term uses columns of one table only, and has the same value each time it is evaluated."""
    if term.find(exp.Query, exp.Window, exp.AggFunc, exp.Rand):
        return False
    return all(column.table.lower() in qualifiers and column.name in columns for column in term.find_all(exp.Column))
