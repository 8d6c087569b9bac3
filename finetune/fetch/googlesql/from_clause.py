"""FROM: tables, subqueries, joins and UNNEST, and the names that they bring into scope."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from finetune.fetch.googlesql.grammar import call_place, unused_arguments
from finetune.fetch.googlesql.operators import truth
from finetune.fetch.googlesql.scopes import Column, FromItem, Relation, Scope
from finetune.fetch.googlesql.sql_types import INT64, identifier
from finetune.fetch.query import SqlError

SIDES = ("", "LEFT", "RIGHT", "FULL")


def sources_of(node: exp.Select, scope: Scope) -> tuple[str, Scope]:
    """FROM and its joins as DuckDB SQL, and the scope with the names of their columns."""
    clause = node.args.get("from_")
    if clause is None:
        return "", scope
    sql, scope = item(clause.this, scope)
    for join in [*(clause.this.args.get("joins") or []), *(node.args.get("joins") or [])]:
        sql, scope = joined(sql, join, scope)
    return f"FROM {sql}", scope


def item(node: exp.Expr, scope: Scope) -> tuple[str, Scope]:
    """One table, subquery or UNNEST."""
    if isinstance(node, exp.Table):
        return table(node, scope)
    if isinstance(node, exp.Unnest):
        return unnested(node, scope, "")
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        if unused_arguments(node, ("this",)):
            raise scope.unsupported(node, "an alias of a join in parentheses")
        sql, scope = item(node.this, scope)
        for join in node.this.args.get("joins") or []:
            sql, scope = joined(sql, join, scope)
        return f"({sql})", scope
    if isinstance(node, exp.Subquery):
        return subquery(node, scope)
    raise scope.unsupported(node, f"{node.sql(dialect='bigquery')[:40]} in FROM")


def added(scope: Scope, node: exp.Expr, relation: Relation, alias: str) -> tuple[str, Scope]:
    if alias.lower() in {source.alias.lower() for source in scope.sources}:
        raise scope.error(node, f"Duplicate table alias {alias} in the same FROM clause")
    columns = [
        column._replace(
            sql=f"{identifier(alias)}.{identifier(column.name)}",
            type=column.type if column.type.name != "NULL" else INT64,
        )
        for column in relation.columns
    ]
    return f"{relation.sql} AS {identifier(alias)}", replace(scope, sources=(*scope.sources, FromItem(alias, columns)))


def alias_of(node: exp.Expr, scope: Scope, otherwise: str) -> str:
    alias = node.args.get("alias")
    if alias is not None and alias.columns:
        raise scope.unsupported(node, "an alias with a list of columns")
    return node.alias or otherwise


def table(node: exp.Table, scope: Scope) -> tuple[str, Scope]:
    if isinstance(node.this, exp.Anonymous | exp.Func):
        raise scope.unsupported(node, f"{node.this.name} in FROM")
    if extra := unused_arguments(node, ("this", "db", "catalog", "alias", "joins")):
        word = {"sample": "TABLESAMPLE (write WHERE RAND() < share)", "pivots": "PIVOT or UNPIVOT"}.get(
            extra[0], extra[0].upper()
        )
        raise scope.unsupported(node, word)
    address = ".".join(part.name for part in node.parts)
    defined = scope.tables.get(address.lower())
    relation = Relation(identifier(address), defined) if defined is not None else scope.statement.tables.get(address)
    if relation is None:
        raise SqlError(
            f"`{address}` is not among the `-- Tables:` at the top of the file", *call_place(node, scope.statement.sql)
        )
    return added(scope, node, relation, alias_of(node, scope, node.name))


def subquery(node: exp.Subquery, scope: Scope) -> tuple[str, Scope]:
    if extra := unused_arguments(node, ("this", "alias")):
        raise scope.unsupported(node, f"a subquery in FROM with {extra[0].strip('_').upper()}")
    relation = scope.statement.query(node.this, replace(scope, sources=(), merged={}, aliases={}, windows={}))
    if any(not column.name for column in relation.columns):
        raise scope.unsupported(node, "SELECT AS STRUCT in FROM")
    return added(
        scope,
        node,
        relation._replace(sql=f"({relation.sql})"),
        alias_of(node, scope, f"subquery {len(scope.sources) + 1}"),
    )


def joined(left: str, join: exp.Join, scope: Scope) -> tuple[str, Scope]:
    side, kind = (join.args.get(name) or "" for name in ("side", "kind"))
    if extra := unused_arguments(join, ("this", "side", "kind", "on", "using")):
        raise scope.unsupported(join, f"JOIN with {str(join.args[extra[0]]).upper()}")
    if side not in SIDES or kind not in ("", "INNER", "OUTER", "CROSS"):
        raise scope.unsupported(join, f"{side} {kind} JOIN")
    if isinstance(join.this, exp.Unnest):
        return joined_array(left, join, scope, side)
    before = scope
    right, scope = item(join.this, scope)
    on, using = join.args.get("on"), join.args.get("using") or []
    if kind == "CROSS" or not (on or using):
        if kind != "CROSS" or on or using:
            raise scope.error(join, "JOIN must have an immediately following ON or USING clause")
        return f"{left} CROSS JOIN {right}", scope
    word = f"{side or 'INNER'} JOIN"
    if on:
        return f"{left} {word} {right} ON {truth(on, scope, on).sql}", scope
    conditions = []
    for name in using:
        condition, scope = merged(join, before, scope, name.name, side)
        conditions.append(condition)
    return f"{left} {word} {right} ON {' AND '.join(conditions)}", scope


def merged(join: exp.Join, before: Scope, scope: Scope, name: str, side: str) -> tuple[str, Scope]:
    """A column of USING: the condition, and the scope where its name means the column of both tables."""
    column = exp.column(name)
    column.parent = join
    left = before.resolve(column)
    right = scope.sources[-1].named(name)
    if (
        len(right) != 1
        or right[0].type != left.type
        or not left.type.is_scalar
        or len(scope.sources) - len(before.sources) != 1
    ):
        raise scope.error(join, f"Column {name} in USING should be one column of the same type on each side")
    sql = {"RIGHT": right[0].sql, "FULL": f"coalesce({left.sql}, {right[0].sql})"}.get(side, left.sql)
    known = {**scope.merged, name.lower(): Column(right[0].name, sql, left.type)}
    return f"{left.sql} = {right[0].sql}", replace(scope, merged=known)


def joined_array(left: str, join: exp.Join, scope: Scope, side: str) -> tuple[str, Scope]:
    if side not in ("", "LEFT") or join.args.get("using"):
        raise scope.unsupported(join, f"{side} JOIN of UNNEST")
    right, inner = unnested(join.this, scope, "LATERAL ")
    on = join.args.get("on")
    condition = truth(on, inner, on).sql if on else "TRUE"
    return f"{left} {side or 'INNER'} JOIN {right} ON {condition}", inner


def unnested(node: exp.Unnest, scope: Scope, lateral: str) -> tuple[str, Scope]:
    """UNNEST(array) AS name WITH OFFSET AS number, which counts from 0. The fields of structs are columns too."""
    if unused_arguments(node, ("expressions", "alias", "offset")) or len(node.expressions) != 1:
        raise scope.unsupported(node, "UNNEST of several arrays")
    array = scope.typed(node.expressions[0])
    if array.type.name != "ARRAY":
        raise scope.error(node, f"Values referenced in UNNEST must be arrays, and this is {array.type}")
    alias = node.args.get("alias")
    name = alias.columns[0].name if alias and alias.columns else f"unnest {len(scope.sources) + 1}"
    element = array.type.element
    columns = [Column(name, "", element, hidden=element.name == "STRUCT" or not alias)]
    listed = [f"value AS {identifier(name)}"]
    for field, kind in element.fields if element.name == "STRUCT" else ():
        if field.lower() != name.lower():
            columns.append(Column(field, "", kind))
            listed.append(f"value.{identifier(field)} AS {identifier(field)}")
    if offset := node.args.get("offset"):
        number = offset.name if isinstance(offset, exp.Identifier) else "offset"
        columns.append(Column(number, "", INT64))
        listed.append(f"number - 1 AS {identifier(number)}")
    inner = f"SELECT unnest({array.sql}) AS value, generate_subscripts({array.sql}, 1) AS number"
    relation = Relation(f"{lateral}(SELECT {', '.join(listed)} FROM ({inner}))", columns)
    return added(scope, node, relation, name)
