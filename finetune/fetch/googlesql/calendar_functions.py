"""GoogleSQL's functions of dates and timestamps that are known to agree, with their SQL for DuckDB.

A timestamp is computed with as a local time without a zone: DuckDB's own functions of timestamps with a zone count otherwise.
"""

from __future__ import annotations

import re

from finetune.fetch.googlesql.casts import moment
from finetune.fetch.googlesql.signatures import declared
from finetune.fetch.googlesql.sql_types import DATE, TIMESTAMP, string_literal
from finetune.fetch.googlesql.time_formats import formatted, parsed
from finetune.fetch.googlesql.timestamp_text import zone_named
from finetune.fetch.googlesql.typed import Call, Typed

WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
MICROSECONDS = {
    "MICROSECOND": 1, "MILLISECOND": 1_000, "SECOND": 1_000_000, "MINUTE": 60_000_000, "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}  # fmt: skip
MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
DAYS = {"DAY": 1, "WEEK": 7}
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The first and the last timestamp, in microseconds since 1970."""
EXTRACTED = {
    "YEAR": "year({0})", "ISOYEAR": "isoyear({0})", "QUARTER": "quarter({0})", "MONTH": "month({0})", "ISOWEEK": "week({0})",
    "DAY": "day({0})", "DAYOFWEEK": "dayofweek({0}) + 1", "DAYOFYEAR": "dayofyear({0})", "HOUR": "hour({0})",
    "MINUTE": "minute({0})", "SECOND": "second({0})", "MILLISECOND": "millisecond({0}) % 1000",
    "MICROSECOND": "microsecond({0}) % 1000000",
}  # fmt: skip
OF_A_DAY = ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")


def part_of(call: Call, at: int) -> str:
    return str(call.arguments[at].value)


def first_weekday(part: str) -> int | None:
    """The day, 0 for Sunday, that WEEK, WEEK(MONDAY) or ISOWEEK begin with; None for other parts."""
    if part in ("WEEK", "ISOWEEK"):
        return 0 if part == "WEEK" else 1
    found = re.fullmatch(r"WEEK\((\w+)\)", part)
    return WEEKDAYS.index(found[1]) if found and found[1] in WEEKDAYS else None


def zone_offset(call: Call, zone: Typed) -> int | str:
    """A time zone as microseconds east of UTC, or as a name."""
    if not zone.is_constant:
        raise call.refuse("with a time zone that is not a text in quotes or a parameter")
    name = str(zone.value)
    if found := re.fullmatch(r"([+-])(\d{1,2})(?::([0-5]\d))?", name, re.ASCII):
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        if minutes <= 14 * 60:
            return minutes * 60_000_000 * (-1 if found[1] == "-" else 1)
    if name == "UTC":
        return 0
    try:
        zone_named(name)
    except ValueError:
        name = ""
    if "/" not in name or name.startswith("Etc/"):
        raise call.refuse(f"with the time zone {zone.value!r}: name one such as UTC, America/New_York or +02:00")
    return name


def local(call: Call, timestamp: str, at: int) -> str:
    """A timestamp as the local time of the zone that the argument `at` names, by default UTC."""
    zone = zone_offset(call, call.arguments[at]) if len(call.arguments) > at else 0
    if isinstance(zone, str):
        return f"({timestamp} AT TIME ZONE {string_literal(zone)})"
    return f"make_timestamp(epoch_us({timestamp}){f' + {zone}' if zone else ''})"


def global_time(call: Call, time: str, at: int) -> str:
    """The timestamp of a local time; the inverse of `local`."""
    zone = zone_offset(call, call.arguments[at]) if len(call.arguments) > at else 0
    if isinstance(zone, str):
        return f"(CAST({time} AS TIMESTAMP) AT TIME ZONE {string_literal(zone)})"
    return f"make_timestamptz(epoch_us({time}){f' - {zone}' if zone else ''})"


def dated(call: Call, date: str) -> str:
    """A DATE, or an error beyond the years 1 to 9999."""
    error = call.fail["the date is beyond the years 1 to 9999"]
    return f"CASE WHEN {date} < DATE '0001-01-01' OR {date} > DATE '9999-12-31' THEN {error} ELSE {date} END"


def timed(call: Call, micros: str) -> str:
    """A TIMESTAMP of microseconds since 1970, or an error beyond the years 1 to 9999."""
    error = call.fail["the timestamp is beyond the years 1 to 9999"]
    return f"CASE WHEN {micros} < {EARLIEST} OR {micros} > {LATEST} THEN {error} ELSE make_timestamptz({micros}) END"


def extracted(call: Call) -> str:
    part, value = part_of(call, 0), call.arguments[1]
    time = value.sql if value.type == DATE else local(call, value.sql, 2)
    if part in EXTRACTED and not (value.type == DATE and part in OF_A_DAY):
        return f"CAST({EXTRACTED[part].format(time)} AS BIGINT)"
    weekday = first_weekday(part)
    if weekday is None:
        raise call.refuse(f"of {part}")
    # The days before the first such weekday of the year are in week 0.
    return f"((dayofyear({time}) + 6 - (dayofweek({time}) + {7 - weekday}) % 7) // 7)"


def truncated(call: Call, time: str, part: str) -> str:
    """The first day of the year, month or week of a date or local time."""
    weekday = first_weekday(part)
    if weekday is not None:
        return f"(CAST({time} AS DATE) - CAST((dayofweek({time}) + {7 - weekday}) % 7 AS INTEGER))"
    if part == "ISOYEAR":
        return f"CAST(date_trunc('week', make_date(isoyear({time}), 1, 4)) AS DATE)"
    if part in ("YEAR", "QUARTER", "MONTH", "DAY"):
        return f"CAST(date_trunc('{part.lower()}', {time}) AS DATE)"
    raise call.refuse(f"to {part}")


def date_truncated(call: Call) -> str:
    return dated(call, truncated(call, call.arguments[0].sql, part_of(call, 1)))


def timestamp_truncated(call: Call) -> str:
    part, time = part_of(call, 1), local(call, call.arguments[0].sql, 2)
    if part in OF_A_DAY:
        if len(call.arguments) > 2:
            raise call.refuse(f"to {part} in a time zone")
        return f"make_timestamptz(epoch_us(date_trunc('{part.lower()}', {time})))"
    return global_time(call, truncated(call, time, part), 2)


def date_moved(call: Call) -> str:
    date, interval = call.arguments
    count = f"(-{interval.sql})" if call.name.endswith("_SUB") else interval.sql
    if interval.unit in DAYS:
        moved = f"to_days(CAST({count} * {DAYS[interval.unit]} AS INTEGER))"
    elif interval.unit in MONTHS:
        moved = f"to_months(CAST({count} * {MONTHS[interval.unit]} AS INTEGER))"
    else:
        raise call.refuse(f"of {interval.unit}")
    return dated(call, f"CAST({date.sql} + {moved} AS DATE)")


def timestamp_moved(call: Call) -> str:
    timestamp, interval = call.arguments
    if interval.unit not in MICROSECONDS:
        raise call.refuse(f"of {interval.unit}")
    sign = "-" if call.name.endswith("_SUB") else "+"
    return timed(call, f"(epoch_us({timestamp.sql}) {sign} {interval.sql} * {MICROSECONDS[interval.unit]})")


def date_difference(call: Call) -> str:
    """How many beginnings of a year, month, week or day lie between two dates."""
    later, earlier, part = call.arguments[0].sql, call.arguments[1].sql, part_of(call, 2)
    if part in ("YEAR", "QUARTER", "MONTH", "DAY"):
        return f"date_diff('{part.lower()}', {earlier}, {later})"
    if part == "ISOYEAR":
        return f"(isoyear({later}) - isoyear({earlier}))"
    if first_weekday(part) is None:
        raise call.refuse(f"in {part}")
    return f"(CAST({truncated(call, later, part)} - {truncated(call, earlier, part)} AS BIGINT) // 7)"


def timestamp_difference(call: Call) -> str:
    """How many whole units lie between two timestamps."""
    later, earlier, part = call.arguments[0].sql, call.arguments[1].sql, part_of(call, 2)
    if part not in MICROSECONDS:
        raise call.refuse(f"in {part}")
    return f"((epoch_us({later}) - epoch_us({earlier})) // {MICROSECONDS[part]})"


def date_of(call: Call) -> str:
    return f"CAST({local(call, call.arguments[0].sql, 1)} AS DATE)"


def date_of_parts(call: Call) -> str:
    year, month, day = (argument.sql for argument in call.arguments)
    error = call.fail["there is no such date"]
    text = (
        f"(lpad(CAST({year} AS VARCHAR), 4, '0') || '-' || CAST({month} AS VARCHAR) || '-' || CAST({day} AS VARCHAR))"
    )
    inside = f"{year} BETWEEN 1 AND 9999 AND {month} BETWEEN 1 AND 12 AND {day} BETWEEN 1 AND 31"
    null = " OR ".join(f"{each} IS NULL" for each in (year, month, day))
    return f"CASE WHEN {null} THEN NULL WHEN {inside} THEN coalesce(TRY_CAST({text} AS DATE), {error}) ELSE {error} END"


def timestamp_of(call: Call) -> str:
    value = call.arguments[0]
    if value.type == DATE:
        return global_time(call, value.sql, 1)
    return value.sql if value.type == TIMESTAMP else moment(value.sql, call.fail)


def timestamp_of_units(call: Call) -> str:
    unit = MICROSECONDS[
        call.name.removeprefix("TIMESTAMP_")[:-1].replace("MILLI", "MILLISECOND").replace("MICRO", "MICROSECOND")
    ]
    number = call.arguments[0].sql
    error = call.fail["the timestamp is beyond the years 1 to 9999"]
    return (
        f"CASE WHEN {number} < {EARLIEST // unit} OR {number} > {LATEST // unit} THEN {error} "
        f"ELSE make_timestamptz({number} * {unit}) END"
    )


def units_since_1970(call: Call) -> str:
    """Rounded down, also before 1970."""
    unit = {"UNIX_SECONDS": 1_000_000, "UNIX_MILLIS": 1_000, "UNIX_MICROS": 1}[call.name]
    micros = f"epoch_us({call.arguments[0].sql})"
    return micros if unit == 1 else f"(({micros} - (({micros} % {unit}) + {unit}) % {unit}) // {unit})"


def current_date(call: Call) -> str:
    return f"CAST({local(call, 'now()', 0)} AS DATE)"


def last_day(call: Call) -> str:
    if len(call.arguments) > 1 and part_of(call, 1) != "MONTH":
        raise call.refuse(f"of {part_of(call, 1)}")
    return f"last_day({call.arguments[0].sql})"


def format_time(call: Call) -> str:
    value = call.arguments[1]
    return formatted(call, value.sql if value.type == DATE else local(call, value.sql, 2))


def parse_date(call: Call) -> str:
    return f"CAST({parsed(call)} AS DATE)"


def parse_timestamp(call: Call) -> str:
    return global_time(call, parsed(call), 2)


CALENDAR_FUNCTIONS = declared(
    ("EXTRACT(part, DATE) INT64", extracted),
    ("EXTRACT(part, TIMESTAMP) INT64", extracted),
    ("EXTRACT(part, TIMESTAMP, STRING) INT64", extracted),
    ("DATE(INT64, INT64, INT64) DATE", date_of_parts),
    ("DATE(DATE) DATE", "{0}"),
    ("DATE(TIMESTAMP) DATE", date_of),
    ("DATE(TIMESTAMP, STRING) DATE", date_of),
    ("TIMESTAMP(TIMESTAMP) TIMESTAMP", timestamp_of),
    ("TIMESTAMP(DATE) TIMESTAMP", timestamp_of),
    ("TIMESTAMP(DATE, STRING) TIMESTAMP", timestamp_of),
    ("TIMESTAMP(STRING) TIMESTAMP", timestamp_of),
    ("TIMESTAMP_SECONDS|TIMESTAMP_MILLIS|TIMESTAMP_MICROS(INT64) TIMESTAMP", timestamp_of_units),
    ("UNIX_SECONDS|UNIX_MILLIS|UNIX_MICROS(TIMESTAMP) INT64", units_since_1970),
    ("UNIX_DATE(DATE) INT64", "date_diff('day', DATE '1970-01-01', {0})"),
    (
        "DATE_FROM_UNIX_DATE(INT64) DATE!",
        lambda call: dated(call, f"(DATE '1970-01-01' + CAST({call.arguments[0].sql} AS INTEGER))"),
    ),
    ("DATE_ADD|DATE_SUB(DATE, INTERVAL) DATE!", date_moved),
    ("TIMESTAMP_ADD|TIMESTAMP_SUB(TIMESTAMP, INTERVAL) TIMESTAMP!", timestamp_moved),
    ("DATE_DIFF(DATE, DATE, part) INT64", date_difference),
    ("TIMESTAMP_DIFF(TIMESTAMP, TIMESTAMP, part) INT64", timestamp_difference),
    ("DATE_TRUNC(DATE, part) DATE", date_truncated),
    ("TIMESTAMP_TRUNC(TIMESTAMP, part) TIMESTAMP", timestamp_truncated),
    ("TIMESTAMP_TRUNC(TIMESTAMP, part, STRING) TIMESTAMP", timestamp_truncated),
    ("LAST_DAY(DATE) DATE", last_day),
    ("LAST_DAY(DATE, part) DATE", last_day),
    ("CURRENT_DATE() DATE", current_date),
    ("CURRENT_DATE(STRING) DATE", current_date),
    ("CURRENT_TIMESTAMP() TIMESTAMP", "now()"),
    ("FORMAT_DATE(STRING, DATE) STRING", format_time),
    ("FORMAT_TIMESTAMP(STRING, TIMESTAMP) STRING", format_time),
    ("FORMAT_TIMESTAMP(STRING, TIMESTAMP, STRING) STRING", format_time),
    ("PARSE_DATE(STRING, STRING) DATE!", parse_date),
    ("PARSE_TIMESTAMP(STRING, STRING) TIMESTAMP!", parse_timestamp),
    ("PARSE_TIMESTAMP(STRING, STRING, STRING) TIMESTAMP!", parse_timestamp),
)
