"""The launch data that Telegram signs for a Mini App, as its documentation describes it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

from tests.fakes.bot_api import TOKEN


def init_data(person: int, age: float = 0, token: str = TOKEN, **more: str) -> str:
    """What Telegram gives to the page that this person opened `age` seconds ago."""
    who = json.dumps({"id": person, "first_name": "Ann & Ü", "language_code": "de"})
    fields = {"query_id": "AAH", "user": who, "auth_date": str(int(time.time() - age)), "signature": "x_-"} | more
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    return urlencode(fields | {"hash": hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()})
