"""Fuzz: compiled GoogleSQL against the semantics that BigQuery's documentation gives, written in Python.

Each expression runs twice: with its arguments as columns, and as parameters, which the compiler treats as constants.
"""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.fetch.duckdb_session import open_duckdb
from finetune.fetch.googlesql.queries import compiled
from finetune.fetch.googlesql.regular_expressions import groups_of
from finetune.fetch.googlesql.scopes import Column, Relation
from finetune.fetch.googlesql.sql_types import BOOL, DATE, FLOAT64, INT64, STRING, TIMESTAMP, SqlType

WHITE_SPACE = "".join(
    map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)
ERROR = "error"
KINDS: dict[type, SqlType] = {str: STRING, int: INT64, float: FLOAT64, bool: BOOL, date: DATE, datetime: TIMESTAMP}

few_letters = st.text("ab%_\\ é\n😀", max_size=8)
texts = few_letters | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
small = st.integers(-9, 9)
whole = small | st.integers(-(2**63), 2**63 - 1)
numbers = (
    st.floats(-1e6, 1e6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-9999, 9999).map(lambda n: n / 2)
)
dates = st.dates(date(1010, 1, 1), date(9000, 1, 1)) | st.dates(date(2018, 12, 1), date(2021, 1, 31))
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_duckdb() as opened:
        yield opened


def values_of(
    connection: duckdb.DuckDBPyConnection, expressions: Sequence[str], arguments: dict[str, Any], constant: bool
) -> list[Any]:
    """The values of expressions, in which {x} stands for the argument x; [ERROR] if one of them ends in one."""
    names = {name: f"@{name}" if constant else name for name in arguments}
    columns = [Column(name, "", KINDS[type(value)]) for name, value in arguments.items()]
    listed = ", ".join(f"CAST($column_{column.name} AS {column.type.duckdb}) AS {column.name}" for column in columns)
    selected = ", ".join(expression.format(**names) for expression in expressions)
    query = compiled(f"SELECT {selected} FROM t", {"t": Relation(f"(SELECT {listed})", columns)}, arguments)
    given = {f"column_{name}": value for name, value in arguments.items()} | dict(query.values)
    try:
        return list(connection.sql(query.sql, params=given).to_arrow_table().to_pylist()[0].values())
    except duckdb.Error:
        return [ERROR]


def check(connection: duckdb.DuckDBPyConnection, expected: dict[str, Any], **arguments: Any) -> None:
    """Hold expressions to their expected values. Those that should end in an error run one by one."""
    constants = [False] if any(isinstance(value, date) for value in arguments.values()) else [False, True]
    fine = {expression: value for expression, value in expected.items() if value != ERROR}
    groups = [fine] * bool(fine) + [{expression: ERROR} for expression in expected if expression not in fine]
    for constant in constants:
        for group in groups:
            found = values_of(connection, list(group), arguments, constant)
            wanted = list(group.values())
            assert [(value, type(value)) for value in found] == [(value, type(value)) for value in wanted], arguments


def substr(text: str, position: int, length: int) -> str:
    if length < 0:
        return ERROR
    start = position - 1 if position > 0 else max(len(text) + position, 0) if position < 0 else 0
    return text[start : start + length]


def instr(text: str, part: str, position: int, occurrence: int) -> int | str:
    """One candidate start after the other, in the direction that the sign of the position gives."""
    if position == 0 or occurrence < 1:
        return ERROR
    backwards = range(len(text) + position + (part == ""), -1, -1)
    for start in range(position - 1, len(text) + 1) if position > 0 else backwards:
        if 0 <= start <= len(text) - len(part) and text[start : start + len(part)] == part:
            occurrence -= 1
            if occurrence == 0:
                return start + 1
    return 0


@given(texts, whole, small)
@example("apple", 0, 2)
@example("é😀", -2, 1)
@example("a", -(2**63), 1)
def test_substr(connection: duckdb.DuckDBPyConnection, text: str, position: int, length: int) -> None:
    expected = {
        "SUBSTR({x}, {p}, {n})": substr(text, position, length),
        "SUBSTR({x}, {p})": substr(text, position, len(text)),
    }
    check(connection, expected, x=text, p=position, n=length)


