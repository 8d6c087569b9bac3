"""Fuzz: compiled GoogleSQL against the semantics that BigQuery's documentation gives, written in Python.

Each expression runs twice: with its arguments as columns, and as parameters, which the compiler treats as constants.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.fetch.duckdb_session import open_duckdb
from finetune.fetch.googlesql.regular_expressions import groups_of
from tests.finetune.fetch.evaluation import ERROR, check, values_of

WHITE_SPACE = "".join(
    map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)

few_letters = st.text("ab%_\\ é\n😀", max_size=8)
texts = few_letters | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
small = st.integers(-9, 9)
whole = small | st.integers(-(2**63), 2**63 - 1)
numbers = (
    st.floats(-1e6, 1e6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-9999, 9999).map(lambda n: n / 2)
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_duckdb() as opened:
        yield opened


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
