"""Fuzz: expressions within expressions, with NULL anywhere, against the same expressions in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.fetch.duckdb_session import open_duckdb
from tests.finetune.fetch.evaluation import check


class Drawn(NamedTuple):
    """An expression and its value in Python."""

    sql: str
    value: Any


Strategy = st.SearchStrategy[Drawn]


def literal(value: Any) -> Drawn:
    if value is None or isinstance(value, bool):
        return Drawn(str(value).upper().replace("NONE", "NULL"), value)
    return Drawn(repr(value) if isinstance(value, str) else str(value), value)


def call(template: str, function: Callable[..., Any], *arguments: Strategy) -> Strategy:
    """A call that is NULL if one of its arguments is."""

    def made(drawn: tuple[Drawn, ...]) -> Drawn:
        values = [each.value for each in drawn]
        return Drawn(filled(template, [each.sql for each in drawn]), None if None in values else function(*values))

    return st.tuples(*arguments).map(made)


def filled(template: str, arguments: Sequence[str]) -> str:
    for number, argument in enumerate(arguments):
        template = template.replace(f"{{{number}}}", argument)
    return template


def conditional(drawn: tuple[Drawn, Drawn, Drawn]) -> Drawn:
    test, one, other = drawn
    return Drawn(f"IF({test.sql}, {one.sql}, {other.sql})", one.value if test.value else other.value)


def replaced(drawn: tuple[Drawn, Drawn]) -> Drawn:
    one, other = drawn
    return Drawn(f"COALESCE({one.sql}, {other.sql})", other.value if one.value is None else one.value)


def both(drawn: tuple[Drawn, Drawn]) -> Drawn:
    one, other = drawn
    known = False if False in (one.value, other.value) else None if None in (one.value, other.value) else True
    return Drawn(f"({one.sql} AND {other.sql})", known)


def either(drawn: tuple[Drawn, Drawn]) -> Drawn:
    one, other = drawn
    known = True if True in (one.value, other.value) else None if None in (one.value, other.value) else False
    return Drawn(f"({one.sql} OR {other.sql})", known)


class Strategies(NamedTuple):
    """Strategies for expressions of each type."""

    texts: Strategy
    numbers: Strategy
    conditions: Strategy


LEAVES = Strategies(
    st.text("aB é", max_size=4).map(literal)
    | st.sampled_from([Drawn("CAST(NULL AS STRING)", None), Drawn("{x}", "Ab é")]),
    st.integers(0, 9).map(literal) | st.sampled_from([Drawn("CAST(NULL AS INT64)", None), Drawn("{n}", 7)]),
    st.sampled_from([True, False]).map(literal),
)


def deeper(inner: Strategies) -> Strategies:
    """Expressions whose arguments are these expressions."""
    texts, numbers, conditions = inner
    return Strategies(
        st.one_of(
            texts,
            call("LOWER({0})", str.lower, texts),
            call("CONCAT({0}, {1})", lambda one, other: f"{one}{other}", texts, numbers),
            call("({0} || {1})", str.__add__, texts, texts),
            call("REPLACE({0}, {1}, 'x')", lambda text, part: text.replace(part, "x") if part else text, texts, texts),
            call("TRIM({0})", str.strip, texts),
            call("SUBSTR({0}, 2, 3)", lambda text: text[1:4], texts),
            call("SPLIT({0}, 'B')[OFFSET(0)]", lambda text: text.split("B")[0], texts),
            call("CAST({0} AS STRING)", str, numbers),
            call("FORMAT('<%s>', {0})", "<{}>".format, texts),
            st.tuples(conditions, texts, texts).map(conditional),
            st.tuples(texts, texts).map(replaced),
        ),
        st.one_of(
            numbers,
            call("({0} + {1})", int.__add__, numbers, numbers),
            call("MOD({0}, 5)", lambda number: number % 5, numbers),
            call("LENGTH({0})", len, texts),
            call("STRPOS({0}, {1})", lambda text, part: text.find(part) + 1, texts, texts),
            call("GREATEST({0}, {1})", max, numbers, numbers),
            call("CAST({0} AS INT64)", int, conditions),
            st.tuples(conditions, numbers, numbers).map(conditional),
            st.tuples(numbers, numbers).map(replaced),
        ),
        st.one_of(
            conditions,
            call("({0} = {1})", lambda one, other: one == other, texts, texts),
            call("({0} < {1})", lambda one, other: one < other, numbers, numbers),
            call("(NOT {0})", lambda one: not one, conditions),
            call("STARTS_WITH({0}, {1})", str.startswith, texts, texts),
            call("({0} LIKE '%B%')", lambda text: "B" in text, texts),
            call("REGEXP_CONTAINS({0}, r'^[ab]')", lambda text: text[:1] in ("a", "b"), texts),
            texts.map(lambda drawn: Drawn(f"({drawn.sql} IS NULL)", drawn.value is None)),
            st.tuples(conditions, conditions).map(both),
            st.tuples(conditions, conditions).map(either),
        ),
    )


DEEP = deeper(deeper(deeper(LEAVES)))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_duckdb() as opened:
        yield opened


@given(*DEEP)
def test_expressions_within_expressions(
    connection: duckdb.DuckDBPyConnection, text: Drawn, number: Drawn, condition: Drawn
) -> None:
    check(connection, {each.sql: each.value for each in (text, number, condition)}, x="Ab é", n=7)
