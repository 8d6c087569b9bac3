"""JSON files that people read too: indented, with a line end."""

from __future__ import annotations

import msgspec


def readable_json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
