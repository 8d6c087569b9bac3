"""Who uses the page inside Telegram: a Mini App's launch data, signed with the bot's token.

Telegram documents the check: the HMAC-SHA-256 of all fields but the hash, `name=value` on sorted lines, under a key that is the
HMAC-SHA-256 of the token under "WebAppData". https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from app.api.state import State
from app.errors import Forbidden, InvalidRequest
from app.feedback.pseudonym import pseudonym

HEADER = "x-telegram-init-data"
# Seconds for which the data is good: a page may stay open for a day.
MAX_AGE = 24 * 60 * 60
# Seconds by which the clocks may differ.
SKEW = 300


class TelegramUser(msgspec.Struct):
    id: int


def voter_of(request: Request[State], named: str | None) -> str | None:
    """The pseudonym of the person whom Telegram names, the same as in chats; else the name that the request gives.

    Raises InvalidRequest, Forbidden for data that is not Telegram's, or too old.
    """
    data = request.headers.get(HEADER)
    if data is None:
        return named
    token = request.state["settings"].telegram_token
    if not token:
        raise InvalidRequest("this service has no bot, so X-Telegram-Init-Data means nothing here: leave it out.")
    return pseudonym(token.encode(), user_of(data, token, time.time()))


def user_of(data: str, token: str, now: float) -> int:
    """The id of the person in this launch data. Raises InvalidRequest, Forbidden."""
    pairs = parse_qsl(data, keep_blank_values=True)
    fields = dict(pairs)
    if len(fields) < len(pairs) or not {"hash", "auth_date", "user"} <= set(fields):
        raise InvalidRequest("X-Telegram-Init-Data is not what Telegram gives to a page: send tgWebAppData as it is.")
    signed = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()) if name != "hash")
    key = hmac.digest(b"WebAppData", token.encode(), hashlib.sha256)
    expected = hmac.new(key, signed.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), fields["hash"].encode(errors="surrogatepass")):
        raise Forbidden(
            "X-Telegram-Init-Data is not signed for this bot: open the page from its chat.", code="wrong_hash"
        )
    try:
        age = now - int(fields["auth_date"])
        user = msgspec.json.decode(fields["user"], type=TelegramUser)
    except (ValueError, msgspec.DecodeError):
        raise InvalidRequest("X-Telegram-Init-Data names no person and date: send tgWebAppData as it is.") from None
    if not -SKEW <= age <= MAX_AGE:
        raise Forbidden(
            "Telegram's word on who you are is more than a day old: open the page from the chat again.",
            code="data_too_old",
        )
    return user.id
