"""Fuzz: dates and timestamps of compiled GoogleSQL against Python's datetime."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.fetch.duckdb_session import open_duckdb
from tests.finetune.fetch.evaluation import check

dates = st.dates(date(1010, 1, 1), date(9000, 1, 1)) | st.dates(date(2018, 12, 1), date(2021, 1, 31))
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_duckdb() as opened:
        yield opened


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