@given(few_letters, st.text("abé", max_size=2), small, st.integers(-1, 3))
def test_instr(connection: duckdb.DuckDBPyConnection, text: str, part: str, position: int, occurrence: int) -> None:
    expected = {
        "INSTR({x}, {y}, {p}, {n})": instr(text, part, position, occurrence),
        "STRPOS({x}, {y})": text.find(part) + 1,
    }
    check(connection, expected, x=text, y=part, p=position, n=occurrence)


@given(st.text(f"{WHITE_SPACE}a\u200b\x1c", max_size=6) | texts, st.text("aé ", min_size=1, max_size=3))
def test_trim(connection: duckdb.DuckDBPyConnection, text: str, characters: str) -> None:
    expected = {
        "TRIM({x})": text.strip(WHITE_SPACE),
        "LTRIM({x})": text.lstrip(WHITE_SPACE),
        "RTRIM({x})": text.rstrip(WHITE_SPACE),
        "TRIM({x}, {c})": text.strip(characters),
    }
    check(connection, expected, x=text, c=characters)


@given(texts, texts, small)
def test_other_functions_of_texts(connection: duckdb.DuckDBPyConnection, text: str, other: str, number: int) -> None:
    expected = {
        "LENGTH({x})": len(text),
        "BYTE_LENGTH({x})": len(text.encode()),
        "LOWER({x})": text.lower(),
        "UPPER({x})": text.upper(),
        "REVERSE({x})": text[::-1],
        "REPLACE({x}, {y}, 'c')": text.replace(other, "c") if other else text,
        "SPLIT({x}, {y})": text.split(other) if other else list(text) or [""],
        "CONCAT({x}, {n}, {y})": f"{text}{number}{other}",
        "STARTS_WITH({x}, {y})": text.startswith(other),
        "ENDS_WITH({x}, {y})": text.endswith(other),
        "LEFT({x}, {n})": text[:number] if number >= 0 else ERROR,
        "RIGHT({x}, {n})": text[max(len(text) - number, 0) :] if number >= 0 else ERROR,
        "{x} < {y}": text.encode() < other.encode(),
        "FORMAT('%s|%d', {x}, {n})": f"{text}|{number}",
    }
    check(connection, expected, x=text, y=other, n=number)


PIECES = ["a", "b", "é", "\n", "%", "_", r"\%", r"\_", r"\\", r"\a"]


@given(few_letters, st.lists(st.sampled_from(PIECES), max_size=5))
def test_like(connection: duckdb.DuckDBPyConnection, text: str, pieces: list[str]) -> None:
    meant = "".join({"%": ".*", "_": "."}.get(piece, re.escape(piece[-1])) for piece in pieces)
    matches = re.fullmatch(meant, text, re.DOTALL) is not None
    check(connection, {"{x} LIKE {p}": matches}, x=text, p="".join(pieces))


# The same in RE2 and, with re.ASCII, in Python.
PATTERNS = ["a", "b+", "[ab]é?", "(a)b", "(?:a|b)(%)?", r"\s", r"(\\)", "(?i)A", r"^a|b\\", r"[(a]", r"\w(.)", "😀"]


@given(few_letters, st.sampled_from(PATTERNS))
def test_regular_expressions(connection: duckdb.DuckDBPyConnection, text: str, pattern: str) -> None:
    meant = re.compile(pattern, re.ASCII)
    found = [match[min(meant.groups, 1)] for match in meant.finditer(text)]
    expected = {
        f"REGEXP_CONTAINS({{x}}, r'{pattern}')": bool(found),
        f"REGEXP_EXTRACT({{x}}, r'{pattern}')": found[0] if found else None,
        f"REGEXP_EXTRACT_ALL({{x}}, r'{pattern}')": found,
        f"REGEXP_REPLACE({{x}}, r'{pattern}', r'<\\0>')": meant.sub(r"<\g<0>>", text),
    }
    check(connection, expected, x=text)


