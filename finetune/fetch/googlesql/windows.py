"""OVER: the window that a function sees, by PARTITION BY, ORDER BY and ROWS."""

from __future__ import annotations

from sqlglot import exp

from finetune.fetch.googlesql.calls import windowed
from finetune.fetch.googlesql.gathering import order_terms
from finetune.fetch.googlesql.grammar import unused_arguments
from finetune.fetch.googlesql.scopes import Scope
from finetune.fetch.googlesql.typed import Typed

PARTS = ("this", "partition_by", "order", "spec", "alias", "over")
BOUNDS = ("UNBOUNDED", "CURRENT ROW")


def over(node: exp.Window, scope: Scope) -> Typed:
    """A window function, with its window written out."""
    window = node
    if isinstance(name := node.args.get("alias"), exp.Identifier):
        if any(node.args.get(part) for part in ("partition_by", "order", "spec")):
            raise scope.unsupported(node, "a window that adds to a named window")
        window = scope.windows.get(name.name.lower())  # type: ignore[assignment]
        if window is None:
            raise scope.error(node, f"Unrecognized window alias {name.name}")
    if not isinstance(node.this, exp.Anonymous):
        raise scope.unsupported(node, "OVER with this function")
    if extra := unused_arguments(window, PARTS):
        raise scope.unsupported(node, f"OVER with {extra[0].upper()}")
    order, spec = window.args.get("order"), window.args.get("spec")
    for term in order.expressions if order else []:
        if scope.typed(term.this).volatile:
            raise scope.unsupported(term.this, "OVER with ORDER BY RAND() (write FARM_FINGERPRINT of an id instead)")
    terms = [partitioned(scope, window)]
    terms += [order_terms(scope, order)] if order else []
    terms += [framed(scope, node, spec)] if spec else []
    written = f" OVER ({' '.join(term for term in terms if term)})"
    return windowed(node.this, scope, written, ordered=bool(order), framed=bool(spec))


def partitioned(scope: Scope, window: exp.Window) -> str:
    keys = [scope.typed(key) for key in window.args.get("partition_by") or []]
    for key, value in zip(window.args.get("partition_by") or [], keys, strict=True):
        if not value.type.is_scalar or value.is_constant:
            raise scope.error(
                key, f"PARTITION BY a value of {value.type}" if not value.is_constant else "PARTITION BY a constant"
            )
    return f"PARTITION BY {', '.join(key.sql for key in keys)}" if keys else ""


def framed(scope: Scope, node: exp.Window, spec: exp.WindowSpec) -> str:
    """ROWS BETWEEN … AND …, with whole numbers. RANGE only from an end of the partition to another or to the current row."""
    if spec.args.get("exclude"):
        raise scope.unsupported(node, "EXCLUDE")
    kind = str(spec.args.get("kind"))
    start = bound(scope, node, kind, spec.args.get("start"), spec.args.get("start_side"))
    end = bound(scope, node, kind, spec.args.get("end") or "CURRENT ROW", spec.args.get("end_side"))
    return f"{kind} BETWEEN {start} AND {end}"


def bound(scope: Scope, node: exp.Window, kind: str, value: exp.Expr | str | None, side: str | None) -> str:
    if isinstance(value, str) and value in BOUNDS:
        return f"{value} {side or ''}".strip()
    number = scope.typed(value) if isinstance(value, exp.Literal | exp.Parameter) else None
    if kind != "ROWS" or number is None or type(number.value) is not int or number.value < 0 or not side:
        raise scope.unsupported(node, "a window frame other than ROWS with whole numbers")
    return f"{number.sql} {side}"
