"""Files that are almost right: a seeded mutator of bytes and of JSON, and the corpus of values that readers stumble over."""

from __future__ import annotations

import json
import random
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, "", " ", "a\nb", "\x00", "\u2028", "é🦆",
    "../x", "/etc/passwd", "%s{}", "x" * 10_000, [], {}, [[]], {"": ""}, [None], {"a": {"b": []}}, ["x"] * 1000,
)  # fmt: skip
"""In the place of any value of a JSON file."""
PIECES: tuple[bytes, ...] = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r", b'"', b"{", b"[" * 5000, b"NaN", b"1e999", b"9" * 5000, b"\\ud800",
    b"\xed\xa0\x80", b"\xff" * 16, b"\x80" * 12, b",,", b"%", b"\x7f" * 4, b"null", b"-", b"\x1b[2J",
)  # fmt: skip
"""In the place of any stretch of bytes."""


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content with one to three changes: in its structure if it is JSON, and else in its bytes."""
    if chance.random() < 0.6 and (changed := mutated_json(content, chance)) is not None:
        return changed
    for _ in range(chance.randint(1, 3)):
        content = mutated_bytes(content, chance)
    return content


def mutated_bytes(content: bytes, chance: random.Random) -> bytes:
    """One stretch is flipped, cut out, repeated, moved, or replaced by what a reader stumbles over."""
    first = chance.randrange(len(content) + 1)
    last = min(len(content), first + chance.choice([0, 1, 2, 4, 16, 200, 5000]))
    stretch = content[first:last]
    other = chance.randrange(len(content) + 1)
    replaced = chance.choice(
        [
            chance.choice(PIECES),
            b"",
            stretch * 3,
            content[other : other + len(stretch)],
            bytes(byte ^ 1 << chance.randrange(8) for byte in stretch),
            bytes(chance.randrange(256) for _ in stretch),
        ]
    )
    return content[:first] if chance.random() < 0.05 else content[:first] + replaced + content[last:]


def mutated_json(content: bytes, chance: random.Random) -> bytes | None:
    """The same JSON, or one of its lines, with a value changed, a key taken out, added or repeated; None for other content."""
    lines = content.split(b"\n")
    whole = json_of(content)
    number = chance.randrange(len(lines))
    value = whole if whole is not None else json_of(lines[number])
    if value is None:
        return None
    for _ in range(chance.randint(1, 2)):
        value = changed(value, chance)
    written = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return written if whole is not None else b"\n".join([*lines[:number], written, *lines[number + 1 :]])


def json_of(content: bytes) -> Any:
    """An object or a list; None where there is none."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def changed(value: Any, chance: random.Random) -> Any:
    """The value with one change, at any depth."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.1:
        return near(value, chance)
    if isinstance(value, list):
        place = chance.randrange(len(value))
        return [*value[:place], *chance.choice([[], [changed(value[place], chance)], value[:50]]), *value[place + 1 :]]
    key = chance.choice(list(value))
    rest = {name: each for name, each in value.items() if name != key}
    kind = chance.random()
    if kind < 0.15:
        return rest
    if kind < 0.25:
        return value | {chance.choice([f"{key}s", "", "../x", "x" * 500, "a\nb"]): chance.choice(VALUES)}
    return value | {key: changed(value[key], chance)}


def near(value: Any, chance: random.Random) -> Any:
    """A value like this one, or another one altogether."""
    if isinstance(value, bool) or chance.random() < 0.5:
        return chance.choice(VALUES)
    if isinstance(value, int | float):
        return chance.choice([value + 1, value - 1, -value, value * 2, value // 2, value * 10**6, str(value)])
    if isinstance(value, str) and value:
        return chance.choice(
            [value * 2, value[:-1], value + "\n", value.upper(), value[::-1], (value * 1000)[:100_000]]
        )
    return chance.choice(VALUES)
