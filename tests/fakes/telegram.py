"""A Telegram on loopback: people who write and press buttons, and the delivery of updates by the real server's rules.

The updates of one chat are delivered in order, those of different chats at the same time, on up to `max_connections`
connections. An update that is not answered with 2xx in time comes again: at once, then after 2, 4, 8 … seconds. `pace` is the
length of such a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from tests.fakes.bot_api import BOT, IDS, BotApi
from tests.fakes.bot_api_fields import entities, keyboard

SECRET = "the_secret-0"


class Telegram(BotApi):
    """`statuses` counts the app's answers to deliveries, 0 for none."""

    def __init__(self, pace: float = 0.01, timeout: float = 60.0, max_connections: int = 40) -> None:
        super().__init__(pace)
        # Whether this delivery's answer is lost, as when the connection breaks at that moment.
        self.misses: Callable[[], bool] = lambda: False
        self.url = ""
        self.statuses: Counter[int] = Counter()
        self._timeout, self._max_connections = timeout, max_connections
        self._updates: dict[int, deque[dict[str, Any]]] = defaultdict(deque)
        self._loop: asyncio.AbstractEventLoop
        self._client: httpx.AsyncClient
        self._room: asyncio.Semaphore
        self._tasks: set[asyncio.Task[None]] = set()

    # What people do.

    def write(self, chat: int, text: str | None, user: int | None = None, **more: Any) -> dict[str, Any]:
        """Somebody writes. Chats below zero are groups. Returns the message."""
        person = {"id": user or abs(chat), "is_bot": False, "first_name": "Ann"}
        message = self._message(chat, person, text, **more)
        self._post({"message": message})
        return message

    def press(self, message: dict[str, Any], data: str, user: int | None = None, **more: Any) -> str:
        """Somebody presses a button. Returns the query's id."""
        chat = message["chat"]["id"]
        person = {"id": user or abs(chat), "is_bot": False, "first_name": "Ann"}
        query = str(next(IDS))
        self._queries[query] = chat
        press = {"id": query, "from": person, "chat_instance": "1", "data": data, "message": message} | more
        self._post({"callback_query": press})
        return query

    def edit(self, message: dict[str, Any], text: str, **more: Any) -> None:
        """Somebody edits what they wrote."""
        stored = self.messages[message["chat"]["id"], message["message_id"]]
        stored |= {"text": text, "edit_date": int(time.time())} | more
        stored.pop("entities", None)
        self._post({"edited_message": stored | ({"entities": found} if (found := entities(text)) else {})})

    def react(self, message: dict[str, Any], *emoji: str, user: int | None = None, **more: Any) -> None:
        """Somebody changes their reactions to a message."""
        where = message["chat"]
        reaction = {"chat": where, "message_id": message["message_id"], "date": int(time.time()), "old_reaction": []}
        person = {"id": user or abs(where["id"]), "is_bot": False, "first_name": "Ann"}
        new = [{"type": "emoji", "emoji": each} for each in emoji]
        self._post({"message_reaction": reaction | {"user": person, "new_reaction": new} | more})

    def inquire(self, text: str, user: int = 7) -> str:
        """Somebody writes `@NAME text` in any chat. Returns the query's id."""
        query = str(next(IDS))
        self._queries[query] = user
        person = {"id": user, "is_bot": False, "first_name": "Ann"}
        self._post({"inline_query": {"id": query, "from": person, "query": text, "offset": ""}}, -int(query))
        return query

    def choose(self, query: str, user: int = 7, *, told: bool = True) -> dict[str, Any]:
        """Somebody sends what was offered for a query, which the bot is `told` or not. Returns the message."""
        (result,) = self.offers[query]["results"]
        number = f"inline{next(IDS)}"
        message = {"id": number, "from": BOT, "text": result["input_message_content"]["message_text"]} | keyboard(
            result
        )
        self.inline_messages[number] = message
        if told:
            person = {"id": user, "is_bot": False, "first_name": "Ann"}
            chosen = {"result_id": result["id"], "from": person, "query": "", "inline_message_id": number}
            self._post({"chosen_inline_result": chosen}, -user)
        return message

    def press_inline(self, message: dict[str, Any], label: str, user: int = 7) -> None:
        """Somebody presses a button under a message that was sent through inline mode."""
        rows = self.inline_messages[message["id"]]["reply_markup"]["inline_keyboard"]
        data = next(button["callback_data"] for row in rows for button in row if label in button["text"])
        query = str(next(IDS))
        self._queries[query] = user
        person = {"id": user, "is_bot": False, "first_name": "Ann"}
        press = {"id": query, "from": person, "chat_instance": "1", "data": data, "inline_message_id": message["id"]}
        self._post({"callback_query": press}, -user)

    def button(self, message: dict[str, Any], label: str) -> str:
        """The callback data of the button with this label."""
        rows = self.now(message)["reply_markup"]["inline_keyboard"]
        return str(next(button["callback_data"] for row in rows for button in row if label in button["text"]))

    def now(self, message: dict[str, Any]) -> dict[str, Any]:
        return self.messages[message["chat"]["id"], message["message_id"]]

    def said(self, chat: int) -> list[dict[str, Any]]:
        """What the bot has said in this chat, oldest first."""
        found = [message for (where, _), message in list(self.messages.items()) if where == chat]
        return [dict(message) for message in found if message["from"] == BOT]

    def deliver(self, update: dict[str, Any], chat: int = 0) -> None:
        """Deliver an update of any shape, in the order of this chat's, by default of the one that it is in."""
        self._post(update, chat)

    def settle(self, seconds: float = 20.0) -> None:
        """Wait until nothing is left to deliver."""
        until = time.monotonic() + seconds
        while self.undelivered:
            assert time.monotonic() < until, f"{self.undelivered} updates are still to be delivered"
            time.sleep(0.005)

    # Delivery.

    def _post(self, update: dict[str, Any], chat: int = 0) -> None:
        numbered = {"update_id": next(IDS)} | update
        kinds = ("message", "edited_message", "message_reaction")
        inside: dict[str, Any] = next((numbered[kind] for kind in kinds if numbered.get(kind)), {})
        inside = inside or (numbered.get("callback_query") or {}).get("message") or {}
        chat = chat or (inside["chat"]["id"] if inside else 0)
        self.undelivered += 1
        self._loop.call_soon_threadsafe(self._enqueue, chat, numbered)

    def _enqueue(self, chat: int, update: dict[str, Any]) -> None:
        if not self.webhook.get("url"):
            self._polled.append(update)
            return
        queue = self._updates[chat]
        queue.append(update)
        if len(queue) == 1:
            task = asyncio.get_running_loop().create_task(self._drain(chat, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self, chat: int, queue: deque[dict[str, Any]]) -> None:
        while queue:
            for pause in itertools.chain([0], (2.0**n for n in itertools.count(1))):
                if await self._offer(queue[0]):
                    break
                await asyncio.sleep(min(pause, 64) * self._pace)
            queue.popleft()
            self.undelivered -= 1
        del self._updates[chat]

    async def _offer(self, update: dict[str, Any]) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook.get("secret_token", "")}
        async with self._room:
            try:
                reply = await self._client.post(self.webhook["url"], json=update, headers=headers)
            except httpx.TransportError:
                self.statuses[0] += 1
                return False
        self.statuses[reply.status_code] += 1
        return reply.is_success and not self.misses()

    # As a server.

    @contextlib.contextmanager
    def serving(self) -> Iterator[Telegram]:
        app = Starlette(routes=[Route("/bot{token}/{method}", self.call, methods=["POST"])])
        # Longer than the client keeps an unused connection. If both closed it at the same moment, nobody would know whether a
        # call on it was carried out, and the bot takes such a message for sent.
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_keep_alive=75))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            thread = threading.Thread(target=lambda: asyncio.run(self._serve(server, listener)))
            thread.start()
            try:
                while not server.started:
                    time.sleep(0.005)
                yield self
            finally:
                server.should_exit = True
                thread.join()

    async def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._loop, self._room = asyncio.get_running_loop(), asyncio.Semaphore(self._max_connections)
        async with httpx.AsyncClient(timeout=self._timeout) as self._client:
            await server.serve(sockets=[listener])
            for task in self._tasks:
                task.cancel()
