"""CAST and SAFE_CAST: which types become which, with SQL for DuckDB that gives BigQuery's values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from finetune.fetch.googlesql.sql_types import DATE, NULL, STRING, TIMESTAMP, SqlType
from finetune.fetch.googlesql.typed import Failure, Typed, combined, dated

SPACES = r"[ \t\n\v\f\r]*"
WHOLE = rf"{SPACES}[+-]?[0-9]+{SPACES}"
HEXADECIMAL = rf"{SPACES}[+-]?0[xX][0-9a-fA-F]*{SPACES}"
DECIMAL = rf"{SPACES}[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?{SPACES}"
NOT_FINITE = rf"(?i){SPACES}[+-]?(inf|infinity|nan){SPACES}"
DAY = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
STRIPPED = r"trim({0}, E' \t\n\x0b\f\r')"


def whole_number(text: str, fail: Failure) -> str:
    """Hexadecimal text is a number in BigQuery, and always an error here."""
    return (
        f"CASE WHEN regexp_full_match({text}, '{WHOLE}') "
        f"THEN coalesce(TRY_CAST({STRIPPED.format(text)} AS BIGINT), {fail['the text is too large for INT64']}) "
        f"WHEN regexp_full_match({text}, '{HEXADECIMAL}') THEN {Failure(fail.place)['CAST reads no hexadecimal text here']} "
        f"WHEN {text} IS NOT NULL THEN {fail['the text is not an INT64']} END"
    )


def decimal_number(text: str, fail: Failure) -> str:
    """Numbers that are not finite are numbers in BigQuery, and always an error here."""
    error = Failure(fail.place)["CAST reads no number that is infinite or NaN here"]
    number = f"TRY_CAST({STRIPPED.format(text)} AS DOUBLE)"
    return (
        f"CASE WHEN regexp_full_match({text}, '{DECIMAL}') "
        f"THEN CASE WHEN isfinite({number}) THEN {number} ELSE {error} END "
        f"WHEN regexp_full_match({text}, '{NOT_FINITE}') THEN {error} "
        f"WHEN {text} IS NOT NULL THEN {fail['the text is not a FLOAT64']} END"
    )


def truth(text: str, fail: Failure) -> str:
    return (
        f"CASE WHEN regexp_full_match({text}, '(?i)true') THEN TRUE WHEN regexp_full_match({text}, '(?i)false') THEN FALSE "
        f"WHEN {text} IS NOT NULL THEN {fail['the text is neither true nor false']} END"
    )


def day(text: str, fail: Failure) -> str:
    """Text with more than a date in it is always an error here."""
    return (
        f"CASE WHEN regexp_full_match({text}, '{DAY}') AND {text} NOT LIKE '0000%' "
        f"THEN coalesce(TRY_CAST({text} AS DATE), {fail['there is no such date']}) "
        f"WHEN regexp_matches({text}, '{DAY}') THEN {Failure(fail.place)['CAST reads only YYYY-MM-DD as a DATE here']} "
        f"WHEN {text} IS NOT NULL THEN {fail['the text is not a DATE']} END"
    )


def moment(text: str, fail: Failure) -> str:
    return (
        f"CASE WHEN googlesql_micros({text}) = -9223372036854775808 THEN {fail['the text is not a TIMESTAMP']} "
        f"ELSE make_timestamptz(googlesql_micros({text})) END"
    )


def rounded(number: str, fail: Failure) -> str:
    """To the nearest whole number, halves away from zero."""
    return (
        f"CASE WHEN round({number}) >= -9223372036854775808.0 AND round({number}) < 9223372036854775808.0 "
        f"THEN CAST(round({number}) AS BIGINT) WHEN {number} IS NOT NULL THEN {fail['the number is too large for INT64']} END"
    )


def timestamp_text(micros: str) -> str:
    """2019-08-01 12:00:00+00, with three or six digits behind the second if they are not all zero."""
    local = f"make_timestamp({micros})"
    return (
        f"(strftime({local}, '%Y-%m-%d %H:%M:%S') || CASE WHEN {micros} % 1000000 = 0 THEN '' "
        f"WHEN {micros} % 1000 = 0 THEN strftime({local}, '.%g') ELSE strftime({local}, '.%f') END || '+00')"
    )


# Casts that always work, as SQL.
CERTAIN: Mapping[tuple[str, str], str] = {
    ("INT64", "FLOAT64"): "CAST({0} AS DOUBLE)",
    ("INT64", "STRING"): "CAST({0} AS VARCHAR)",
    ("INT64", "BOOL"): "{0} <> 0",
    ("FLOAT64", "STRING"): "googlesql_text_of_number({0})",
    ("BOOL", "INT64"): "CAST({0} AS BIGINT)",
    ("BOOL", "STRING"): "CAST({0} AS VARCHAR)",
    ("STRING", "BYTES"): "encode({0})",
    ("DATE", "STRING"): "strftime({0}, '%Y-%m-%d')",
    ("DATE", "TIMESTAMP"): "make_timestamptz(epoch_us({0}))",
    ("TIMESTAMP", "DATE"): "CAST(make_timestamp(epoch_us({0})) AS DATE)",
    ("TIMESTAMP", "STRING"): timestamp_text("epoch_us({0})"),
}
# Casts that do not work for every value.
FALLIBLE: Mapping[tuple[str, str], Callable[[str, Failure], str]] = {
    ("FLOAT64", "INT64"): rounded,
    ("STRING", "INT64"): whole_number,
    ("STRING", "FLOAT64"): decimal_number,
    ("STRING", "BOOL"): truth,
    ("STRING", "DATE"): day,
    ("STRING", "TIMESTAMP"): moment,
}


def cast(expression: Typed, kind: SqlType, fail: Failure) -> Typed | None:
    """The expression as another type; None if no such cast is supported."""
    if expression.type in (kind, NULL):
        return expression._replace(sql=f"CAST({expression.sql} AS {kind.duckdb})", type=kind)
    if expression.type == STRING and expression.is_constant and kind in (DATE, TIMESTAMP):
        found = dated(expression, kind)
        if found is not None:
            return found
    if kind == TIMESTAMP and expression.type == STRING and fail.safe:
        return None
    pair = expression.type.name, kind.name
    if pair in CERTAIN:
        return combined(f"({CERTAIN[pair].format(expression.sql)})", kind, [expression])
    if pair in FALLIBLE:
        return combined(f"({FALLIBLE[pair](expression.sql, fail)})", kind, [expression], fails=True)
    return None


def text_of(expression: Typed) -> str:
    """The SQL of an expression as STRING."""
    found = cast(expression, STRING, Failure((1, 1)))
    assert found, "every scalar type has a text"
    return found.sql if expression.type != STRING else expression.sql
