"""Operators: comparisons, arithmetic, bits and logic, compiled to DuckDB's SQL with BigQuery's types and errors."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sqlglot import exp

from finetune.fetch.googlesql.grammar import call_place
from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.sql_types import BOOL, BYTES, DATE, FLOAT64, INT64, INTERVAL, NULL, STRING, TIMESTAMP
from finetune.fetch.googlesql.typed import Failure, Typed, coerced, combined, unified

COMPARISONS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip
ARITHMETIC: Mapping[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
BITS: Mapping[type[exp.Expr], str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "^"}
LOGIC: Mapping[type[exp.Expr], str] = {exp.And: "AND", exp.Or: "OR"}
# The parser groups these otherwise than BigQuery where parentheses are missing.
WITHOUT_ORDER = (*COMPARISONS, exp.Like, exp.In, exp.Between, exp.Is)


def operands(node: exp.Expr, scope: Scope, *names: str) -> list[Typed]:
    """The operands of a comparison. One that is itself a comparison has to be in parentheses, as BigQuery asks."""
    for name in names:
        if isinstance(node.args[name], (*WITHOUT_ORDER, exp.Not)):
            raise scope.error(node, "Syntax error: put the comparison inside the other one in parentheses")
    return [scope.typed(node.args[name]) for name in names]


def mismatch(node: exp.Expr, scope: Scope, sign: str, found: list[Typed]) -> Exception:
    kinds = ", ".join(str(each.type) for each in found)
    return scope.error(node, f"No matching signature for operator {sign} for argument types: {kinds}")


def compared(node: exp.Expr, scope: Scope) -> Typed:
    sign = COMPARISONS[type(node)]
    found = operands(node, scope, "this", "expression")
    together = unified(found)
    if together is None or not together[0].type.is_scalar or together[0].type == INTERVAL:
        raise mismatch(node, scope, sign, found)
    return combined(f"({together[0].sql} {sign} {together[1].sql})", BOOL, together)


def calculated(node: exp.Expr, scope: Scope) -> Typed:
    sign = ARITHMETIC[type(node)]
    found = [scope.typed(node.this), scope.typed(node.expression)]
    kinds = {each.type for each in found}
    if kinds & {DATE, TIMESTAMP}:
        return moved(node, scope, sign, found)
    if not kinds <= {INT64, FLOAT64, NULL}:
        raise mismatch(node, scope, sign, found)
    if sign != "/" and kinds <= {INT64, NULL}:
        whole = [each._replace(sql=f"CAST({each.sql} AS BIGINT)") if each.type == NULL else each for each in found]
        return combined(f"({whole[0].sql} {sign} {whole[1].sql})", INT64, whole, fails=True)
    one, other = (number for each in found if (number := coerced(each, FLOAT64)))
    sql = f"({one.sql} {sign} {other.sql})"
    fail = Failure(call_place(node, scope.statement.sql))
    if sign == "/" and not (other.is_constant and other.value):
        sql = f"(CASE WHEN {other.sql} = 0 THEN {fail['division by zero: SAFE_DIVIDE gives NULL instead']} ELSE {sql} END)"
    if is_certain(sign, one, other):
        return combined(sql, FLOAT64, [one, other])
    if not is_checked_outside(node):
        sql = f"(CASE WHEN isfinite({sql}) = FALSE THEN {fail['floating point overflow']} ELSE {sql} END)"
    return combined(sql, FLOAT64, [one, other], fails=True)


def is_certain(sign: str, one: Typed, other: Typed) -> bool:
    """Whether two constants give a finite number."""
    if not (one.is_constant and other.is_constant) or sign == "/":
        return False
    return math.isfinite(
        {"+": one.value + other.value, "-": one.value - other.value, "*": float(one.value) * other.value}[sign]
    )


def is_checked_outside(node: exp.Expr) -> bool:
    """Whether the number is part of a sum, product or quotient that is not finite if the number is not."""
    child, parent = node, node.parent
    while isinstance(parent, exp.Paren | exp.Neg):
        child, parent = parent, parent.parent
    return isinstance(parent, exp.Add | exp.Sub | exp.Mul) or (isinstance(parent, exp.Div) and parent.this is child)


def moved(node: exp.Expr, scope: Scope, sign: str, found: list[Typed]) -> Typed:
    """A date plus or minus days, or a timestamp plus or minus an interval: the call of the function that does the same."""
    one, other = node.this, node.expression
    if sign == "+" and found[1].type in (DATE, TIMESTAMP):
        one, other, found = other, one, [found[1], found[0]]
    kind, by = found[0].type, found[1].type
    if sign not in "+-" or (kind, by) not in ((DATE, INT64), (TIMESTAMP, INTERVAL)):
        raise mismatch(node, scope, sign, found)
    interval = other if by == INTERVAL else exp.Interval(this=other.copy(), unit=exp.var("DAY"))
    name = f"{kind}_{'ADD' if sign == '+' else 'SUB'}"
    call = exp.Anonymous(this=name, expressions=[one.copy(), interval.copy()])
    call.meta.update(node.meta)
    call.parent = node.parent
    return scope.typed(call)


def of_bits(node: exp.Expr, scope: Scope) -> Typed:
    sign = BITS[type(node)]
    sides = [node.this, node.expression]
    if any(type(side) in BITS and type(side) is not type(node) for side in sides):
        raise scope.error(node, "put the operation on bits inside the other one in parentheses")
    found = [scope.typed(side) for side in sides]
    if {each.type for each in found} != {INT64}:
        raise mismatch(node, scope, sign, found)
    one, other = (each.sql for each in found)
    return combined(f"xor({one}, {other})" if sign == "^" else f"({one} {sign} {other})", INT64, found)


def logical(node: exp.Expr, scope: Scope) -> Typed:
    """All terms of a AND b AND c …, or of a OR b OR c …, however many they are."""
    terms = [node.expression]
    while type(node.this) is type(node):
        node = node.this
        terms.insert(0, node.expression)
    found = [truth(node, scope, term) for term in (node.this, *terms)]
    return combined(f"({f' {LOGIC[type(node)]} '.join(each.sql for each in found)})", BOOL, found)


def truth(node: exp.Expr, scope: Scope, side: exp.Expr) -> Typed:
    found = scope.typed(side)
    boolean = coerced(found, BOOL)
    if boolean is None:
        raise scope.error(node, f"a condition should be BOOL, and is {found.type}")
    return boolean


def negated(node: exp.Not, scope: Scope) -> Typed:
    found = truth(node, scope, node.this)
    return combined(f"(NOT {found.sql})", BOOL, [found])


def opposite(node: exp.Neg, scope: Scope) -> Typed:
    found = scope.typed(node.this)
    if found.type not in (INT64, FLOAT64):
        raise mismatch(node, scope, "-", [found])
    return combined(f"(-{found.sql})", found.type, [found], fails=found.type == INT64)


def inverted(node: exp.BitwiseNot, scope: Scope) -> Typed:
    found = scope.typed(node.this)
    if found.type != INT64:
        raise mismatch(node, scope, "~", [found])
    return combined(f"(~{found.sql})", INT64, [found])


def joined(node: exp.DPipe, scope: Scope) -> Typed:
    """|| of texts, bytes or arrays: NULL if one of them is."""
    found = [scope.typed(node.this), scope.typed(node.expression)]
    together = unified(found)
    kind = together[0].type if together else NULL
    if together is None or (kind not in (STRING, BYTES) and kind.name != "ARRAY"):
        raise mismatch(node, scope, "||", found)
    one, other = (each.sql for each in together)
    if kind.name != "ARRAY":
        return combined(f"({one} || {other})", kind, together)
    sql = f"CASE WHEN {one} IS NOT NULL AND {other} IS NOT NULL THEN list_concat({one}, {other}) END"
    return combined(f"({sql})", kind, together)
