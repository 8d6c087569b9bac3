"""GoogleSQL gives the same results on DuckDB as on BigQuery. The expected values are from its documentation."""

from __future__ import annotations

from typing import Any

import pytest

from finetune.fetch.duckdb_session import open_duckdb
from finetune.fetch.googlesql import translate
from finetune.fetch.predicate_pushdown import pushed_down_predicate
from finetune.fetch.query import SqlError


def run(sql: str, **tables: str) -> list[tuple[Any, ...]]:
    """Run GoogleSQL on DuckDB. The tables are given as DuckDB SQL."""
    with open_duckdb() as connection:
        found = connection.sql(translate(sql, lambda name: f"({tables[name]})"))
        return [tuple(row.values()) for row in found.to_arrow_table().to_pylist()]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("FARM_FINGERPRINT(CONCAT('1', 'foo', 'true'))", -1541654101129638711),
        ("MOD(-7, 3)", -1),
        ("DIV(-7, 3)", -2),
        ("7 / 2", 3.5),
        ("SAFE_DIVIDE(1, 0)", None),
        ("SAFE_CAST('x' AS INT64)", None),
        ("CAST(2.5 AS INT64)", 3),
        ("IF(1 > 2, 'a', 'b')", "b"),
        ("LENGTH('שלום')", 4),
        ("SUBSTR('2019_08', 3)", "19_08"),
        ("SPLIT('a,b,,c', ',')", ["a", "b", "", "c"]),
        ("SPLIT('a b', ' ')[OFFSET(1)]", "b"),
        ("SPLIT('a b', ' ')[SAFE_OFFSET(5)]", None),
        ("ARRAY_LENGTH([1, 2, 3])", 3),
        ("ARRAY_CONCAT([1], [2, 3])", [1, 2, 3]),
        ("ARRAY_TO_STRING(['a', 'b'], '-')", "a-b"),
        ("ARRAY_REVERSE([1, 2])", [2, 1]),
        ("ARRAY(SELECT x FROM UNNEST([3, 1, 2]) AS x WHERE x > 1 ORDER BY x)", [2, 3]),
        ("2 IN UNNEST([1, 2])", True),
        (r"REGEXP_CONTAINS('It was YTA.', r'(?i)\byta\b')", True),
        (r"REGEXP_REPLACE('a1b22', r'(\d+)', r'<\1>')", "a<1>b<22>"),
        (r"REGEXP_EXTRACT('id=42;', r'id=(\d+)')", "42"),
        (r"REGEXP_EXTRACT_ALL('a1b22', r'\d+')", ["1", "22"]),
        ("STARTS_WITH('t3_x', 't3_')", True),
        ("ENDS_WITH('Why?', '?')", True),
        ("REPLACE('a&amp;b', '&amp;', '&')", "a&b"),
        ("FORMAT_TIMESTAMP('%Y-%m', TIMESTAMP_SECONDS(1564617600))", "2019-08"),
        ("EXTRACT(YEAR FROM TIMESTAMP_SECONDS(1564617599))", 2019),
        ("TO_JSON_STRING(STRUCT(1 AS a))", '{"a":1}'),
        ("COALESCE(NULL, 2)", 2),
        ("GREATEST(1, 3, 2)", 3),
        ("STRUCT(1 AS a, 'x' AS b)", {"a": 1, "b": "x"}),
    ],
)
def test_an_expression_has_the_same_value(expression: str, value: Any) -> None:
    assert run(f"SELECT {expression} AS found") == [(value,)]


