"""GoogleSQL's functions of numbers, conditions and arrays that are known to agree, with their SQL for DuckDB."""

from __future__ import annotations

from finetune.fetch.googlesql.runtime import json_string
from finetune.fetch.googlesql.signatures import declared
from finetune.fetch.googlesql.sql_types import SqlType, identifier, string_literal
from finetune.fetch.googlesql.typed import Call


def extreme(call: Call) -> str:
    """GREATEST and LEAST are NULL if any argument is."""
    if call.arguments[0].type.name in ("ARRAY", "STRUCT", "BOOL", "BYTES"):
        raise call.refuse(f"of {call.arguments[0].type}")
    listed = [argument.sql for argument in call.arguments]
    null = " OR ".join(f"{each} IS NULL" for each in listed)
    return f"CASE WHEN {null} THEN NULL ELSE {call.name.lower()}({', '.join(listed)}) END"


def null_if(call: Call) -> str:
    one, other = call.arguments
    if not one.type.is_scalar:
        raise call.refuse(f"of {one.type}")
    return f"CASE WHEN {one.sql} = {other.sql} THEN NULL ELSE {one.sql} END"


def concatenated(call: Call) -> str:
    """ARRAY_CONCAT is NULL if one of the arrays is."""
    arrays = [argument.sql for argument in call.arguments]
    there = " AND ".join(f"{array} IS NOT NULL" for array in arrays)
    return f"CASE WHEN {there} THEN list_concat({', '.join(arrays)}) END"


def remainder(call: Call) -> str:
    """Has the sign of the number that is divided, as in DuckDB, which cannot divide the smallest number by -1."""
    number, divisor = call.arguments
    if divisor.is_constant and divisor.value > 0:
        return f"{number.sql} % {divisor.sql}"
    return (
        f"CASE WHEN {divisor.sql} = 0 THEN {call.fail['division by zero']} WHEN {divisor.sql} = -1 THEN 0 * {number.sql} "
        f"ELSE {number.sql} % {divisor.sql} END"
    )


def json(call: Call) -> str:
    argument = call.arguments[0]
    return f"({json_text(argument.sql, argument.type, call)})"


def json_text(sql: str, kind: SqlType, call: Call) -> str:
    """A value as JSON, by its type: BigQuery writes large whole numbers as text, and control characters in its own way."""
    match kind.name:
        case "STRING":
            written = f"googlesql_json({sql})"
        case "INT64":
            written = f"CASE WHEN {sql} BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST({sql} AS VARCHAR) "
            written += f"ELSE '\"' || CAST({sql} AS VARCHAR) || '\"' END"
        case "BOOL":
            written = f"CAST({sql} AS VARCHAR)"
        case "DATE":
            written = f"'\"' || strftime({sql}, '%Y-%m-%d') || '\"'"
        case "STRUCT":
            fields = [
                f"{string_literal(f'{json_string(name)}:')} || ({json_text(f'({sql}).{identifier(name)}', field, call)})"
                for name, field in kind.fields
            ]
            written = " || ',' || ".join(fields)
            written = f"'{{' || {written} || '}}'"
        case "ARRAY" if kind.element.name in ("STRING", "INT64", "BOOL"):
            one = json_text("each", kind.element, call)
            written = f"'[' || array_to_string(list_transform({sql}, lambda each: {one}), ',') || ']'"
        case _:
            raise call.refuse(f"of {kind}")
    return f"CASE WHEN {sql} IS NULL THEN 'null' ELSE {written} END"


NOT_FINITE = "the result is not a finite number"


def finite(sql: str) -> str:
    """Where BigQuery ends in an error, DuckDB gives infinity or NaN."""
    return f"CASE WHEN isfinite({sql}) = FALSE THEN {{fail[{NOT_FINITE}]}} ELSE {sql} END"


NUMBER_FUNCTIONS = declared(
    ("ABS(INT64) INT64", "abs({0})"),
    ("ABS(FLOAT64) FLOAT64", "abs({0})"),
    ("SIGN(INT64) INT64", "CAST(sign({0}) AS BIGINT)"),
    ("SIGN(FLOAT64) FLOAT64", "CAST(sign({0}) AS DOUBLE)"),
    ("ROUND(FLOAT64) FLOAT64", "round({0})"),
    ("TRUNC(FLOAT64) FLOAT64", "trunc({0})"),
    ("CEIL|CEILING(FLOAT64) FLOAT64", "ceil({0})"),
    ("FLOOR(FLOAT64) FLOAT64", "floor({0})"),
    ("ROUND(FLOAT64, INT64) FLOAT64", "googlesql_round({0}, {1})"),
    ("MOD(INT64, INT64) INT64", remainder),
    ("DIV(INT64, INT64) INT64!", "CASE WHEN {1} = 0 THEN {fail[division by zero]} ELSE {0} // {1} END"),
    (
        "SAFE_DIVIDE(FLOAT64, FLOAT64) FLOAT64",
        "CASE WHEN {1} = 0 OR NOT isfinite({0} / {1}) THEN NULL ELSE {0} / {1} END",
    ),
    ("POW|POWER(FLOAT64, FLOAT64) FLOAT64", finite("pow({0}, {1})")),
    ("SQRT(FLOAT64) FLOAT64", finite("sqrt({0})")),
    ("EXP(FLOAT64) FLOAT64", finite("exp({0})")),
    ("LN|LOG(FLOAT64) FLOAT64", finite("ln({0})")),
    ("LOG10(FLOAT64) FLOAT64", finite("log10({0})")),
    ("GREATEST|LEAST(T...) T", extreme),
    ("IFNULL(T, T) T", "coalesce({0}, {1})"),
    ("COALESCE(T...) T", "coalesce({all})"),
    ("NULLIF(T, T) T", null_if),
    ("RAND() FLOAT64", "random()"),
    ("TO_JSON_STRING(any) STRING", json),
    ("ARRAY_LENGTH(ARRAY<T>) INT64", "len({0})"),
    ("ARRAY_REVERSE(ARRAY<T>) ARRAY<T>", "list_reverse({0})"),
    ("ARRAY_CONCAT(ARRAY<T>...) ARRAY<T>", concatenated),
    ("GENERATE_ARRAY(INT64, INT64) ARRAY<INT64>", "generate_series({0}, {1})"),
    (
        "GENERATE_ARRAY(INT64, INT64, INT64) ARRAY<INT64>",
        "CASE WHEN {2} = 0 THEN {fail[the step in GENERATE_ARRAY is 0]} ELSE generate_series({0}, {1}, {2}) END",
    ),
)
