"""GoogleSQL has on files the values that it has on BigQuery, or is refused. The cases are in tests/queries/googlesql.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pytest
import yaml
from sqlglot import exp

from finetune.fetch.duckdb_session import open_duckdb
from finetune.fetch.googlesql.aggregates import AGGREGATES, GATHERING, WINDOW_FUNCTIONS
from finetune.fetch.googlesql.calls import FUNCTIONS
from finetune.fetch.googlesql.casts import CERTAIN, FALLIBLE
from finetune.fetch.googlesql.expressions import NODES
from finetune.fetch.googlesql.grammar import parse, word_left_out
from finetune.fetch.googlesql.queries import compiled
from finetune.fetch.googlesql.scopes import Column, Relation
from finetune.fetch.googlesql.sql_types import FLOAT64, INT64, STRING
from finetune.fetch.googlesql.time_formats import DATE_ELEMENTS, DATE_SQL, TIME_ELEMENTS, TIME_SQL, UTC_ELEMENTS
from finetune.fetch.predicate_pushdown import pushed_down_predicate
from finetune.fetch.query import SqlError
from tests.conftest import ROOT

CASES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "tests/queries/googlesql.yaml").read_text("utf-8"))
CAST_CASES = {sql: value for cases in CASES["casts"].values() for sql, value in cases.items()}
VALUES = CASES["values"] | CAST_CASES
T = Relation(
    "(SELECT * FROM (VALUES (1::BIGINT, 'a', 1.5::DOUBLE), (2, 'b', 2.5), (3, NULL, NULL)) AS t (n, s, f))",
    [Column("n", "", INT64), Column("s", "", STRING), Column("f", "", FLOAT64)],
)
PARAMETERS = {"number": 3, "text": "b", "share": 0.5, "yes": True}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_duckdb() as opened:
        yield opened


def rows(
    connection: duckdb.DuckDBPyConnection, sql: str, tables: Mapping[str, Relation] | None = None
) -> list[list[Any]]:
    query = compiled(sql, tables or {"t": T}, PARAMETERS)
    found = connection.sql(query.sql, params=dict(query.values) or None)
    return [list(row.values()) for row in found.to_arrow_table().to_pylist()]


@pytest.mark.parametrize(("expression", "value"), VALUES.items())
def test_an_expression_has_the_value_that_it_has_on_bigquery(
    expression: str, value: Any, connection: duckdb.DuckDBPyConnection
) -> None:
    """Before, whatever sqlglot could translate ran, also where DuckDB means something else by it.

    FORMAT('%s: %s', a, b) was "%s: %s", TRIM kept line ends, and twenty minutes over midnight were a day.
    """
    found = rows(connection, f"SELECT {expression} AS found")[0][0]
    assert (found, type(found)) == (value, type(value))


def with_a_column(expression: str) -> tuple[str, str] | None:
    """The expression with the column s for its first text, and that text; None without a text that can be a column."""
    text = re.search(r"(?<=[A-Z]\()'[^'%]*'(?=[,) ])", expression)
    if text is None or expression.startswith(("FORMAT", "PARSE", "TIMESTAMP", "UNIX", "CURRENT")):
        return None
    return expression.replace(text[0], "s", 1), text[0]


@pytest.mark.parametrize("expression", [expression for expression in VALUES if with_a_column(expression)])
def test_an_expression_has_the_same_value_for_a_row_of_a_table(
    expression: str, connection: duckdb.DuckDBPyConnection
) -> None:
    """DuckDB computes constants beforehand, in another way than it computes with columns."""
    moved, text = with_a_column(expression) or ("", "")
    value = rows(connection, f"SELECT {text} AS s")[0][0]
    table = Relation("(SELECT $given_text AS s FROM range(3))", [Column("s", "", STRING)])
    query = compiled(f"SELECT {moved} AS found FROM t", {"t": table}, PARAMETERS)
    found = connection.sql(query.sql, params={**query.values, "given_text": value})
    assert found.to_arrow_table().to_pylist() == [{"found": VALUES[expression]}] * 3


@pytest.mark.parametrize(("element", "text"), CASES["elements"].items())
def test_an_element_of_a_format_is_written_as_on_bigquery(
    element: str, text: str, connection: duckdb.DuckDBPyConnection
) -> None:
    sql = f"SELECT FORMAT_TIMESTAMP('<%{element}>', TIMESTAMP '2019-01-05 03:04:05.678901')"
    assert rows(connection, sql) == [[f"<{text}>"]]


@pytest.mark.parametrize(("sql", "expected"), CASES["queries"].items())
def test_a_query_has_the_rows_that_it_has_on_bigquery(
    sql: str, expected: list[list[Any]], connection: duckdb.DuckDBPyConnection
) -> None:
    assert rows(connection, sql) == expected


@pytest.mark.parametrize(("sql", "words"), CASES["refused"].items())
def test_what_is_not_known_to_agree_is_refused_at_its_place(sql: str, words: str) -> None:
    with pytest.raises(SqlError) as error:
        compiled(sql, {"t": T}, PARAMETERS)
    assert words in str(error.value)
    assert error.value.line == 1


@pytest.mark.parametrize(("expression", "words"), CASES["errors"].items())
def test_what_is_an_error_on_bigquery_is_one_here(
    expression: str, words: str, connection: duckdb.DuckDBPyConnection
) -> None:
    with pytest.raises(duckdb.Error, match=re.escape(words)):
        rows(connection, f"SELECT {expression} AS found")


# Functions that are not NULL where an argument is, and arguments that have to be constant.
NOT_NULL = {"COALESCE", "IFNULL", "TO_JSON_STRING", "NULLIF", "RAND", "FORMAT", "STRUCT", "ARRAY"}
CONSTANT = {
    "CHR": {0}, "FORMAT_DATE": {0}, "FORMAT_TIMESTAMP": {0, 2}, "PARSE_DATE": {0}, "PARSE_TIMESTAMP": {0, 2}, "DATE": {1},
    "REGEXP_CONTAINS": {1}, "REGEXP_EXTRACT": {1}, "REGEXP_SUBSTR": {1}, "REGEXP_EXTRACT_ALL": {1}, "REGEXP_REPLACE": {1, 2},
    "TIMESTAMP": {1}, "TIMESTAMP_TRUNC": {2}, "CURRENT_DATE": {0}, "ARRAY_TO_STRING": {2},
}  # fmt: skip


def with_nulls() -> Iterator[str]:
    """The cases that are calls, each with NULL instead of one of its literals."""
    for expression in VALUES:
        call = parse(f"SELECT {expression}").expressions[0]
        if not isinstance(call, exp.Anonymous) or call.name.upper() in NOT_NULL:
            continue
        for at, argument in enumerate(call.expressions):
            literal = argument.this if isinstance(argument, exp.Cast) else argument
            constant = at in CONSTANT.get(call.name.upper(), set()) and "(2016" not in expression
            if not isinstance(literal, exp.Literal | exp.RawString) or constant:
                continue
            start, end = (literal.meta[name] - len("SELECT ") for name in ("start", "end"))
            kind = "INT64" if isinstance(literal, exp.Literal) and not literal.is_string else "STRING"
            before = re.search(r"(DATE|TIMESTAMP) $", expression[:start])
            if before or not isinstance(argument, exp.Cast):
                start, kind = (before.start(), before[1]) if before else (start, kind)
                yield f"{expression[:start]}CAST(NULL AS {kind}){expression[end + 1 :]}"


@pytest.mark.parametrize("call", sorted(set(with_nulls())))
def test_a_function_of_null_is_null(call: str, connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB's own concat, greatest, least and list_concat leave NULLs out."""
    assert rows(connection, f"SELECT {call} AS found") == [[None]]


