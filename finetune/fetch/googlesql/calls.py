"""Calls of functions: scalar functions, aggregates and window functions, each only with the modifiers that are known to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from finetune.fetch.googlesql.aggregates import AGGREGATES, FRAMED, GATHERING, WINDOW_FUNCTIONS, WITHOUT_ORDER
from finetune.fetch.googlesql.calendar_functions import CALENDAR_FUNCTIONS
from finetune.fetch.googlesql.grammar import call_place
from finetune.fetch.googlesql.message_format import FORMAT
from finetune.fetch.googlesql.number_functions import NUMBER_FUNCTIONS
from finetune.fetch.googlesql.regular_expressions import REGULAR_EXPRESSIONS
from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.signatures import PART, Function, Match, matching
from finetune.fetch.googlesql.sql_types import INT64, SqlType
from finetune.fetch.googlesql.text_functions import TEXT_FUNCTIONS
from finetune.fetch.googlesql.typed import Call, Failure, Typed, combined

FUNCTIONS: Mapping[str, Sequence[Function]] = {
    name: [function for table in (TEXT_FUNCTIONS, REGULAR_EXPRESSIONS, NUMBER_FUNCTIONS, CALENDAR_FUNCTIONS, FORMAT)
           for function in table.get(name, [])]
    for table in (TEXT_FUNCTIONS, REGULAR_EXPRESSIONS, NUMBER_FUNCTIONS, CALENDAR_FUNCTIONS, FORMAT)
    for name in table
}  # fmt: skip
LONGEST = 1_000
"""Characters of SQL that an argument may have before it is computed once and named, however often it is used."""


def called(node: exp.Anonymous, scope: Scope, safe: bool = False) -> Typed:
    """A call of a scalar function."""
    name = node.name.upper()
    functions = FUNCTIONS.get(name)
    if functions is None:
        raise unknown(node, scope)
    arguments = [argument(each, at, functions, scope) for at, each in enumerate(node.expressions)]
    match = matched(node, scope, functions, arguments)
    if safe and (match.function.native_errors or name == "RAND"):
        raise scope.unsupported(node, f"SAFE.{name}")
    failure = Failure(call_place(node, scope.statement.sql), safe)
    return rendered(node, scope, match, failure)


def unknown(node: exp.Anonymous, scope: Scope) -> Exception:
    if node.name.upper() in {**AGGREGATES, **WINDOW_FUNCTIONS} or node.name.upper() in GATHERING:
        return scope.error(node, f"{node.name} is not used as BigQuery uses it here")
    return scope.unsupported(node, f"the function {node.name}")


def argument(node: exp.Expr, at: int, functions: Sequence[Function], scope: Scope) -> Typed:
    if any(function.parameter(at) == PART for function in functions):
        word = node.sql(dialect="bigquery").upper().replace(" ", "")
        return Typed(word, SqlType(PART), value=word)
    return scope.typed(node)


def matched(node: exp.Expr, scope: Scope, functions: Sequence[Function], arguments: Sequence[Typed]) -> Match:
    found = matching(functions, arguments)
    if found is None:
        given = ", ".join(
            str(argument.value if argument.type.name == PART else argument.type) for argument in arguments
        )
        offered = " and ".join(str(function) for function in functions)
        raise scope.error(node, f"{functions[0].name}({given}) does not run on local files, only {offered}")
    return found


def rendered(node: exp.Expr, scope: Scope, match: Match, failure: Failure, **words: str) -> Typed:
    """The SQL of a call. Arguments that may not be computed twice, or would make the SQL very long, get a name."""
    name = match.function.name
    level = sum(each.sql.count("lambda") for each in match.arguments)
    bound = {
        f"argument_{level}_{at}": each for at, each in enumerate(match.arguments)
        if (each.volatile or len(each.sql) > LONGEST) and not words
    }  # fmt: skip
    arguments = [
        each._replace(sql=f"argument_{level}_{at}") if f"argument_{level}_{at}" in bound else each
        for at, each in enumerate(match.arguments)
    ]
    if bound and any("SELECT" in each.sql for each in arguments):
        if any(each.volatile for each in bound.values()):
            raise scope.unsupported(node, f"{name} of RAND() and a subquery")
        arguments, bound = list(match.arguments), {}

    def refuse(what: str) -> Exception:
        return scope.unsupported(node, f"{name} {what}")

    template = match.function.sql
    if callable(template):
        sql = template(Call(name, arguments, failure, refuse))
    else:
        listed = [each.sql for each in arguments]
        sql = template.format(*listed, all=", ".join(listed), fail=failure, name=name.lower(), **words)
    for own, each in bound.items():
        sql = f"list_transform([{each.sql}], lambda {own}: {sql})[1]"
    volatile = [each for each in match.arguments if each.volatile] or name == "RAND"
    fails = match.function.native_errors or "error(" in sql
    return combined(f"({sql})", match.result, match.arguments, fails)._replace(volatile=bool(volatile))


def aggregated(node: exp.Anonymous, scope: Scope, over: str = "") -> Typed:
    """A call of an aggregate function, with DISTINCT or without."""
    name = node.name.upper()
    distinct = ""
    arguments = list(node.expressions)
    if name == "COUNT" and len(arguments) == 1 and isinstance(arguments[0], exp.Star):
        if arguments[0].args.get("except_") or arguments[0].args.get("replace"):
            raise scope.unsupported(node, "COUNT(* EXCEPT …)")
        return Typed(f"count(*){over}", INT64)
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        distinct, arguments = "DISTINCT ", list(arguments[0].expressions)
    found = [scope.typed(each) for each in arguments]
    match = matched(node, scope, AGGREGATES[name], found)
    if not all(each.type.is_scalar for each in found) and name != "ANY_VALUE" and (name != "COUNT" or distinct):
        raise scope.unsupported(node, f"{name} of {found[0].type}")
    if distinct and "{distinct}" not in str(match.function.sql):
        raise scope.unsupported(node, f"{name} with DISTINCT")
    failure = Failure(call_place(node, scope.statement.sql))
    return rendered(node, scope, match, failure, distinct=distinct, over=over)


def windowed(node: exp.Anonymous, scope: Scope, over: str, ordered: bool, framed: bool) -> Typed:
    """A call of a function with OVER."""
    name = node.name.upper()
    if name in AGGREGATES:
        if ordered and node.find(exp.Distinct):
            raise scope.unsupported(node, f"{name} with DISTINCT and ORDER BY")
        return aggregated(node, scope, over)
    functions = WINDOW_FUNCTIONS.get(name)
    if functions is None:
        raise scope.unsupported(node, f"{name} with OVER")
    if not ordered and name not in WITHOUT_ORDER:
        raise scope.error(node, f"Window ORDER BY is required for {name}")
    if framed and name not in FRAMED:
        raise scope.error(node, f"{name} takes no ROWS or RANGE")
    nulls, arguments = "", list(node.expressions)
    if name in FRAMED and arguments and isinstance(arguments[-1], exp.IgnoreNulls | exp.RespectNulls):
        nulls = " IGNORE NULLS" if isinstance(arguments[-1], exp.IgnoreNulls) else ""
        arguments[-1] = arguments[-1].this
    found = [scope.typed(each) for each in arguments]
    checked_offset(node, scope, found)
    match = matched(node, scope, functions, found)
    return rendered(node, scope, match, Failure((1, 1)), over=over, nulls=nulls)


def checked_offset(node: exp.Anonymous, scope: Scope, found: Sequence[Typed]) -> None:
    """The number of rows that a window function takes has to be a constant: positive, or 0 for LAG and LEAD."""
    name = node.name.upper()
    offset = found[0] if name == "NTILE" and found else found[1] if len(found) > 1 else None
    least = 0 if name in ("LAG", "LEAD") else 1
    if offset is not None and not (offset.is_constant and offset.type == INT64 and offset.value >= least):
        raise scope.error(node, f"{name} takes a whole number of {least} or more")
