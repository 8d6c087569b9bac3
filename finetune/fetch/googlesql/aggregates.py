"""Aggregate functions and window functions that are known to agree, with their SQL for DuckDB.

{over} is OVER (…) or nothing, {distinct} is DISTINCT or nothing.
"""

from __future__ import annotations

from finetune.fetch.googlesql.signatures import declared

AGGREGATES = declared(
    ("COUNT(any) INT64", "count({distinct}{0}){over}"),
    ("COUNTIF(BOOL) INT64", "CAST(count_if({distinct}{0}){over} AS BIGINT)"),
    ("SUM(INT64) INT64", "CAST(sum({distinct}{0}){over} AS BIGINT)"),
    ("SUM(FLOAT64) FLOAT64", "sum({distinct}{0}){over}"),
    ("AVG(INT64) FLOAT64", "avg({distinct}{0}){over}"),
    ("AVG(FLOAT64) FLOAT64", "avg({distinct}{0}){over}"),
    ("MIN(T) T", "min({0}){over}"),
    ("MAX(T) T", "max({0}){over}"),
    ("ANY_VALUE(T) T", "any_value({0}){over}"),
    ("LOGICAL_AND(BOOL) BOOL", "bool_and({0}){over}"),
    ("LOGICAL_OR(BOOL) BOOL", "bool_or({0}){over}"),
    ("STDDEV|STDDEV_SAMP(FLOAT64) FLOAT64", "stddev_samp({distinct}{0}){over}"),
    ("STDDEV_POP(FLOAT64) FLOAT64", "stddev_pop({distinct}{0}){over}"),
    ("VARIANCE|VAR_SAMP(FLOAT64) FLOAT64", "var_samp({distinct}{0}){over}"),
    ("VAR_POP(FLOAT64) FLOAT64", "var_pop({distinct}{0}){over}"),
    # The exact number is the best approximation.
    ("APPROX_COUNT_DISTINCT(any) INT64", "count(DISTINCT {0}){over}"),
)
# Aggregates that gather values in an order: their SQL is in gathering.py.
GATHERING = ("ARRAY_AGG", "STRING_AGG")
WITHOUT_ORDER = declared(("ROW_NUMBER() INT64", "row_number(){over}"))
WITH_ORDER = declared(
    ("RANK() INT64", "rank(){over}"),
    ("DENSE_RANK() INT64", "dense_rank(){over}"),
    ("PERCENT_RANK() FLOAT64", "percent_rank(){over}"),
    ("CUME_DIST() FLOAT64", "cume_dist(){over}"),
    ("NTILE(INT64) INT64", "ntile({0}){over}"),
    ("LAG|LEAD(T) T", "{name}({0}){over}"),
    ("LAG|LEAD(T, INT64) T", "{name}({0}, {1}){over}"),
    ("LAG|LEAD(T, INT64, T) T", "{name}({0}, {1}, {2}){over}"),
)
FRAMED = declared(
    ("FIRST_VALUE|LAST_VALUE(T) T", "{name}({0}{nulls}){over}"),
    ("NTH_VALUE(T, INT64) T", "nth_value({0}, {1}{nulls}){over}"),
)
WINDOW_FUNCTIONS = {**WITHOUT_ORDER, **WITH_ORDER, **FRAMED}