def test_every_function_that_runs_has_a_case() -> None:
    """With each number of arguments that it takes."""
    written = [*(f"SELECT {expression}" for expression in VALUES), *CASES["queries"]]
    calls = [
        (call.name.upper(), len(call.expressions)) for sql in written for call in parse(sql).find_all(exp.Anonymous)
    ]
    known = {**FUNCTIONS, **AGGREGATES, **WINDOW_FUNCTIONS}
    # EXTRACT has a syntax of its own, and is a kind of expression below.
    assert {*known, *GATHERING} - {"EXTRACT"} <= {name for name, _ in calls}
    declared = [function for functions in FUNCTIONS.values() for function in functions if function.name != "EXTRACT"]
    assert {(each.name, len(each.parameters)) for each in declared if not each.is_variadic} <= {*calls}


def test_every_kind_of_expression_that_runs_has_a_case() -> None:
    written = [*(f"SELECT {expression}" for expression in VALUES), *CASES["queries"]]
    found = {type(node) for sql in written for node in parse(sql).walk()}
    assert set(NODES) <= found


def test_every_cast_and_every_element_has_a_case() -> None:
    assert {tuple(pair.split()) for pair in CASES["casts"]} == {*CERTAIN, *FALLIBLE}
    assert set(CASES["elements"]) == {*DATE_ELEMENTS, *DATE_SQL, *TIME_ELEMENTS, *TIME_SQL, *UTC_ELEMENTS}


