"""`POST /telegram`: the webhook. Checks Telegram's secret and handles one update.

Telegram repeats an update for a day until the reply is a 2xx. An update that can never be handled is therefore logged, without
its text, and answered with 200.
"""

from __future__ import annotations

import hmac
import logging

from starlette.requests import Request
from starlette.responses import Response

from app.api.body import parse_json, read_body
from app.api.state import State
from app.errors import BodyTooLarge, Forbidden, InvalidRequest, NotFound, Unavailable, Undelivered

log = logging.getLogger(__name__)


async def telegram(request: Request[State]) -> Response:
    updates = request.state["updates"]
    if updates is None:
        raise NotFound("this service has no bot: set TELEGRAM_TOKEN and TELEGRAM_SECRET.", code="bot_off")
    check_secret(request)
    try:
        update = parse_json(await read_body(request))
    except (BodyTooLarge, InvalidRequest) as error:
        log.warning("an update is malformed: %s", error.code)
        return Response()
    try:
        await updates.take(update)
    except Undelivered as error:
        raise Unavailable(str(error), error.retry_after, "undelivered") from None
    return Response()


def check_secret(request: Request[State]) -> None:
    """Compare the secret in constant time, before the body is read. Raises Forbidden."""
    sent = request.headers.get("x-telegram-bot-api-secret-token", "")
    if not hmac.compare_digest(sent.encode(), request.state["settings"].telegram_secret.encode()):
        raise Forbidden(
            "X-Telegram-Bot-Api-Secret-Token is not TELEGRAM_SECRET: run `python -m app.bot set-webhook`.",
            code="wrong_secret",
        )
