"""The formats of FORMAT_DATE, FORMAT_TIMESTAMP, PARSE_DATE and PARSE_TIMESTAMP: the elements that are known to agree."""

from __future__ import annotations

import re

from finetune.fetch.googlesql.sql_types import DATE, string_literal
from finetune.fetch.googlesql.typed import Call

ELEMENT = re.compile(r"%(E4Y|E3S|E6S|Ez|E.|O.|.|$)|[^%]+", re.DOTALL)
# Elements of a date, and of the time of day, as strftime of DuckDB has them.
DATE_ELEMENTS = {
    "Y": "%Y", "E4Y": "%Y", "m": "%m", "d": "%d", "y": "%y", "j": "%j", "a": "%a", "A": "%A", "b": "%b", "h": "%b", "B": "%B",
    "U": "%U", "W": "%W", "V": "%V", "G": "%G", "u": "%u", "w": "%w", "F": "%Y-%m-%d", "D": "%m/%d/%y", "x": "%m/%d/%y",
    "n": "\n", "t": "\t", "%": "%%",
}  # fmt: skip
TIME_ELEMENTS = {
    "H": "%H", "M": "%M", "S": "%S", "I": "%I", "p": "%p", "T": "%H:%M:%S", "X": "%H:%M:%S", "R": "%H:%M", "E3S": "%S.%g",
    "E6S": "%S.%f",
}  # fmt: skip
# Elements that strftime lacks, as SQL.
DATE_SQL = {"e": "lpad(CAST(day({0}) AS VARCHAR), 2, ' ')", "Q": "CAST(quarter({0}) AS VARCHAR)"}
TIME_SQL = {"k": "lpad(CAST(hour({0}) AS VARCHAR), 2, ' ')", "P": "lower(strftime({0}, '%p'))"}
UTC_ELEMENTS = {"Z": "UTC", "z": "+0000", "Ez": "+00:00"}
# Elements that are parsed: how their text looks, and the order of a date and a time.
PARSED = {"Y": r"\d{4}", "m": r"\d{2}", "d": r"\d{2}", "H": r"\d{2}", "M": r"\d{2}", "S": r"\d{2}"}
ABBREVIATIONS = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "E4Y": "%Y"}


def constant_format(call: Call) -> str:
    given = call.arguments[0]
    if not given.is_constant:
        raise call.refuse("with a format that is not a text in quotes or a parameter")
    if "\0" in given.value:
        raise call.refuse("with a format that contains a NUL character")
    return str(given.value)


def formatted(call: Call, time: str) -> str:
    """A date or local time as text."""
    of_date = call.arguments[1].type == DATE
    pieces: list[str] = []
    native = ""
    for found in ELEMENT.finditer(constant_format(call)):
        element = found[1]
        known = found[0] if element is None else native_element(element, of_date, len(call.arguments) > 2)
        if known is not None:
            native += known
            continue
        sql = (DATE_SQL | ({} if of_date else TIME_SQL)).get(str(element))
        if sql is None:
            raise call.refuse(f"with the element %{element}")
        pieces += [strftime(call, time, native)] * bool(native) + [sql.format(time)]
        native = ""
    pieces += [strftime(call, time, native)] if native or not pieces else []
    return f"({' || '.join(pieces)})"


def native_element(element: str, of_date: bool, zoned: bool) -> str | None:
    """An element as strftime of DuckDB has it; None if it has not."""
    if of_date:
        return DATE_ELEMENTS.get(element)
    return (DATE_ELEMENTS | TIME_ELEMENTS | ({} if zoned else UTC_ELEMENTS)).get(element)


def strftime(call: Call, time: str, native: str) -> str:
    """BigQuery writes %Y and %G of the years before 1000 with fewer digits."""
    text = f"strftime({time}, {string_literal(native)})"
    if not {"%Y", "%G"} & set(re.findall("%.", native)):
        return text
    return f"CASE WHEN year({time}) <= 1000 THEN {call.fail['the year is before 1001']} ELSE {text} END"


def parsed(call: Call) -> str:
    """A text of the format as a local time. It has to have all digits of each number."""
    text, expected, native = call.arguments[1].sql, "", ""
    seen: list[str] = []
    for found in ELEMENT.finditer(expanded(constant_format(call))):
        element = found[1]
        if element is None:
            expected, native = expected + re.escape(found[0]), native + found[0]
        elif element not in PARSED or element in seen:
            raise call.refuse(f"with the element %{element}{' twice' if element in seen else ''}")
        else:
            expected, native, seen = expected + PARSED[element], f"{native}%{element}", [*seen, element]
    dates = [element for element in "Ymd" if element in seen]
    times = [element for element in "HMS" if element in seen]
    if not dates or "".join(dates) not in "Ymd"[:3] or dates[0] != "Y" or "".join(times) != "HMS"[: len(times)]:
        raise call.refuse("with a format that leaves out a larger unit, such as the year")
    if call.name == "PARSE_DATE" and times:
        raise call.refuse(f"with the element %{times[0]}")
    error = call.fail[f"the text is not written as {constant_format(call)}, with all digits"]
    return (
        f"CASE WHEN regexp_full_match({text}, {string_literal(expected)}) AND {text} IS NOT NULL "
        f"THEN coalesce(try_strptime({text}, {string_literal(native)}), {error}) WHEN {text} IS NOT NULL THEN {error} END"
    )


def expanded(given: str) -> str:
    return re.sub("%(E4Y|[FTR])", lambda found: ABBREVIATIONS[found[1]], given)