COLUMNS = {"id": "STRING", "n": "INT64", "s": "STRING", "f": "FLOAT64"}
N = '("n" > CAST(1 AS BIGINT))'
S = "(\"s\" = 'x')"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM t", "TRUE"),
        ("SELECT * FROM t WHERE n > 1 AND s = @s", f'({N} AND ("s" = CAST($given_s AS VARCHAR)))'),
        ("SELECT * FROM t WHERE n > 1 OR s = 'x'", f"(({N} OR {S}))"),
        ("SELECT * FROM t WHERE n > 1 AND _TABLE_SUFFIX = '8'", f"({N})"),
        ("SELECT * FROM t WHERE _TABLE_SUFFIX = '8'", "TRUE"),
        ("SELECT * FROM t WHERE n > 1 AND RAND() < 0.5", f"({N})"),
        ("SELECT * FROM t WHERE n > 1 AND id IN (SELECT id FROM u)", f"({N})"),
        ("SELECT * FROM t AS a JOIN u ON a.id = u.id WHERE a.n > 1 AND u.n > 2 AND s = 'x'", f"({N})"),
        ("SELECT * FROM t LEFT JOIN u ON t.id = u.id WHERE t.n > 1", "TRUE"),
        ("SELECT * FROM u LEFT JOIN t ON t.id = u.id WHERE t.id IS NULL", "TRUE"),
        ("SELECT * FROM t WHERE n > 1 UNION ALL SELECT * FROM t WHERE s = 'x'", f"({N}) OR ({S})"),
        ("SELECT * FROM t WHERE n > 1 UNION ALL SELECT * FROM t", "TRUE"),
        ("WITH a AS (SELECT id FROM t WHERE n > 1) SELECT * FROM a WHERE id = 'x'", f"({N})"),
        ("SELECT * FROM u WHERE n > 1", "TRUE"),
        ("SELECT * FROM t WHERE n > 1 AND 10 / n > 2", f"({N})"),
        ("SELECT * FROM t WHERE n > 1 AND CAST(s AS INT64) > 2", f"({N})"),
        ("SELECT * FROM t WHERE n > 1 AND f > 2", f"({N})"),
    ],
)
def test_the_terms_that_concern_one_table_are_pushed_down(sql: str, expected: str) -> None:
    """A term that may fail is not: it may hold for rows that the other terms leave out. Nor one of numbers that may be NaN."""
    found = pushed_down_predicate(sql, "t", COLUMNS, {"s": "it's"})
    assert found.sql == expected
    assert found.values == ({"given_s": "it's"} if "@s" in sql else {})


@pytest.mark.parametrize(
    ("sql", "message", "line", "column"),
    [
        ("SELECT 1\nFROM t WHERE WHERE", "Syntax error: Unexpected", 2, 14),
        ("SELECT 1; SELECT 2", "it has 2 statements, and should have one", 1, 1),
        ("SELECT n,\n  Shout(n) FROM t", "the function Shout does not run on local files", 2, 3),
        ("SELECT n,\n  SAFE.Shout(n) FROM t", "the function Shout does not run on local files", 2, 8),
        ("SELECT n\nFROM t WHERE CAST(n AS NUMERIC) = 1", "CAST to NUMERIC does not run on local files", 2, 19),
        ("SELECT n\nFROM t WHERE n = @nope", "Query parameter 'nope' not found", 2, 18),
        ("SELECT n\nFROM t WHERE s = '\\d'", "Illegal escape sequence", 2, 18),
    ],
)
def test_a_refusal_has_its_position(sql: str, message: str, line: int, column: int) -> None:
    with pytest.raises(SqlError) as error:
        compiled(sql, {"t": T}, {})
    assert message in str(error.value)
    assert (error.value.line, error.value.column) == (line, column)


def test_a_word_that_the_parser_drops_is_found() -> None:
    """Sqlglot read ARRAY(SELECT n FROM t)[OFFSET(1)] as the array [OFFSET(1)], and list[0] as the array [0]."""
    for sql in (*(f"SELECT {expression}" for expression in VALUES), *CASES["queries"]):
        assert word_left_out(parse(sql), sql) is None
    for shorter, sql in (("SELECT a", "SELECT a, b"), ("SELECT 1", "SELECT 1 + 2"), ("SELECT 'x'", "SELECT 'x', 'y'")):
        word = word_left_out(parse(shorter), sql)
        assert word is not None
        assert word.text in ("b", "2", "y")


def test_a_chain_of_a_thousand_conditions_runs(connection: duckdb.DuckDBPyConnection) -> None:
    conditions = " OR ".join(f"n = {number}" for number in range(1000))
    assert rows(connection, f"SELECT COUNT(*) FROM t WHERE {conditions}") == [[3]]


def test_a_query_that_is_nested_too_deeply_is_refused() -> None:
    """Longer than the limit of 10,000 calls that gpt-2-simple sets where another test has imported it."""
    with pytest.raises(SqlError, match="too many parts within each other"):
        compiled(f"SELECT {' + '.join(['1'] * 12_000)}", {}, {})
