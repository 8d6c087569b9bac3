"""The fields of calls of the Bot API, as the fake reads and checks them."""

from __future__ import annotations

import json
import re
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

ENTITIES = re.compile(r"(?P<bot_command>(?<!\S)/\w+(?:@\w+)?)|(?P<mention>(?<!\w)@\w+)")
JSON_FIELDS = (
    "reply_markup", "reply_parameters", "link_preview_options", "allowed_updates", "commands", "entities", "menu_button",
    "results", "button",
)  # fmt: skip


class Refused(Exception):
    """An answer with an error."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status = status
        self.parameters = parameters


def form_of(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a form. Those of a file hold its bytes, as Latin-1."""
    if not content_type.startswith("multipart/"):
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    parsed = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts: Any = parsed.get_payload()
    found: dict[str, str] = {}
    for part in parts:
        content = part.get_payload(decode=True)
        is_file = part.get_filename() is not None
        found[str(part.get_param("name", header="content-disposition"))] = content.decode(
            "latin-1" if is_file else "utf-8"
        )
    return found


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def entities(text: str) -> list[dict[str, Any]]:
    return [
        {"type": found.lastgroup, "offset": units(text[: found.start()]), "length": units(found[0])}
        for found in ENTITIES.finditer(text)
    ]


def read(name: str, value: str) -> Any:
    return json.loads(value) if name in JSON_FIELDS else value


def checked(fields: dict[str, Any]) -> str:
    text: str = fields.get("text", "")
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if units(text) > 4096:
        raise Refused(400, "Bad Request: message is too long")
    if "parse_mode" in fields and "<" in text:
        raise Refused(400, "Bad Request: can't parse entities")
    return text


def keyboard(fields: dict[str, Any]) -> dict[str, Any]:
    if "reply_markup" not in fields:
        return {}
    for row in fields["reply_markup"]["inline_keyboard"]:
        for button in row:
            if not button["text"] or not 1 <= len(button["callback_data"].encode()) <= 64:
                raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"reply_markup": fields["reply_markup"]}
