"""Does the bot lose an update, answer one twice, miscount a vote or grow when much goes wrong?

`python -m benchmarks.telegram` starts `python -m app` with a bot, and the tests' Telegram server. 200 chats send 10,000
updates: questions, jokes and votes, some of which are changed later. Of the bot's calls, one in a hundred fails or is told to
wait, and one in two hundred takes longer than Telegram waits for the webhook. One answer in fifty gets lost, so Telegram
delivers the update again.
"""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.subject import report, resident
from tests.fakes.bot_api import TOKEN, Fault
from tests.fakes.telegram import SECRET, Telegram

ROUNDS = 10
CHATS = range(1, 201)
# In each round of a chat: texts that it asks for, and votes on them.
TEXTS, VOTES = 3, 2


class Day:
    """What the chats asked for and how they voted, to compare with the answers and the stored votes."""

    def __init__(self, telegram: Telegram) -> None:
        self.telegram = telegram
        self.chance = random.Random(0)
        self.updates = 0
        self.asked: dict[int, Counter[str]] = {chat: Counter() for chat in CHATS}
        self.votes: dict[tuple[str, int], int] = {}

    def fault(self, method: str) -> Fault | None:
        faults = {0: Fault(status=502), 1: Fault(retry_after=1), 2: Fault(before=4)}
        return faults.get(self.chance.randrange(200))

    def round(self, number: int) -> None:
        for text in range(TEXTS):
            for chat in CHATS:
                said = "/joke" if text == 0 else f"question {number}.{text}"
                self.asked[chat]["" if text == 0 else said] += 1
                self.telegram.write(chat, said)
        self.settle(TEXTS)
        for _ in range(VOTES):
            for chat in CHATS:
                message = self.chance.choice(self.telegram.said(chat)[-TEXTS:])
                sign = self.chance.choice("👍👎")
                data = self.telegram.button(message, sign)
                self.telegram.press(message, data)
                self.votes[data.partition(":")[2], chat] = 1 if sign == "👍" else -1
        self.settle(VOTES)

    def settle(self, updates: int) -> None:
        self.telegram.settle(600)
        self.updates += updates * len(CHATS)

    def answers(self) -> tuple[int, int]:
        """The number of questions without an answer, and of answers too many."""
        lost = twice = 0
        for chat in CHATS:
            given = Counter(said.get("reply_to_message", {}).get("text", "") for said in self.telegram.said(chat))
            lost += (self.asked[chat] - given).total()
            twice += (given - self.asked[chat]).total()
        return lost, twice

    def miscounted(self, file: Path) -> int:
        with sqlite3.connect(file) as connection:
            kept = dict(connection.execute("SELECT text_id, value FROM votes").fetchall())
        expected = {text: value for (text, _), value in self.votes.items()}
        return sum(kept.get(text) != expected.get(text) for text in kept | expected)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = Telegram(pace=0.1, timeout=3, max_connections=33)
    with tempfile.TemporaryDirectory() as folder, server.serving() as telegram:
        file = Path(folder) / "feedback.db"
        bot = {
            "TELEGRAM_TOKEN": TOKEN,
            "TELEGRAM_SECRET": SECRET,
            "TELEGRAM_API_URL": telegram.url,
            "TELEGRAM_RATE": "0",
        }
        app = {"ENGINE": "fake", "FEEDBACK": f"sqlite:///{file}", "PORT": str(port), "LOG_LEVEL": "error"}
        command = [sys.executable, "-m", "app"]
        with subprocess.Popen(command, env=os.environ | bot | app, stdout=subprocess.DEVNULL) as child:
            try:
                await_port(port)
                report("telegram", measure(telegram, child.pid, f"http://127.0.0.1:{port}/telegram", file))
            finally:
                child.terminate()


def measure(telegram: Telegram, pid: int, address: str, file: Path) -> dict[str, Any]:
    telegram.webhook = {"url": address, "secret_token": SECRET}
    before = resident(pid)
    began = time.perf_counter()
    telegram.write(CHATS[0], "/help")
    telegram.settle()
    first = time.perf_counter() - began
    telegram.messages.clear()
    opened = resident(pid)
    day = Day(telegram)
    telegram.fault = day.fault
    telegram.misses = lambda: day.chance.random() < 0.02
    sizes = []
    began = time.perf_counter()
    for number in range(ROUNDS):
        day.round(number)
        sizes.append(resident(pid))
        print(f"{day.updates} updates, {sizes[-1]:.1f} MB", file=sys.stderr)
    seconds = time.perf_counter() - began
    lost, twice = day.answers()
    statuses = telegram.statuses
    return {
        "updates": day.updates,
        "chats": len(CHATS),
        "deliveries": statuses.total(),
        "deliveries answered with 503": statuses[503],
        "deliveries given up by the server": statuses[0],
        "lost": lost,
        "answered twice": twice,
        "votes": len(day.votes),
        "votes miscounted": day.miscounted(file),
        "first update, which imports the library, s": round(first, 3),
        "resident before the first update, MB": round(before, 1),
        "resident after it, MB": round(opened, 1),
        "resident after 1,000 updates, MB": round(sizes[0], 1),
        "resident after 10,000 updates, MB": round(sizes[-1], 1),
        "updates a second": round(day.updates / seconds, 1),
    }


def await_port(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return


if __name__ == "__main__":
    main()