@given(st.text("()[]\\\\?:P<>aQEi^-|+", max_size=12))
@example(r"[](](a)\((?:b)(?P<n>c)(?i)\Q(\E")
def test_the_groups_of_a_pattern_are_those_of_re2(connection: duckdb.DuckDBPyConnection, pattern: str) -> None:
    try:
        connection.execute("SELECT regexp_replace('', ?, ?)", [pattern, r"\9"]).fetchall()
    except duckdb.Error as error:
        if found := re.search(r"only has (\d+) parenthesized", str(error)):
            assert groups_of(pattern) == int(found[1])


@given(numbers, st.integers(-3, 6))
@example(0.5, 0)
@example(-2.5, 0)
@example(0.49999999999999994, 0)
def test_rounding(connection: duckdb.DuckDBPyConnection, number: float, digits: int) -> None:
    rounded = Decimal(number).quantize(Decimal(1), ROUND_HALF_UP) if abs(number) < 1e20 else Decimal(number)
    fits = -(2**63) <= rounded < 2**63
    expected = {
        "ROUND({x}) + 0": float(rounded) + 0,
        "CAST({x} AS INT64)": int(rounded) if fits else ERROR,
        "SAFE_CAST({x} AS INT64)": int(rounded) if fits else None,
        "CAST(CAST({x} AS STRING) AS FLOAT64) + 0": number + 0,
    }
    check(connection, expected, x=number)
    found = values_of(connection, ["ROUND({x}, {d})"], {"x": number, "d": digits}, constant=False)[0]
    half = Fraction(1, 2) / Fraction(10) ** digits
    assert abs(Fraction(found) - Fraction(number)) <= half + abs(Fraction(number)) / 2**52


@given(whole, whole)
@example(-(2**63), -1)
@example(-7, 3)
@example(1, 0)
def test_arithmetic(connection: duckdb.DuckDBPyConnection, one: int, other: int) -> None:
    def bounded(number: int) -> int | str:
        return number if -(2**63) <= number < 2**63 else ERROR

    quotient = abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1) if other else 0
    expected = {
        "{x} + {y}": bounded(one + other),
        "{x} - {y}": bounded(one - other),
        "{x} * {y}": bounded(one * other),
        "{x} / {y}": float(one) / float(other) if other else ERROR,
        "SAFE_DIVIDE({x}, {y})": float(one) / float(other) if other else None,
        "DIV({x}, {y})": bounded(quotient) if other else ERROR,
        "MOD({x}, {y})": one - quotient * other if other else ERROR,
        "GREATEST({x}, {y})": max(one, other),
        "{x} < {y}": one < other,
    }
    check(connection, expected, x=one, y=other)


ODD_TEXTS = ["true", "FALSE", "t", " 1", "1e3", "+5", ".5", "5.", "1e5000", "99999999999999999999"]


