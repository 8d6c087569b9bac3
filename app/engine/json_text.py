"""JSON that somebody else wrote: whatever is wrong with it is one short line, and a file is never read beyond a bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_QUOTE = 200
"""Characters of a message or a value that are shown."""


def decode_json(text: bytes | str, kind: type[T]) -> T:
    """The value, which must be of this type. Raises msgspec.DecodeError with one line, whatever is wrong with the text."""
    try:
        if isinstance(text, bytes):
            return msgspec.json.decode(text.removeprefix(BYTE_ORDER_MARK), type=kind)
        return msgspec.json.decode(text, type=kind)
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deeply") from None
    except UnicodeError:
        raise msgspec.DecodeError("it is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(shortened(str(error))) from None


def refuse_repeated_keys(text: bytes) -> None:
    """Raises ValueError where an object has a key twice: programs differ in which of both counts."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"it has {shortened(repr(key))} twice")
            seen.add(key)

    json.loads(text.removeprefix(BYTE_ORDER_MARK), object_pairs_hook=once)


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a file of at most so many bytes. Raises OSError, and ValueError for a larger one."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def shortened(message: str) -> str:
    """The message as one line of a length that can be shown: its beginning and its end."""
    if len(message) > LONGEST_QUOTE:
        message = f"{message[: LONGEST_QUOTE // 2]} … {message[-LONGEST_QUOTE // 2 :]}"
    return "".join(each if each.isprintable() else " " for each in message)
