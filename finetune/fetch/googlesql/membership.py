"""Conditions with words: IN, BETWEEN, LIKE and IS."""

from __future__ import annotations

from sqlglot import exp

from finetune.fetch.googlesql.operators import mismatch, operands, truth
from finetune.fetch.googlesql.regular_expressions import like
from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.sql_types import BOOL, INTERVAL, STRING
from finetune.fetch.googlesql.typed import Typed, coerced, combined, unified


def similar(node: exp.Like, scope: Scope) -> Typed:
    if isinstance(node.expression, exp.Any | exp.All):
        return similar_to_some(node, scope)
    found = operands(node, scope, "this", "expression")
    text, pattern = (coerced(each, STRING) for each in found)
    if text is None or pattern is None:
        raise mismatch(node, scope, "LIKE", found)
    if pattern.is_constant and (len(pattern.value) - len(pattern.value.rstrip("\\"))) % 2:
        raise scope.error(node, "LIKE pattern ends with a backslash")
    sql = like(text, pattern)
    fails = not pattern.is_constant
    return combined(f"(NOT {sql})" if node.args.get("negate") else sql, BOOL, [text, pattern], fails)


def similar_to_some(node: exp.Like, scope: Scope) -> Typed:
    """LIKE ANY ('a%', 'b%') as LIKE 'a%' OR LIKE 'b%'; ALL with AND."""
    patterns = node.expression.this
    if not isinstance(patterns, exp.Tuple) or node.args.get("negate"):
        raise scope.unsupported(node, "LIKE with ANY or ALL of anything but a list, or with NOT")
    each = [exp.Like(this=node.this.copy(), expression=pattern.copy()) for pattern in patterns.expressions]
    for one in each:
        one.parent = node.parent
    found = [similar(one, scope) for one in each]
    word = " OR " if isinstance(node.expression, exp.Any) else " AND "
    return combined(f"({word.join(one.sql for one in found)})", BOOL, found)


def between(node: exp.Between, scope: Scope) -> Typed:
    found = operands(node, scope, "this", "low", "high")
    together = unified(found)
    if together is None or not together[0].type.is_scalar or together[0].type == INTERVAL:
        raise mismatch(node, scope, "BETWEEN", found)
    value, low, high = (each.sql for each in together)
    return combined(f"({value} BETWEEN {low} AND {high})", BOOL, together)


def included(node: exp.In, scope: Scope) -> Typed:
    if isinstance(node.args.get("query"), exp.Subquery):
        value = operands(node, scope, "this")[0]
        relation = scope.subquery(node.args["query"].this)
        if len(relation.columns) != 1:
            raise scope.error(node, "the subquery of IN should have one column")
        kind = relation.columns[0].type
        member = coerced(value, kind)
        if member is None or not kind.is_scalar:
            raise mismatch(node, scope, "IN", [value, Typed("", kind)])
        return combined(f"({member.sql} IN ({relation.sql}))", BOOL, [member], fails=True)
    if node.args.get("unnest"):
        return in_array(node, scope)
    if not node.expressions:
        raise scope.unsupported(node, "IN with this list")
    found = [*operands(node, scope, "this"), *(scope.typed(each) for each in node.expressions)]
    together = unified(found)
    if together is None or not together[0].type.is_scalar or together[0].type == INTERVAL:
        raise mismatch(node, scope, "IN", found)
    listed = ", ".join(each.sql for each in together[1:])
    return combined(f"({together[0].sql} IN ({listed}))", BOOL, together)


def in_array(node: exp.In, scope: Scope) -> Typed:
    unnest = node.args["unnest"]
    value = operands(node, scope, "this")[0]
    if len(unnest.expressions) != 1 or unnest.args.get("offset") or unnest.args.get("alias"):
        raise scope.unsupported(node, "IN with this UNNEST")
    array = scope.typed(unnest.expressions[0])
    member = coerced(value, array.type.element) if array.type.name == "ARRAY" else None
    if member is None or not member.type.is_scalar:
        raise mismatch(node, scope, "IN UNNEST", [value, array])
    return combined(f"({member.sql} IN (SELECT unnest({array.sql})))", BOOL, [member, array], fails=True)


def is_what(node: exp.Is, scope: Scope) -> Typed:
    """IS NULL, IS TRUE, IS FALSE."""
    other = node.expression
    if isinstance(other, exp.Null):
        found = operands(node, scope, "this")[0]
        return combined(f"({found.sql} IS NULL)", BOOL, [found])
    if isinstance(other, exp.Boolean):
        operands(node, scope, "this")
        found = truth(node, scope, node.this)
        return combined(f"({found.sql} IS {'TRUE' if other.this else 'FALSE'})", BOOL, [found])
    raise scope.unsupported(node, "IS with anything but NULL, TRUE and FALSE")
