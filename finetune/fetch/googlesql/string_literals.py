"""Text in quotes as a query writes it: quotes, prefixes and escapes, and the text that they stand for."""

from __future__ import annotations

import re

# [r]'…', "…", '''…''' or \"\"\"…\"\"\". What stands between the quotes is in the second group.
LITERAL = re.compile(r"([rR]?)('''|\"\"\"|'|\")(.*)\2", re.DOTALL)
ESCAPE = re.compile(
    r"\\(?:([abfnrtv])|([\\?\"'`])|([0-3][0-7]{2})|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))",
    re.DOTALL,
)
CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def text_of_literal(written: str) -> str:
    """The text that a STRING literal stands for. Raises ValueError, with a sentence, for what BigQuery does not take."""
    found = LITERAL.fullmatch(written)
    if not found:
        raise ValueError("Syntax error: this is no text in quotes")
    prefix, quotes, inside = found.groups()
    if len(quotes) == 1 and re.search(r"[\r\n]", inside):
        raise ValueError("Syntax error: Unclosed string literal: a text of several lines stands between three quotes")
    inside = re.sub("\r\n?", "\n", inside)
    return inside if prefix else ESCAPE.sub(meant, inside)


def meant(escape: re.Match[str]) -> str:
    control, itself, octal, *hexadecimal, other = escape.groups()
    if control is not None:
        return CONTROLS[control]
    if itself is not None:
        return str(itself)
    if other is not None:
        raise ValueError(
            f"Syntax error: Illegal escape sequence: \\{other}: write r'…' for a backslash that means itself"
        )
    code = int(octal, 8) if octal else int(next(digits for digits in hexadecimal if digits), 16)
    one_byte = octal is not None or hexadecimal[0] is not None
    if (one_byte and code > 0x7F) or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError(f"Syntax error: Illegal escape sequence: {escape[0]}")
    return chr(code)
