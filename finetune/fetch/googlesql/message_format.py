"""FORMAT: a text with other values in it, for the specifiers that are known to agree."""

from __future__ import annotations

import re

from finetune.fetch.googlesql.casts import text_of
from finetune.fetch.googlesql.signatures import declared
from finetune.fetch.googlesql.sql_types import BOOL, DATE, FLOAT64, INT64, STRING, TIMESTAMP, string_literal
from finetune.fetch.googlesql.typed import Call, Typed, coerced

SPECIFIER = re.compile(r"%(?:(%)|(0?\d*)(\.\d+)?('?)([a-zA-Z]))|([^%]+)|(%.?)", re.DOTALL)


def formatted(call: Call) -> str:
    """A NULL makes all of it NULL, except for %t, which writes it as NULL."""
    given, *values = call.arguments
    if not given.is_constant:
        raise call.refuse("with a format that is not a text in quotes or a parameter")
    pieces = ["''"]
    waiting = list(values)
    for found in SPECIFIER.finditer(str(given.value)):
        percent, width, precision, grouped, letter, text, other = found.groups()
        if other is not None:
            raise call.refuse(f"with the specifier {other}")
        if letter is None:
            pieces.append(string_literal("%" if percent else text))
            continue
        if not waiting:
            raise call.refuse("with fewer values than specifiers")
        pieces.append(piece(call, found[0], waiting.pop(0), f"{letter}{width}{precision or ''}{grouped}"))
    if waiting:
        raise call.refuse("with more values than specifiers")
    return " || ".join(pieces)


def piece(call: Call, specifier: str, value: Typed, kind: str) -> str:
    """One value as text."""
    if kind == "s" and (text := coerced(value, STRING)):
        return text.sql
    if kind in ("d", "i") and (whole := coerced(value, INT64)):
        return f"CAST({whole.sql} AS VARCHAR)"
    if re.fullmatch(r"[di]0\d\d?", kind) and (whole := coerced(value, INT64)):
        return f"printf('%{kind[1:]}d', {whole.sql})"
    if kind in ("d'", "i'") and (whole := coerced(value, INT64)):
        return f"format('{{:,}}', {whole.sql})"
    if re.fullmatch(r"f(\.\d\d?)?", kind) and value.type == FLOAT64:
        return f"printf('%{kind[1:] or '.6'}f', {value.sql})"
    if kind == "t" and value.type in (STRING, INT64, BOOL, DATE, TIMESTAMP):
        return f"coalesce({text_of(value)}, 'NULL')"
    raise call.refuse(f"with the specifier {specifier} for {value.type}")


FORMAT = declared(("FORMAT(STRING) STRING", formatted), ("FORMAT(STRING, any...) STRING", formatted))
