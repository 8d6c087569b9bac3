"""Queries: SELECT, UNION ALL and the like, WITH, compiled to DuckDB's SQL. Clauses that are not known here are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlglot import exp

from finetune.fetch.googlesql.expressions import typed
from finetune.fetch.googlesql.from_clause import sources_of
from finetune.fetch.googlesql.gathering import limit_of, order_term
from finetune.fetch.googlesql.grammar import parse, position, refuse_other_syntax, unused_arguments, word_left_out
from finetune.fetch.googlesql.operators import truth
from finetune.fetch.googlesql.scopes import Column, Relation, Scope, Statement
from finetune.fetch.googlesql.selection import Projection, projections
from finetune.fetch.googlesql.sql_types import NULL, SqlType, identifier, supertype
from finetune.fetch.googlesql.typed import Typed
from finetune.fetch.query import SqlError

SELECT = (
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "windows", "distinct", "order", "limit", "offset",
    "with_", "kind",
)  # fmt: skip
SET_OPERATIONS: Mapping[type[exp.Expr], str] = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}
SET_PARTS = ("this", "expression", "distinct", "order", "limit", "offset", "with_")


class CompiledQuery(NamedTuple):
    """A query as DuckDB SQL, with its columns and the values of its named parameters."""

    sql: str
    columns: Sequence[Column]
    values: Mapping[str, Any]


def compiled(sql: str, tables: Mapping[str, Relation], values: Mapping[str, Any]) -> CompiledQuery:
    """One GoogleSQL query as DuckDB SQL. `tables` are what it may read, by their addresses.

    Raises SqlError, with line and column, for everything that is not known to mean the same on DuckDB.
    """
    tree = parse(sql)
    refuse_other_syntax(sql)
    statement = statement_of(sql, tables, values)
    if not isinstance(tree, exp.Query):
        raise statement.error(tree, "it is a statement that changes something, and should be a query")
    try:
        relation = query(tree, Scope(statement))
    except RecursionError:
        raise statement.error(tree, "the query has too many parts within each other") from None
    if word := word_left_out(tree, sql):
        raise SqlError(f'Syntax error: Unexpected "{word.text}"', *position(sql, word.start))
    names = [column.name.lower() for column in relation.columns]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise statement.error(tree, f"Duplicate column names in the result are not supported: {double}")
    return CompiledQuery(relation.sql, relation.columns, statement.values_in(relation.sql))


def statement_of(sql: str, tables: Mapping[str, Relation], values: Mapping[str, Any]) -> Statement:
    return Statement(sql, tables, values, typed, query)


def query(node: exp.Expr, scope: Scope) -> Relation:
    """A query in a scope that has no sources yet."""
    if isinstance(node, exp.Subquery) and not unused_arguments(node, ("this",)):
        return query(node.this, scope)
    if isinstance(node, exp.Subquery):
        return parenthesized(node, scope)
    written, scope = definitions(node, scope)
    if isinstance(node, exp.Select):
        relation = select(node, scope)
    elif type(node) in SET_OPERATIONS:
        relation = combination(node, scope)
    else:
        raise scope.unsupported(node, node.key.upper())
    return relation._replace(sql=f"{written}{relation.sql}")


def parenthesized(node: exp.Subquery, scope: Scope) -> Relation:
    """A query in parentheses, with ORDER BY or LIMIT behind it."""
    if extra := unused_arguments(node, ("this", "order", "limit", "offset")):
        raise scope.unsupported(node, f"a query in parentheses with {extra[0].strip('_').upper()}")
    inner = query(node.this, scope)
    order = order_of_names(node, scope, inner.columns)
    return inner._replace(sql=f"SELECT * FROM ({inner.sql}){order}{limits(node, scope)}")


def definitions(node: exp.Expr, scope: Scope) -> tuple[str, Scope]:
    """WITH, and the scope of what stands behind it."""
    clause = node.args.get("with_")
    if clause is None:
        return "", scope
    if extra := unused_arguments(clause, ("expressions", "recursive")):
        raise scope.unsupported(clause, f"WITH {extra[0].upper()}")
    written = []
    for definition in clause.expressions:
        if unused_arguments(definition, ("this", "alias")) or definition.args["alias"].columns:
            raise scope.unsupported(definition, "WITH and a list of columns or a modifier")
        name = definition.alias
        inner = replace(scope, sources=(), merged={}, aliases={}, windows={})
        if clause.args.get("recursive") and any(
            table.name.lower() == name.lower() for table in definition.find_all(exp.Table)
        ):
            relation = recursion(definition.this, inner, name)
        else:
            relation = query(definition.this, inner)
        written.append(f"{identifier(name)} AS ({relation.sql})")
        scope = replace(scope, tables={**scope.tables, name.lower(): relation.columns})
    return f"WITH {'RECURSIVE ' if clause.args.get('recursive') else ''}{', '.join(written)} ", scope


def recursion(node: exp.Expr, scope: Scope, name: str) -> Relation:
    """Start UNION ALL step, where the step reads what came before it."""
    if not isinstance(node, exp.Union) or node.args.get("distinct") or unused_arguments(node, ("this", "expression")):
        raise scope.unsupported(node, "WITH RECURSIVE other than a query UNION ALL another")
    start = query(node.this, scope)
    step = query(node.expression, replace(scope, tables={**scope.tables, name.lower(): start.columns}))
    if [column.type for column in start.columns] != [column.type for column in step.columns]:
        raise scope.error(node, f"the two queries of {name} have columns of different types")
    return Relation(f"({start.sql}) UNION ALL ({step.sql})", start.columns)


def combination(node: exp.Expr, scope: Scope) -> Relation:
    word = SET_OPERATIONS[type(node)]
    if extra := unused_arguments(node, SET_PARTS):
        raise scope.unsupported(node, f"{word} with {extra[0].replace('_', ' ').upper()}")
    distinct = node.args.get("distinct")
    if word != "UNION" and not distinct:
        raise scope.unsupported(node, f"{word} ALL")
    for side in (node.this, node.expression):
        if type(side) in SET_OPERATIONS and (type(side) is not type(node) or side.args.get("distinct") != distinct):
            raise scope.error(node, "Syntax error: put different set operations in parentheses")
    sides = [query(side, scope) for side in (node.this, node.expression)]
    kinds = common_types(node, scope, sides)
    if distinct and not all(kind.is_scalar for kind in kinds):
        raise scope.unsupported(node, f"{word} DISTINCT of arrays or structs")
    left, right = (converted(scope, node, side, kinds) for side in sides)
    columns = [Column(one.name, one.sql, kind) for one, kind in zip(sides[0].columns, kinds, strict=True)]
    sql = f"({left}) {word} {'' if distinct else 'ALL '}({right})"
    return Relation(sql + order_of_names(node, scope, columns) + limits(node, scope), columns)


def common_types(node: exp.Expr, scope: Scope, sides: Sequence[Relation]) -> list[SqlType]:
    if len(sides[0].columns) != len(sides[1].columns):
        raise scope.error(node, "the queries have different numbers of columns")
    kinds = []
    for one, other in zip(sides[0].columns, sides[1].columns, strict=True):
        kind = supertype([one.type, other.type])
        if kind is None:
            raise scope.error(node, f"column {one.name} is {one.type} in one query and {other.type} in the other")
        kinds.append(kind)
    return kinds


def converted(scope: Scope, node: exp.Expr, relation: Relation, kinds: Sequence[SqlType]) -> str:
    """A query whose columns are given other types where they have to be."""
    if [column.type for column in relation.columns] == list(kinds):
        return relation.sql
    names = [identifier(column.name) for column in relation.columns]
    if len(set(names)) < len(names):
        raise scope.error(node, "give the columns names of their own")
    listed = ", ".join(f"CAST({name} AS {kind.duckdb}) AS {name}" for name, kind in zip(names, kinds, strict=True))
    return f"SELECT {listed} FROM ({relation.sql})"


def order_of_names(node: exp.Expr, scope: Scope, columns: Sequence[Column]) -> str:
    """ORDER BY behind a set operation, which takes names and numbers of columns."""
    if not (order := node.args.get("order")):
        return ""
    terms = []
    names = [column.name.lower() for column in columns]
    for term in order.expressions:
        number = ordinal(scope, term.this, len(columns))
        if number is None and isinstance(term.this, exp.Column) and not term.this.table:
            number = names.index(term.this.name.lower()) + 1 if term.this.name.lower() in names else None
        if number is None:
            raise scope.unsupported(
                term.this, "ORDER BY of anything but a column's name or number, behind UNION and the like,"
            )
        terms.append(order_term(scope, term, Typed(str(number), columns[number - 1].type)))
    return f" ORDER BY {', '.join(terms)}"


def ordinal(scope: Scope, node: exp.Expr, count: int) -> int | None:
    """The number of a column, as in ORDER BY 1; None for other expressions."""
    if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdecimal():
        return None
    if not 1 <= int(node.name) <= count:
        raise scope.error(node, f"there is no column {node.name}")
    return int(node.name)


def select(node: exp.Select, scope: Scope) -> Relation:
    if extra := unused_arguments(node, SELECT):
        raise scope.unsupported(node, f"SELECT with {extra[0].replace('_', ' ').strip().upper()}")
    if not node.expressions:
        raise scope.error(node, "Syntax error: SELECT list must not be empty")
    source, scope = sources_of(node, scope)
    scope = replace(scope, windows={each.name.lower(): each for each in node.args.get("windows") or []})
    found = projections(node, scope)
    named = replace(scope, aliases={each.name.lower(): each.value for each in found if each.given})
    clauses = [
        f"SELECT {distinct(node, scope, found)}{written(node, scope, found)}", source, condition(node, scope, "where"),
        grouping(node, scope, named, found), condition(node, named, "having"), condition(node, named, "qualify"),
        ordering(node, named, found), limits(node, scope).strip(),
    ]  # fmt: skip
    columns = [Column(each.name, identifier(each.name), each.value.type) for each in found]
    if node.args.get("kind"):
        columns = as_struct(node, scope, columns)
    return Relation(" ".join(clause for clause in clauses if clause), columns)


def written(node: exp.Select, scope: Scope, found: Sequence[Projection]) -> str:
    if not node.args.get("kind"):
        return ", ".join(f"{each.value.sql} AS {identifier(each.name)}" for each in found)
    if str(node.args["kind"]).upper() != "STRUCT" or node.args.get("distinct") or not all(each.given for each in found):
        raise scope.unsupported(node, "SELECT AS other than STRUCT, of columns with names")
    return f"struct_pack({', '.join(f'{identifier(each.name)} := {each.value.sql}' for each in found)})"


def as_struct(node: exp.Select, scope: Scope, columns: Sequence[Column]) -> list[Column]:
    kind = SqlType("STRUCT", tuple((column.name, column.type) for column in columns))
    return [Column("", "", kind)]


def distinct(node: exp.Select, scope: Scope, found: Sequence[Projection]) -> str:
    if not (clause := node.args.get("distinct")):
        return ""
    if unused_arguments(clause, ()):
        raise scope.unsupported(node, "SELECT DISTINCT ON")
    if not all(each.value.type.is_scalar for each in found):
        raise scope.unsupported(node, "SELECT DISTINCT of arrays or structs")
    return "DISTINCT "


def condition(node: exp.Select, scope: Scope, clause: str) -> str:
    if not (given := node.args.get(clause)):
        return ""
    return f"{clause.upper()} {truth(given, scope, given.this).sql}"


def grouping(node: exp.Select, scope: Scope, named: Scope, found: Sequence[Projection]) -> str:
    if not (group := node.args.get("group")):
        return ""
    if extra := unused_arguments(group, ("expressions",)):
        raise scope.unsupported(group, f"GROUP BY {extra[0].upper()}")
    keys = []
    for key in group.expressions:
        number = ordinal(scope, key, len(found)) or position_of(key, named, found)
        if number and isinstance(key, exp.Column):
            named.resolve(key)  # refuses a name that is a column's too
        value = found[number - 1].value if number else named.typed(key)
        if not value.type.is_scalar or value.volatile:
            raise scope.unsupported(
                key, f"GROUP BY of {value.type}" if not value.type.is_scalar else "GROUP BY of RAND()"
            )
        keys.append(str(number) if number else value.sql)
    return f"GROUP BY {', '.join(keys)}"


def position_of(key: exp.Expr, named: Scope, found: Sequence[Projection]) -> int | None:
    """The number of the SELECT list's expression that a bare name means; None for other expressions."""
    if not isinstance(key, exp.Column) or key.table or key.name.lower() not in named.aliases:
        return None
    names = [each.name.lower() for each in found]
    if names.count(key.name.lower()) > 1:
        raise named.error(key, f"Column name {key.name} is ambiguous")
    return names.index(key.name.lower()) + 1