@given(st.text("0123456789+-.eE _\n", max_size=6) | st.sampled_from(ODD_TEXTS))
def test_casts_of_texts(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    stripped = text.strip(" \t\n\v\f\r")
    whole_number = int(stripped) if re.fullmatch(r"[+-]?\d+", stripped, re.ASCII) else None
    number = float(stripped) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", stripped, re.ASCII) else None
    expected = {
        "SAFE_CAST({x} AS INT64)": whole_number if whole_number is None or abs(whole_number) < 2**63 else None,
        "SAFE_CAST({x} AS FLOAT64)": ERROR if number is not None and math.isinf(number) else number,
        "SAFE_CAST({x} AS BOOL)": {"true": True, "false": False}.get(text.lower()),
    }
    check(connection, expected, x=text)


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def sunday(day: date) -> date:
    return day - timedelta(days=day.isoweekday() % 7)


def months_later(day: date, months: int) -> date:
    month = day.year * 12 + day.month - 1 + months
    year, month = month // 12, month % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


@given(dates, dates, st.integers(-40, 40))
def test_dates(connection: duckdb.DuckDBPyConnection, one: date, other: date, number: int) -> None:
    elements = "%Y-%m-%d %j %a %A %b %B %y %U %W %V %u %w"
    expected = {
        "DATE_DIFF({a}, {b}, DAY)": (one - other).days,
        "DATE_DIFF({a}, {b}, WEEK)": (sunday(one) - sunday(other)).days // 7,
        "DATE_DIFF({a}, {b}, ISOWEEK)": (monday(one) - monday(other)).days // 7,
        "DATE_DIFF({a}, {b}, MONTH)": (one.year - other.year) * 12 + one.month - other.month,
        "DATE_DIFF({a}, {b}, QUARTER)": (one.year - other.year) * 4 + (one.month - 1) // 3 - (other.month - 1) // 3,
        "DATE_DIFF({a}, {b}, YEAR)": one.year - other.year,
        "DATE_DIFF({a}, {b}, ISOYEAR)": one.isocalendar().year - other.isocalendar().year,
        "EXTRACT(WEEK FROM {a})": int(one.strftime("%U")),
        "EXTRACT(WEEK(MONDAY) FROM {a})": int(one.strftime("%W")),
        "EXTRACT(ISOWEEK FROM {a})": one.isocalendar().week,
        "EXTRACT(DAYOFWEEK FROM {a})": one.isoweekday() % 7 + 1,
        "EXTRACT(DAYOFYEAR FROM {a})": one.timetuple().tm_yday,
        "DATE_TRUNC({a}, WEEK)": sunday(one),
        "DATE_TRUNC({a}, ISOWEEK)": monday(one),
        "DATE_TRUNC({a}, ISOYEAR)": date.fromisocalendar(one.isocalendar().year, 1, 1),
        "DATE_TRUNC({a}, MONTH)": one.replace(day=1),
        "LAST_DAY({a})": one.replace(day=monthrange(one.year, one.month)[1]),
        "UNIX_DATE({a})": (one - date(1970, 1, 1)).days,
        "CAST({a} AS STRING)": one.isoformat(),
        "DATE_ADD({a}, INTERVAL {n} MONTH)": months_later(one, number),
        "DATE_SUB({a}, INTERVAL {n} WEEK)": one - timedelta(weeks=number),
        f"FORMAT_DATE('{elements}', {{a}})": one.strftime(elements),
    }
    check(connection, expected, a=one, b=other, n=number)


@given(times, times)
@example(datetime(2019, 1, 2, 0, 10, tzinfo=UTC), datetime(2019, 1, 1, 23, 50, tzinfo=UTC))
def test_timestamps(connection: duckdb.DuckDBPyConnection, one: datetime, other: datetime) -> None:
    micros = (one - other) // timedelta(microseconds=1)
    sizes = {"DAY": 86_400, "HOUR": 3_600, "MINUTE": 60, "SECOND": 1}
    whole_units = {part: abs(micros) // (size * 1_000_000) * (1 if micros > 0 else -1) for part, size in sizes.items()}
    since = one - datetime(1970, 1, 1, tzinfo=UTC)
    fraction = f".{one.microsecond:06}".removesuffix("000") if one.microsecond else ""
    text = f"{one:%Y-%m-%d %H:%M:%S}{fraction}+00"
    expected = {f"TIMESTAMP_DIFF({{a}}, {{b}}, {part})": count for part, count in whole_units.items()} | {
        "UNIX_SECONDS({a})": since // timedelta(seconds=1),
        "UNIX_MILLIS({a})": since // timedelta(milliseconds=1),
        "DATE({a})": one.date(),
        "FORMAT_TIMESTAMP('%F %T', {a}, '+05:30')": str(one + timedelta(hours=5.5))[:19],
        "EXTRACT(HOUR FROM {a} AT TIME ZONE '-03:00')": (one.hour - 3) % 24,
        "CAST({a} AS STRING)": text,
        "CAST({x} AS TIMESTAMP) = {a}": True,
    }
    check(connection, expected, a=one, b=other, x=text)
