"""Does the bot lose an update, answer one twice, miscount a vote or grow when much goes wrong?

`python -m benchmarks.telegram` starts `python -m app` with a bot, and the tests' Telegram server. 200 chats send 10,000
updates: jokes, questions, edits of them, votes by button and by reaction, some of which are changed later, inline queries, and
texts to guess with the guesses. Of the bot's calls, one in a hundred fails or is told to wait, and one in two hundred takes
longer than Telegram waits for the webhook. One answer in fifty gets lost, so Telegram delivers the update again.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.subject import report, resident
from tests.fakes.bot_api import TOKEN, Fault
from tests.fakes.telegram import SECRET, Telegram

ROUNDS = 10
CHATS = range(1, 201)
# Chats that play in a round.
PLAYING = 40
PEOPLE = "A person wrote this.\nAnd another one wrote that.\n"


class Day:
    """What the chats asked for and how they voted, to compare with the answers and what is stored."""

    def __init__(self, telegram: Telegram) -> None:
        self.telegram = telegram
        self.chance = random.Random(0)
        self.updates = 0
        self.asked: dict[int, Counter[str]] = {chat: Counter() for chat in CHATS}
        self.votes: dict[str, int] = {}
        self.guesses: dict[str, str] = {}
        # The text of each edited question, by the message that answers it.
        self.edited: list[tuple[dict[str, Any], str]] = []
        self.inquiries: list[str] = []

    def fault(self, method: str) -> Fault | None:
        faults = {0: Fault(status=502), 1: Fault(retry_after=1), 2: Fault(before=4)}
        return faults.get(self.chance.randrange(200))

    def round(self, number: int) -> None:
        before = {chat: len(self.telegram.said(chat)) for chat in CHATS}
        questions = [self.ask(chat, number) for chat in CHATS]
        self.settle(2)
        answers = {chat: self.telegram.said(chat)[before[chat] :] for chat in CHATS}
        for question in questions:
            self.edit(question, answers[question["chat"]["id"]])
        self.settle(1)
        for chat in CHATS:
            self.press(self.chance.choice(answers[chat]))
        self.settle(1)
        (self.react, self.inquire, self.play)[number % 3](answers)
        self.settle(1)

    def ask(self, chat: int, number: int) -> dict[str, Any]:
        """A joke and a question, which is returned."""
        self.telegram.write(chat, "/joke")
        self.asked[chat] += Counter(["", f"question {number}?"])
        return self.telegram.write(chat, f"question {number}?")

    def edit(self, question: dict[str, Any], answers: Sequence[dict[str, Any]]) -> None:
        said = question["text"].replace("?", ", edited?")
        (answer,) = (each for each in answers if "reply_to_message" in each)
        self.telegram.edit(question, said)
        self.edited.append((answer, said))

    def press(self, message: dict[str, Any]) -> None:
        sign = self.chance.choice("👍👎")
        data = self.telegram.button(message, sign)
        self.telegram.press(self.telegram.now(message), data)
        self.votes[data.partition(":")[2]] = 1 if sign == "👍" else -1

    def react(self, answers: Mapping[int, Sequence[dict[str, Any]]]) -> None:
        for messages in answers.values():
            message, emoji = self.chance.choice(messages), self.chance.choice("🔥😁🤮👎")
            self.telegram.react(message, emoji)
            self.votes[self.telegram.button(message, "👍").partition(":")[2]] = 1 if emoji in "🔥😁" else -1

    def inquire(self, answers: Mapping[int, Sequence[dict[str, Any]]]) -> None:
        self.inquiries += [self.telegram.inquire(f"about {chat}", user=chat) for chat in answers]

    def play(self, answers: Mapping[int, Sequence[dict[str, Any]]]) -> None:
        """Some ask for a text to guess and guess, which are two updates. Others react, and as many do nothing."""
        for chat in CHATS[:PLAYING]:
            self.asked[chat][""] += 1
            self.telegram.write(chat, "/play")
        self.react({chat: answers[chat] for chat in CHATS[2 * PLAYING :]})
        self.telegram.settle(600)
        for chat in CHATS[:PLAYING]:
            message = self.telegram.said(chat)[-1]
            guess = self.chance.choice(["model", "human"])
            data = self.telegram.button(message, "A model" if guess == "model" else "A person")
            self.telegram.press(message, data)
            self.guesses[data.partition(":")[2]] = guess

    def settle(self, updates: int) -> None:
        self.telegram.settle(600)
        self.updates += updates * len(CHATS)

    def answers(self) -> tuple[int, int]:
        """The number of questions without an answer, and of answers too many."""
        lost = twice = 0
        for chat in CHATS:
            quoted = (said.get("reply_to_message", {}).get("text", "") for said in self.telegram.said(chat))
            given = Counter(text.replace(", edited", "") for text in quoted)
            lost += (self.asked[chat] - given).total()
            twice += (given - self.asked[chat]).total()
        offered = self.telegram.offered
        lost += sum(not offered[query] for query in self.inquiries)
        return lost, twice + sum(offered[query] > 1 for query in self.inquiries)

    def differing(self, file: Path) -> tuple[int, int]:
        """The number of votes and guesses that are stored otherwise than given, and of edits without a new answer."""
        with sqlite3.connect(file) as connection:
            votes = dict(connection.execute("SELECT text_id, value FROM votes").fetchall())
            guesses = dict(connection.execute("SELECT text_id, guessed FROM guesses").fetchall())
            prompts = dict(connection.execute("SELECT id, prompt FROM texts").fetchall())
        wrong = sum(votes.get(text) != self.votes.get(text) for text in votes | self.votes)
        wrong += sum(guesses.get(text) != self.guesses.get(text) for text in guesses | self.guesses)
        shown = ((self.telegram.button(answer, "👍").partition(":")[2], said) for answer, said in self.edited)
        return wrong, sum(prompts.get(text) != said for text, said in shown)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = Telegram(pace=0.1, timeout=3, max_connections=33)
    with tempfile.TemporaryDirectory() as folder, server.serving() as telegram:
        file, people = Path(folder) / "feedback.db", Path(folder) / "people.txt"
        people.write_text(PEOPLE, encoding="utf-8")
        bot = {
            "TELEGRAM_TOKEN": TOKEN,
            "TELEGRAM_SECRET": SECRET,
            "TELEGRAM_API_URL": telegram.url,
            "TELEGRAM_RATE": "0",
        }
        app = {"ENGINE": "fake", "FEEDBACK": f"sqlite:///{file}", "PORT": str(port), "LOG_LEVEL": "error"}
        app["COMPARE"] = f"fake,{people}"
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
    miscounted, unedited = day.differing(file)
    statuses = telegram.statuses
    return {
        "updates": day.updates,
        "chats": len(CHATS),
        "deliveries": statuses.total(),
        "deliveries answered with 503": statuses[503],
        "deliveries given up by the server": statuses[0],
        "lost": lost,
        "answered twice": twice,
        "edits": len(day.edited),
        "edits without a new answer": unedited,
        "inline queries": len(day.inquiries),
        "votes": len(day.votes),
        "guesses": len(day.guesses),
        "votes and guesses miscounted": miscounted,
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
