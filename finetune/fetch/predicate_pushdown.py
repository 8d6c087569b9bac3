"""Predicate pushdown: which rows of a table a query can use, so that no others are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sqlglot import exp

from finetune.fetch.googlesql.grammar import parse
from finetune.fetch.googlesql.queries import statement_of
from finetune.fetch.googlesql.scopes import Column, FromItem, Scope, Statement
from finetune.fetch.googlesql.sql_types import FLOAT64, SqlType, identifier
from finetune.fetch.parameters import Value
from finetune.fetch.query import SqlError


class Predicate(NamedTuple):
    """A condition on the rows of a table, as DuckDB SQL, with the values of its named parameters."""

    sql: str
    values: Mapping[str, Any]


ALL_ROWS = Predicate("TRUE", {})


def pushed_down_predicate(sql: str, address: str, columns: Mapping[str, str], values: Mapping[str, Value]) -> Predicate:
    """The WHERE terms of a query that concern this table only. `columns` are the table's, with their GoogleSQL types.

    A table that is read in several places keeps the rows that any of them can use.
    """
    statement = statement_of(sql, {}, values)
    found = [
        own_terms(table, columns, statement) for table in parse(sql).find_all(exp.Table) if address_of(table) == address
    ]
    if not found or not all(found):
        return ALL_ROWS
    either = [" AND ".join(term.sql for term in terms) for terms in found]
    used = {name: value for terms in found for term in terms for name, value in term.values.items()}
    return Predicate(" OR ".join(f"({each})" for each in either), used)


def address_of(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)


def own_terms(table: exp.Table, columns: Mapping[str, str], statement: Statement) -> list[Predicate]:
    """The terms, joined by AND, of the WHERE around a table that use its columns only, and never end in an error."""
    select = table.find_ancestor(exp.Select)
    joins = select.args.get("joins") or [] if select else []
    # Below an outer join a missing row becomes NULLs, which WHERE may ask for, so no row may be left out.
    outer = any(join.side for join in joins)
    where = select.args.get("where") if select else None
    if where is None or outer or not (isinstance(table.parent, exp.From) or table.parent in joins):
        return []
    terms = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    qualifiers = {table.alias_or_name.lower()} | (set() if joins else {""})
    # DuckDB compares NaN otherwise, so numbers that may be NaN decide nothing here.
    known = [Column(name, identifier(name), SqlType(kind)) for name, kind in columns.items() if kind != str(FLOAT64)]
    scope = Scope(statement, sources=[FromItem(table.alias_or_name, known)])
    found = [compiled_term(term, scope) for term in terms if concerns_only(term, qualifiers)]
    return [term for term in found if term is not None]


def concerns_only(term: exp.Expr, qualifiers: Collection[str]) -> bool:
    """Whether a term names columns as those of one table, and has no subquery."""
    return not term.find(exp.Query) and all(column.table.lower() in qualifiers for column in term.find_all(exp.Column))


def compiled_term(term: exp.Expr, scope: Scope) -> Predicate | None:
    """None for a term with a column that the table has not, and for one that may fail or changes with each evaluation."""
    statement = replace(scope.statement, used={})
    try:
        found = replace(scope, statement=statement).typed(term)
    except SqlError:
        return None
    return None if found.fails or found.volatile else Predicate(found.sql, statement.values_in(found.sql))