def ordering(node: exp.Select, named: Scope, found: Sequence[Projection]) -> str:
    """ORDER BY takes a bare name for one of the SELECT list."""
    if not (order := node.args.get("order")):
        return ""
    terms = []
    for term in order.expressions:
        number = ordinal(named, term.this, len(found))
        if number is None and not node.args.get("kind"):
            number = position_of(term.this, named, found)
        value = Typed(str(number), found[number - 1].value.type) if number else named.typed(term.this)
        if number is None and node.args.get("distinct") and value.sql not in {each.value.sql for each in found}:
            raise named.error(term.this, "ORDER BY takes expressions of the SELECT list after SELECT DISTINCT")
        if number is None and (value.is_constant or value.type == NULL):
            raise named.unsupported(term.this, "ORDER BY of a constant")
        terms.append(order_term(named, term, value))
    return f"ORDER BY {', '.join(terms)}"


def limits(node: exp.Expr, scope: Scope) -> str:
    limit, offset = node.args.get("limit"), node.args.get("offset")
    if limit is not None and (not isinstance(limit, exp.Limit) or unused_arguments(limit, ("expression",))):
        raise scope.unsupported(node, "FETCH or LIMIT with more than a number")
    sql = f" LIMIT {limit_of(limit, scope, limit.expression)}" if limit else ""
    return sql + (f" OFFSET {limit_of(offset, scope, offset.expression)}" if offset else "")