NUMBERS = "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS t (n, s)"


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT COUNTIF(n > 1) FROM t", [(2,)]),
        ("SELECT n FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY n DESC) = 1", [(3,)]),
        ("SELECT n FROM t ORDER BY s, n", [(3,), (1,), (2,)]),
        ("SELECT n FROM t ORDER BY s DESC", [(2,), (1,), (3,)]),
        ("SELECT ARRAY_AGG(n ORDER BY n DESC LIMIT 2) FROM t", [([3, 2],)]),
        ("SELECT ARRAY_AGG(s IGNORE NULLS ORDER BY n DESC) FROM t", [(["b", "a"],)]),
        ("SELECT ARRAY_AGG(STRUCT(n, s) ORDER BY n DESC LIMIT 1)[OFFSET(0)].n FROM t", [(3,)]),
        ("SELECT ARRAY_AGG(DISTINCT s IGNORE NULLS ORDER BY s) FROM t", [(["a", "b"],)]),
        ("SELECT STRING_AGG(s, '-' ORDER BY n DESC) FROM t", [("b-a",)]),
        ("SELECT * EXCEPT (s) FROM t WHERE n = 1", [(1,)]),
        ("SELECT w FROM t, UNNEST([n, n * 10]) AS w WHERE n < 3 ORDER BY w", [(1,), (2,), (10,), (20,)]),
        ("SELECT w, o FROM t, UNNEST(['x', 'y']) AS w WITH OFFSET AS o WHERE n = 1 ORDER BY o", [("x", 0), ("y", 1)]),
        ("SELECT w FROM t, UNNEST(['x', 'y']) AS w WITH OFFSET WHERE n = 1 AND offset = 1", [("y",)]),
        ("SELECT n FROM t WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.n = t.n + 1) ORDER BY n", [(1,), (2,)]),
        ("WITH t2 AS (SELECT n FROM t) SELECT SUM(n) FROM t2", [(6,)]),
        ("SELECT SUM(n) / COUNT(*) FROM t", [(2.0,)]),
        ("SELECT n FROM (t JOIN (SELECT 2 AS n) AS u USING (n))", [(2,)]),
    ],
)
def test_a_query_has_the_same_rows(sql: str, rows: list[tuple[Any, ...]]) -> None:
    assert run(sql, t=NUMBERS) == rows


COLUMNS = ("id", "n", "s")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM t", "TRUE"),
        ("SELECT * FROM t WHERE n > 1 AND s = @s", "\"n\" > 1 AND \"s\" = 'it''s'"),
        ("SELECT * FROM t WHERE n > 1 OR s = 'x'", '"n" > 1 OR "s" = \'x\''),
        ("SELECT * FROM t WHERE n > 1 AND _TABLE_SUFFIX = '8'", '"n" > 1'),
        ("SELECT * FROM t WHERE _TABLE_SUFFIX = '8'", "TRUE"),
        ("SELECT * FROM t WHERE n > 1 AND RAND() < 0.5", '"n" > 1'),
        ("SELECT * FROM t WHERE n > 1 AND id IN (SELECT id FROM u)", '"n" > 1'),
        ("SELECT * FROM t AS a JOIN u ON a.id = u.id WHERE a.n > 1 AND u.n > 2 AND s = 'x'", '"n" > 1'),
        ("SELECT * FROM t LEFT JOIN u ON t.id = u.id WHERE t.n > 1", "TRUE"),
        ("SELECT * FROM u LEFT JOIN t ON t.id = u.id WHERE t.id IS NULL", "TRUE"),
        ("SELECT * FROM t WHERE n > 1 UNION ALL SELECT * FROM t WHERE s = 'x'", '"n" > 1 OR "s" = \'x\''),
        ("SELECT * FROM t WHERE n > 1 UNION ALL SELECT * FROM t", "TRUE"),
        ("WITH a AS (SELECT id FROM t WHERE n > 1) SELECT * FROM a WHERE id = 'x'", '"n" > 1'),
        ("SELECT * FROM u WHERE n > 1", "TRUE"),
    ],
)
def test_the_terms_that_concern_one_table_are_pushed_down(sql: str, expected: str) -> None:
    assert pushed_down_predicate(sql, "t", COLUMNS, {"s": "it's"}) == expected


@pytest.mark.parametrize(
    ("sql", "message", "line", "column"),
    [
        ("SELECT 1\nFROM t WHERE WHERE", "Syntax error: Unexpected", 2, 14),
        ("SELECT 1; SELECT 2", "it has 2 statements, and should have one", 1, 1),
    ],
)
def test_a_syntax_error_has_its_position(sql: str, message: str, line: int, column: int) -> None:
    with pytest.raises(SqlError) as error:
        translate(sql, lambda name: name)
    assert message in str(error.value)
    assert (error.value.line, error.value.column) == (line, column)
