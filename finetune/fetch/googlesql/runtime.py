"""Functions that DuckDB lacks, in Python, for queries that were compiled from GoogleSQL."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache

import duckdb

NOT_A_TIMESTAMP = -(2**63)


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Add the functions. Each gives NULL if an argument is NULL."""
    text, whole, number = "VARCHAR", "BIGINT", "DOUBLE"
    for name, function, arguments, result in (
        ("farm_fingerprint", farm_fingerprint, [text], whole),
        ("googlesql_lower", str.lower, [text], text),
        ("googlesql_upper", str.upper, [text], text),
        ("googlesql_reverse", reverse, [text], text),
        ("googlesql_normalize", unicodedata.normalize, [text, text], text),
        ("googlesql_instr", instr, [text, text, whole, whole], whole),
        ("googlesql_json", json_string, [text], text),
        ("googlesql_micros", micros, [text], whole),
        ("googlesql_text_of_number", text_of_number, [number], text),
        ("googlesql_round", round_to_digits, [number, whole], number),
    ):
        connection.create_function(name, function, arguments, result)  # type: ignore[arg-type]


def farm_fingerprint(text: str) -> int:
    from farmhash import fingerprint64

    number: int = fingerprint64(text)
    return number - 2**64 if number >= 2**63 else number


def reverse(text: str) -> str:
    return text[::-1]


def instr(text: str, part: str, position: int, occurrence: int) -> int:
    """The position, from 1, of an occurrence of `part`; 0 without one. Occurrences may overlap."""
    starts = [at for at in range(len(text) - len(part) + 1) if text.startswith(part, at)]
    if position > 0:
        found = [at for at in starts if at >= position - 1]
    else:
        last = len(text) + position + (0 if part else 1)
        found = [at for at in reversed(starts) if at <= last]
    if abs(position) > len(text) + 1:
        return 0
    return found[occurrence - 1] + 1 if occurrence <= len(found) else 0


def json_string(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return written.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def micros(text: str) -> int:
    from finetune.fetch.googlesql.timestamp_text import micros_of

    try:
        return micros_of(text)
    except ValueError:
        return NOT_A_TIMESTAMP


def text_of_number(number: float) -> str:
    """With 15 digits if they are enough to tell it from all others, else with 17. Zero has no sign."""
    short = f"{number + 0:.15g}"
    written = short if float(short) == number else f"{number:.17g}"
    return re.sub(r"^-0$", "0", written)


@lru_cache(maxsize=64)
def extended_power(digits: int) -> tuple[int, int]:
    """10 ** -digits as a mantissa of 64 bits and an exponent, computed by repeated division as BigQuery's processor does."""
    mantissa, exponent = rounded_to_64_bits(1, 0, False)
    for _ in range(abs(digits)):
        if digits > 0:
            mantissa, exponent = divided(mantissa, exponent, 10, 0)
        else:
            mantissa, exponent = rounded_to_64_bits(mantissa * 10, exponent, False)
    return mantissa, exponent


def rounded_to_64_bits(mantissa: int, exponent: int, more: bool) -> tuple[int, int]:
    """Mantissa * 2 ** exponent with 64 bits, halves to even. `more` tells that the true number is a little larger."""
    shift = mantissa.bit_length() - 64
    if shift <= 0:
        return mantissa << -shift, exponent + shift
    kept, rest, half = mantissa >> shift, mantissa & ((1 << shift) - 1), 1 << (shift - 1)
    if rest > half or (rest == half and (more or kept & 1)):
        kept += 1
    return kept, exponent + shift


def divided(one: int, exponent: int, other: int, other_exponent: int) -> tuple[int, int]:
    quotient, rest = divmod(one << 130, other)
    return rounded_to_64_bits(quotient, exponent - other_exponent - 130, rest > 0)


def round_to_digits(number: float, digits: int) -> float:
    """Halves away from zero, with the 80-bit numbers that BigQuery computes with."""
    if number == 0 or digits > 323:
        return number
    if digits < -308:
        return 0.0
    one, scale = abs(number).as_integer_ratio()
    power, power_exponent = extended_power(digits)
    mantissa, exponent = divided(one, -(scale.bit_length() - 1), power, power_exponent)
    whole = (mantissa << exponent) if exponent >= 0 else (mantissa + (1 << (-exponent - 1))) >> -exponent
    if not whole:
        return 0.0 if number > 0 else -0.0
    mantissa, exponent = rounded_to_64_bits(whole, 0, False)
    mantissa, exponent = rounded_to_64_bits(mantissa * power, exponent + power_exponent, False)
    found = float(mantissa * 2**exponent) if exponent >= 0 else mantissa / 2**-exponent
    return found if number > 0 else -found
