"""Scopes: which columns and aliases a name can mean at a place in a query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sqlglot import exp

from finetune.fetch.googlesql.grammar import call_place, words_of
from finetune.fetch.googlesql.sql_types import SqlType, identifier
from finetune.fetch.googlesql.typed import Typed
from finetune.fetch.query import SqlError


class Column(NamedTuple):
    """A column. `hidden` ones are not part of *."""

    name: str
    sql: str
    type: SqlType
    hidden: bool = False


class Relation(NamedTuple):
    """A table or the result of a query, as DuckDB SQL, with its columns."""

    sql: str
    columns: Sequence[Column]


class FromItem(NamedTuple):
    """A relation in FROM, by its alias."""

    alias: str
    columns: Sequence[Column]

    def named(self, name: str) -> list[Column]:
        return [column for column in self.columns if column.name.lower() == name.lower()]


@dataclass(frozen=True)
class Statement:
    """A whole statement: its text, its tables by their addresses, the values of its parameters, and what compiles its nodes."""

    sql: str
    tables: Mapping[str, Relation]
    values: Mapping[str, Any]
    expression: Callable[[exp.Expr, Scope], Typed]
    query: Callable[[exp.Expr, Scope], Relation]
    used: dict[str, Any] = field(default_factory=dict)
    """The values that parts of the compiled SQL name, by their names there."""

    def values_in(self, sql: str) -> dict[str, Any]:
        """The values that a statement of DuckDB names: it takes no others."""
        return {name: value for name, value in self.used.items() if re.search(rf"\${name}\b", sql)}

    def error(self, node: exp.Expr, message: str) -> SqlError:
        return SqlError(message, *call_place(node, self.sql))


@dataclass(frozen=True)
class Scope:
    """What names mean. `aliases` are those of the SELECT list, where a clause may use them."""

    statement: Statement
    tables: Mapping[str, Sequence[Column]] = field(default_factory=dict)
    """The columns of what WITH defines, by its name in small letters."""
    sources: Sequence[FromItem] = ()
    merged: Mapping[str, Column] = field(default_factory=dict)
    """The columns of USING, by their names in small letters."""
    aliases: Mapping[str, Typed] = field(default_factory=dict)
    windows: Mapping[str, exp.Window] = field(default_factory=dict)
    parent: Scope | None = None

    def inner(self) -> Scope:
        """The scope of a subquery: it sees the names of this one where it has none of its own."""
        return replace(self, sources=(), merged={}, aliases={}, windows={}, parent=self)

    def typed(self, node: exp.Expr) -> Typed:
        """An expression, compiled. Raises SqlError."""
        return self.statement.expression(node, self)

    def subquery(self, node: exp.Expr) -> Relation:
        """A query inside an expression or FROM, compiled. Raises SqlError."""
        return self.statement.query(node, self.inner())

    def unsupported(self, node: exp.Expr, what: str) -> SqlError:
        return self.error(node, f"{what} does not run on local files: docs/fetching-text.md lists what does")

    def written(self, node: exp.Expr) -> str:
        """What a message calls a node: its kind, and the words of the query."""
        return f"{node.key.upper()} ({words_of(node, self.statement.sql)})"

    def error(self, node: exp.Expr, message: str) -> SqlError:
        return self.statement.error(node, message)

    def resolve(self, node: exp.Column) -> Typed:
        """What a column's name, or a path of names, means. Raises SqlError."""
        path = [part.name for part in node.parts]
        scope: Scope | None = self
        while scope is not None:
            if found := scope._own(node, path):
                return found
            scope = scope.parent
        raise SqlError(f"Unrecognized name: {'.'.join(path)}", *call_place(node, self.statement.sql))

    def _own(self, node: exp.Column, path: Sequence[str]) -> Typed | None:
        first, *rest = path
        source = next((each for each in self.sources if each.alias.lower() == first.lower()), None)
        if source and rest and (columns := source.named(rest[0])):
            return self._field(node, self._single(node, columns), rest[1:])
        column = self._column(node, first)
        alias = self.aliases.get(first.lower())
        if alias and column and alias.sql != column.sql:
            raise self.error(
                node,
                f"{first} is ambiguous: name the column with its table, or the SELECT list's {first} by its number",
            )
        if alias and alias.volatile:
            raise self.unsupported(node, f"{first}, which is RAND() and would be computed anew,")
        if alias:
            return alias if not rest else self._field(node, Column(first, alias.sql, alias.type), rest)
        if column:
            return self._field(node, column, rest)
        if source and not rest:
            raise self.unsupported(node, f"{first}, a whole row,")
        return None

    def _column(self, node: exp.Column, name: str) -> Column | None:
        if merged := self.merged.get(name.lower()):
            return merged
        found = [column for source in self.sources for column in source.named(name)]
        return self._single(node, found) if found else None

    def _single(self, node: exp.Column, found: Sequence[Column]) -> Column:
        if len(found) > 1:
            raise self.error(node, f"Column name {found[0].name} is ambiguous")
        return found[0]

    def _field(self, node: exp.Column, column: Column, path: Sequence[str]) -> Typed:
        found = Typed(column.sql, column.type)
        for name in path:
            found = self.field_of(node, found, name)
        return found

    def field_of(self, node: exp.Expr, struct: Typed, name: str) -> Typed:
        """A field of a STRUCT. Raises SqlError."""
        for own, kind in struct.type.fields if struct.type.name == "STRUCT" else ():
            if own.lower() == name.lower():
                return struct._replace(sql=f"({struct.sql}).{identifier(own)}", type=kind)
        raise self.error(node, f"Field name {name} does not exist in {struct.type}")
