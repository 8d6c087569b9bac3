"""Arrays and structs: how they are made, and their elements."""

from __future__ import annotations

from sqlglot import exp

from finetune.fetch.googlesql.grammar import call_place
from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.sql_types import INT64, NULL, SqlType, array_of, identifier
from finetune.fetch.googlesql.typed import Failure, Typed, coerced, combined, unified


def array(node: exp.Array | exp.Bracket, scope: Scope) -> Typed:
    found = [scope.typed(each) for each in node.expressions]
    together = unified(found)
    if together is None or (together and together[0].type.name == "ARRAY"):
        raise scope.error(node, "the elements of the array have no common type, or are arrays")
    kind = together[0].type if together and together[0].type != NULL else INT64
    return combined(
        f"CAST([{', '.join(each.sql for each in together)}] AS {array_of(kind).duckdb})", array_of(kind), found
    )


def array_of_kind(node: exp.Array, kind: SqlType, scope: Scope) -> Typed:
    """ARRAY<STRING>['a', 'b'], whose type is written."""
    found = [coerced(scope.typed(each), kind.element) for each in node.expressions]
    if not all(found):
        raise scope.error(node, f"the elements of the array are not all {kind.element}")
    elements = [each for each in found if each]
    return combined(f"CAST([{', '.join(each.sql for each in elements)}] AS {kind.duckdb})", kind, elements)


def element(node: exp.Bracket, scope: Scope) -> Typed:
    """array[OFFSET(n)] counts from 0, array[ORDINAL(n)] from 1; SAFE_ gives NULL where there is no such element."""
    if isinstance(node.this, exp.Column) and node.this.name.upper() == "ARRAY" and not node.this.this.quoted:
        return array(node, scope)  # ARRAY[1, 2]
    if len(node.expressions) != 1:
        raise scope.unsupported(node, scope.written(node))
    found, index = scope.typed(node.this), scope.typed(node.expressions[0])
    if found.type.name != "ARRAY" or index.type != INT64:
        raise scope.unsupported(node, f"an element of {found.type} by {index.type}")
    number = index.sql if node.args.get("offset") == 1 else f"({index.sql} + 1)"
    failure = Failure(call_place(node, scope.statement.sql), bool(node.args.get("safe")))
    sql = (
        f"(CASE WHEN {number} < 1 OR {number} > len({found.sql}) THEN {failure['there is no such element in the array']} "
        f"ELSE list_extract({found.sql}, {number}) END)"
    )
    return combined(sql, found.type.element, [found, index], fails=not failure.safe)


def struct(node: exp.Anonymous, scope: Scope) -> Typed:
    fields: list[tuple[str, Typed]] = []
    for each in node.expressions:
        name, value = each.alias_or_name, each.this if isinstance(each, exp.Alias) else each
        if not isinstance(each, exp.Alias | exp.Column) or name.lower() in {own.lower() for own, _ in fields}:
            raise scope.unsupported(node, "a STRUCT with a field that has no name of its own (AS name)")
        fields.append((name, scope.typed(value)))
    if not fields:
        raise scope.unsupported(node, "an empty STRUCT")
    fields = [(name, coerced(value, INT64) or value if value.type == NULL else value) for name, value in fields]
    listed = ", ".join(f"{identifier(name)} := {value.sql}" for name, value in fields)
    kind = SqlType("STRUCT", tuple((name, value.type) for name, value in fields))
    return combined(f"struct_pack({listed})", kind, [value for _, value in fields])


def array_of_rows(node: exp.Anonymous, scope: Scope) -> Typed:
    if len(node.expressions) != 1 or not isinstance(node.expressions[0], exp.Query):
        raise scope.unsupported(node, scope.written(node))
    relation = scope.subquery(node.expressions[0])
    if len(relation.columns) != 1 or relation.columns[0].type.name == "ARRAY":
        raise scope.error(node, "ARRAY subquery should have one column, which is no ARRAY")
    return Typed(f"ARRAY({relation.sql})", array_of(relation.columns[0].type), fails=True)
