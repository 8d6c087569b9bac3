"""Expressions: each kind of node of a syntax tree that is known to agree, compiled to DuckDB's SQL. Others are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from finetune.fetch.googlesql import operators
from finetune.fetch.googlesql.aggregates import AGGREGATES, GATHERING
from finetune.fetch.googlesql.calls import aggregated, called
from finetune.fetch.googlesql.casts import cast
from finetune.fetch.googlesql.gathering import gathered
from finetune.fetch.googlesql.grammar import call_place, unused_arguments
from finetune.fetch.googlesql.literals import boolean, byte_literal, interval, literal, null, opposite, parameter
from finetune.fetch.googlesql.membership import between, included, is_what, similar
from finetune.fetch.googlesql.nested_values import array, array_of_kind, array_of_rows, element, struct
from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.sql_types import (
    BOOL,
    NULL,
    parsed_type,
)  # fmt: skip
from finetune.fetch.googlesql.typed import Failure, Typed, combined, unified
from finetune.fetch.googlesql.windows import over


def typed(node: exp.Expr, scope: Scope) -> Typed:
    """An expression, compiled. Raises SqlError for everything that is not known to agree."""
    entry = NODES.get(type(node))
    if entry is None:
        raise scope.unsupported(node, scope.written(node))
    handler, used = entry
    if extra := unused_arguments(node, used):
        raise scope.unsupported(node, f"{scope.written(node)} with {extra[0].replace('_', ' ').strip().upper()}")
    return handler(node, scope)


def column(node: exp.Column, scope: Scope) -> Typed:
    if isinstance(node.this, exp.Star):
        raise scope.unsupported(node, f"{scope.written(node)} here")
    return scope.resolve(node)


def dot(node: exp.Dot, scope: Scope) -> Typed:
    if not isinstance(node.expression, exp.Identifier):
        raise scope.unsupported(node, scope.written(node))
    return scope.field_of(node, scope.typed(node.this), node.expression.name)


def parenthesis(node: exp.Paren, scope: Scope) -> Typed:
    found = scope.typed(node.this)
    return found._replace(sql=f"({found.sql})")


def conversion(node: exp.Cast, scope: Scope) -> Typed:
    kind = parsed_type(node.to)
    word = "SAFE_CAST" if isinstance(node, exp.TryCast) else "CAST"
    if kind is None:
        raise scope.unsupported(node, f"{word} to {node.to.sql(dialect='bigquery')}")
    if isinstance(node.this, exp.Array) and kind.name == "ARRAY":
        return array_of_kind(node.this, kind, scope)
    found = scope.typed(node.this)
    failure = Failure(call_place(node, scope.statement.sql), safe=word == "SAFE_CAST")
    converted = cast(found, kind, failure)
    if converted is None:
        raise scope.unsupported(node, f"{word} of {found.type} to {kind}")
    return converted


def condition(node: exp.If, scope: Scope) -> Typed:
    if node.args.get("false") is None:
        raise scope.error(node, "IF takes three arguments")
    test = operators.truth(node, scope, node.this)
    return chosen(node, scope, [test], [scope.typed(node.args["true"]), scope.typed(node.args["false"])])


def case(node: exp.Case, scope: Scope) -> Typed:
    branches, default = node.args["ifs"], node.args.get("default")
    results = [scope.typed(branch.args["true"]) for branch in branches]
    results.append(scope.typed(default) if default else Typed("NULL", NULL))
    if node.this is None:
        return chosen(node, scope, [operators.truth(branch, scope, branch.this) for branch in branches], results)
    values = unified([scope.typed(node.this), *(scope.typed(branch.this) for branch in branches)])
    if values is None or not values[0].type.is_scalar or values[0].volatile:
        raise scope.error(node, "CASE compares values of different types")
    tests = [combined(f"({values[0].sql} = {value.sql})", BOOL, [values[0], value]) for value in values[1:]]
    return chosen(node, scope, tests, results)


def chosen(node: exp.Expr, scope: Scope, tests: Sequence[Typed], results: Sequence[Typed]) -> Typed:
    """CASE WHEN test THEN result … ELSE result END, all results of one type."""
    together = unified(results)
    if together is None:
        kinds = ", ".join(str(each.type) for each in results)
        raise scope.error(node, f"the results have no common type: {kinds}")
    branches = " ".join(f"WHEN {test.sql} THEN {value.sql}" for test, value in zip(tests, together, strict=False))
    return combined(f"(CASE {branches} ELSE {together[-1].sql} END)", together[0].type, [*tests, *together])


def scalar_subquery(node: exp.Subquery, scope: Scope) -> Typed:
    relation = scope.subquery(node.this)
    if len(relation.columns) != 1:
        raise scope.error(node, "Scalar subquery cannot have more than one column")
    return Typed(f"({relation.sql})", relation.columns[0].type, fails=True)


def existence(node: exp.Exists, scope: Scope) -> Typed:
    return Typed(f"EXISTS ({scope.subquery(node.this).sql})", BOOL, fails=True)


def call(node: exp.Anonymous, scope: Scope) -> Typed:
    name = node.name.upper()
    if name in AGGREGATES:
        return aggregated(node, scope)
    if name in GATHERING:
        return gathered(node, scope)
    if name == "STRUCT":
        return struct(node, scope)
    if name == "ARRAY":
        return array_of_rows(node, scope)
    return called(node, scope)


def safe(node: exp.SafeFunc, scope: Scope) -> Typed:
    if not isinstance(node.this, exp.Anonymous):
        raise scope.unsupported(node, scope.written(node))
    return called(node.this, scope, safe=True)


def extraction(node: exp.Extract, scope: Scope) -> Typed:
    """EXTRACT(part FROM time AT TIME ZONE zone) as a call of EXTRACT(part, time, zone), or of DATE(time, zone)."""
    zone = [node.expression.args["zone"]] if isinstance(node.expression, exp.AtTimeZone) else []
    time = node.expression.this if zone else node.expression
    part = node.this
    if part.name.upper() == "DATE" and not isinstance(part, exp.Anonymous):
        return rewritten(node, scope, "DATE", [time, *zone])
    return rewritten(node, scope, "EXTRACT", [part, time, *zone])


def rewritten(node: exp.Expr, scope: Scope, name: str, arguments: Sequence[exp.Expr]) -> Typed:
    made = exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])
    made.meta.update(node.meta)
    made.parent = node.parent
    return called(made, scope)


def current(name: str) -> Callable[[exp.Expr, Scope], Typed]:
    return lambda node, scope: rewritten(node, scope, name, [node.this] if node.args.get("this") else [])


Entry = tuple[Callable[..., Typed], tuple[str, ...]]
SIDES = ("this", "expression")
NODES: Mapping[type[exp.Expr], Entry] = {
    exp.Literal: (literal, ("this", "is_string")),
    exp.RawString: (literal, ("this",)),
    exp.HexString: (literal, ("this", "is_integer")),
    exp.ByteString: (byte_literal, ("this", "is_bytes")),
    exp.Boolean: (boolean, ("this",)),
    exp.Null: (null, ()),
    exp.Parameter: (parameter, ("this",)),
    exp.Column: (column, ("this", "table", "db", "catalog")),
    exp.Dot: (dot, SIDES),
    exp.Paren: (parenthesis, ("this",)),
    exp.Neg: (opposite, ("this",)),
    exp.Not: (operators.negated, ("this",)),
    exp.BitwiseNot: (operators.inverted, ("this",)),
    exp.DPipe: (operators.joined, (*SIDES, "safe")),
    **dict.fromkeys(operators.COMPARISONS, (operators.compared, SIDES)),
    **dict.fromkeys(operators.ARITHMETIC, (operators.calculated, (*SIDES, "typed", "safe"))),
    **dict.fromkeys(operators.BITS, (operators.of_bits, SIDES)),
    **dict.fromkeys(operators.LOGIC, (operators.logical, SIDES)),
    exp.Like: (similar, (*SIDES, "negate")),
    exp.Between: (between, ("this", "low", "high")),
    exp.In: (included, ("this", "expressions", "query", "unnest")),
    exp.Is: (is_what, SIDES),
    exp.Cast: (conversion, ("this", "to")),
    exp.TryCast: (conversion, ("this", "to", "safe")),
    exp.If: (condition, ("this", "true", "false")),
    exp.Case: (case, ("this", "ifs", "default")),
    exp.Array: (array, ("expressions", "value_constructor", "struct_name_inheritance")),
    exp.Bracket: (element, ("this", "expressions", "offset", "safe")),
    exp.Subquery: (scalar_subquery, ("this",)),
    exp.Exists: (existence, ("this",)),
    exp.Anonymous: (call, ("this", "expressions")),
    exp.SafeFunc: (safe, ("this",)),
    exp.Extract: (extraction, SIDES),
    exp.CurrentDate: (current("CURRENT_DATE"), ("this",)),
    exp.CurrentTimestamp: (current("CURRENT_TIMESTAMP"), ("this",)),
    exp.Interval: (interval, ("this", "unit")),
    exp.Window: (over, ("this", "partition_by", "order", "spec", "alias", "over")),
}
