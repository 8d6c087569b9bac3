"""The methods of Telegram's Bot API that the bot calls, as a fake that refuses what the real one refuses."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.fakes.bot_api_fields import Refused, checked, entities, form_of, keyboard, read, units

TOKEN = "4242:AAtheTokenOfTheTests_-"
BOT = {"id": 4242, "is_bot": True, "first_name": "Joker", "username": "JokerBot"}
# Shared by all servers, because an app that is started again knows the updates it has answered.
IDS = itertools.count(1000)


class Fault(NamedTuple):
    """What goes wrong with one call: an error status, a delay in seconds before it, or a lost connection after it."""

    status: int = 0
    retry_after: int = 0
    before: float = 0.0
    hang_up: bool = False


class HangUp(Response):
    """The beginning of an answer, after which the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{"})


class BotApi:
    """The chats, and a record of the calls. `fault` decides by a call's method what goes wrong with it."""

    def __init__(self, pace: float) -> None:
        self.fault: Callable[[str], Fault | None] = lambda method: None
        self.messages: dict[tuple[int, int], dict[str, Any]] = {}
        # What was offered for each inline query, and the messages that people sent of it, by their ids.
        self.offers: dict[str, dict[str, Any]] = {}
        self.offered: Counter[str] = Counter()
        self.inline_messages: dict[str, dict[str, Any]] = {}
        self.drafts: list[dict[str, Any]] = []
        self.notices: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.blocked: set[int] = set()
        self.webhook: dict[str, Any] = {}
        # By language code.
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.descriptions: dict[str, str] = {}
        self.short_descriptions: dict[str, str] = {}
        self.menu_button: dict[str, Any] = {}
        self.undelivered = 0
        self._pace = pace
        self._chats: dict[int, dict[str, Any]] = {}
        self._queries: dict[str, int] = {}
        self._polled: deque[dict[str, Any]] = deque()

    async def call(self, request: Request) -> Response:
        method = request.path_params["method"]
        self.calls[method] += 1
        fields = form_of(request.headers.get("content-type", ""), await request.body())
        fault = self.fault(method) or Fault()
        await asyncio.sleep(fault.before)
        try:
            if request.path_params["token"] != TOKEN:
                raise Refused(401, "Unauthorized")
            if fault.retry_after:
                raise Refused(429, f"Too Many Requests: retry after {fault.retry_after}", retry_after=fault.retry_after)
            if fault.status:
                raise Refused(fault.status, "Bad Gateway")
            handler = getattr(self, f"_{method}", None)
            if handler is None:
                raise Refused(404, "Not Found")
            result = handler({name: read(name, value) for name, value in fields.items()})
            if asyncio.iscoroutine(result):
                result = await result
        except Refused as error:
            body = {"ok": False, "error_code": error.status, "description": str(error)}
            return JSONResponse(body | ({"parameters": error.parameters} if error.parameters else {}), error.status)
        if fault.hang_up:
            return HangUp()
        return JSONResponse({"ok": True, "result": result})

    def _getMe(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  # Telegram's names, here and below.
        return BOT

    def _sendMessage(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        chat = self._chat(fields)
        text = checked(fields).strip()
        more: dict[str, Any] = {}
        if "reply_parameters" in fields:
            earlier = self.messages.get((chat, fields["reply_parameters"]["message_id"]))
            if earlier is None and not fields["reply_parameters"].get("allow_sending_without_reply"):
                raise Refused(400, "Bad Request: message to be replied not found")
            if earlier is not None:
                more["reply_to_message"] = {name: part for name, part in earlier.items() if name != "reply_to_message"}
        if "message_thread_id" in fields:
            more |= {"message_thread_id": int(fields["message_thread_id"]), "is_topic_message": True}
        if "entities" in fields:
            more["entities"] = fields["entities"]
        return self._message(chat, BOT, text, **more, **keyboard(fields))

    def _sendVoice(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        # The library sends a file as a part of its own, to which the field points.
        sound = (
            fields[fields["voice"].removeprefix("attach://")]
            if fields["voice"].startswith("attach:")
            else fields["voice"]
        )
        if not sound.startswith("OggS"):
            raise Refused(400, "Bad Request: wrong file")
        voice = {"file_id": "a", "file_unique_id": "b", "duration": 1, "file_size": len(sound)}
        earlier = self.messages.get((self._chat(fields), fields["reply_parameters"]["message_id"]))
        return self._message(
            self._chat(fields), BOT, None, voice=voice, **({"reply_to_message": earlier} if earlier else {})
        )

    def _editMessageText(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        message = self.messages.get((self._chat(fields), int(fields["message_id"])))
        if message is None or message["from"] != BOT:
            raise Refused(400, "Bad Request: message to edit not found")
        # An edit without buttons takes the buttons away.
        changed = {"text": checked(fields).strip(), "reply_markup": None} | keyboard(fields)
        if all(message.get(name) == value for name, value in changed.items()):
            raise Refused(400, "Bad Request: message is not modified")
        message.update(changed)
        if message["reply_markup"] is None:
            del message["reply_markup"]
        return message

    def _editMessageReplyMarkup(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if "inline_message_id" in fields:
            message = self.inline_messages.get(fields["inline_message_id"])
        else:
            message = self.messages.get((self._chat(fields), int(fields["message_id"])))
        if message is None or message["from"] != BOT:
            raise Refused(400, "Bad Request: message to edit not found")
        changed = keyboard(fields)
        if message.get("reply_markup") == changed.get("reply_markup"):
            raise Refused(400, "Bad Request: message is not modified")
        message.update(changed)
        return message

    def _sendMessageDraft(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        if self._chat(fields) < 0:
            raise Refused(400, "Bad Request: drafts are for private chats")
        if not int(fields["draft_id"]):
            raise Refused(400, "Bad Request: draft_id must be non-zero")
        if fields.get("text"):
            checked(fields)
        self.drafts.append(fields)
        return True

    def _sendChatAction(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        self._chat(fields)
        if fields["action"] != "typing":
            raise Refused(400, "Bad Request: wrong parameter action in request")
        return True

    def _answerCallbackQuery(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        if fields["callback_query_id"] not in self._queries:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        if units(fields.get("text", "")) > 200:
            raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
        self.notices.append(fields)
        return True

    def _answerInlineQuery(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        if fields["inline_query_id"] not in self._queries:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        for result in fields["results"]:
            if not 1 <= len(result["id"].encode()) <= 64 or not result["title"]:
                raise Refused(400, "Bad Request: RESULT_ID_INVALID")
            checked({"text": result["input_message_content"]["message_text"]})
            keyboard(result)
        if "button" in fields and not 1 <= len(fields["button"]["text"]) <= 64:
            raise Refused(400, "Bad Request: BUTTON_TEXT_INVALID")
        self.offers[fields["inline_query_id"]] = fields
        self.offered[fields["inline_query_id"]] += 1
        return True

    def _setWebhook(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        if not re.fullmatch(r"https?://\S+", fields["url"]):
            raise Refused(400, "Bad Request: bad webhook: invalid URL")
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", fields.get("secret_token", "")):
            raise Refused(400, "Bad Request: secret token contains unallowed characters")
        self.webhook = fields
        return True

    def _deleteWebhook(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        self.webhook = {}
        return True

    def _getWebhookInfo(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        waiting = self.undelivered
        error = {name: value for name, value in self.webhook.items() if name.startswith("last_error")}
        told = {"url": self.webhook.get("url", ""), "has_custom_certificate": False, "pending_update_count": waiting}
        kinds = {"allowed_updates": kinds} if (kinds := self.webhook.get("allowed_updates")) else {}
        return told | error | kinds

    def _setMyCommands(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        for each in fields["commands"]:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", each["command"]) or not 1 <= len(each["description"]) <= 256:
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands[fields.get("language_code", "")] = fields["commands"]
        return True

    def _setMyDescription(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        if len(fields["description"]) > 512:
            raise Refused(400, "Bad Request: description is too long")
        self.descriptions[fields.get("language_code", "")] = fields["description"]
        return True

    def _setMyShortDescription(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        if len(fields["short_description"]) > 120:
            raise Refused(400, "Bad Request: short description is too long")
        self.short_descriptions[fields.get("language_code", "")] = fields["short_description"]
        return True

    def _setChatMenuButton(self, fields: dict[str, Any]) -> bool:  # noqa: N802
        button = fields["menu_button"]
        if button["type"] == "web_app" and not button["web_app"]["url"].startswith("https://"):
            raise Refused(400, "Bad Request: menu button web app URL is invalid: Only HTTPS links are allowed")
        self.menu_button = button
        return True

    async def _getUpdates(self, fields: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: N802
        if self.webhook.get("url"):
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active")
        while self._polled and self._polled[0]["update_id"] < int(fields.get("offset", 0)):
            self._polled.popleft()
            self.undelivered -= 1
        until = time.monotonic() + int(fields.get("timeout", 0)) * self._pace
        while not self._polled and time.monotonic() < until:
            await asyncio.sleep(0.005)
        return list(self._polled)[: int(fields.get("limit", 100))]

    def _chat(self, fields: dict[str, Any]) -> int:
        chat = int(fields["chat_id"])
        if chat not in self._chats:
            raise Refused(400, "Bad Request: chat not found")
        if chat in self.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        return chat

    def _message(self, chat: int, sender: dict[str, Any], text: str | None, **more: Any) -> dict[str, Any]:
        kind = "private" if chat > 0 else "supergroup"
        where = {"id": chat, "type": kind} | ({"first_name": "Ann"} if chat > 0 else {"title": "Group"})
        self._chats[chat] = where
        number = next(IDS)
        message = {"message_id": number, "date": int(time.time()), "chat": where, "from": sender}
        if text is not None:
            message |= {"text": text} | ({"entities": found} if (found := entities(text)) else {})
        self.messages[chat, number] = message | more
        return message | more
