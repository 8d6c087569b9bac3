"""The bot: what people write and press, and what they see."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from app.bot.chat_state import CHATS, TURNS, ChatState, ChatStates
from app.bot.message_limits import LIMIT, cut
from app.bot.strings import (
    COMMANDS,
    EXPIRED_BUTTON,
    INTERNAL_ERROR,
    MESSAGE_GONE,
    NOTHING_WRITTEN,
    STORE_DOWN,
    THANKS,
    VOTE_NOT_STORED,
)
from app.engine.fake import SCRIPT, FakeEngine
from app.engine.prompts import turn_tokens
from app.engine.tokenizer import Tokenizer
from tests.bot.conftest import JOKE, bot
from tests.telegram import Telegram, units

SHOWN = "Why did the duck stop?\n\nIt had a bill to pay."
ANSWER = "Why did the duck stop?\n[ANSWER] It had a bill to pay."


def labels(message: dict[str, Any]) -> list[str]:
    rows = message.get("reply_markup", {"inline_keyboard": []})["inline_keyboard"]
    return [button["text"] for row in rows for button in row]


def ask(telegram: Telegram, text: str, chat: int = 7, **more: Any) -> dict[str, Any]:
    """Write, and return the last that the bot said."""
    telegram.write(chat, text, **more)
    telegram.settle()
    return telegram.said(chat)[-1]


def press(telegram: Telegram, message: dict[str, Any], label: str, **more: Any) -> None:
    telegram.press(message, telegram.button(message, label), **more)
    telegram.settle()


def rows(store: str, query: str) -> list[Any]:
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        return connection.execute(query).fetchall()


def test_a_joke_is_a_question_and_its_answer(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
    assert said["text"] == SHOWN
    assert labels(said) == ["👍", "👎", "Another"]
    assert "reply_to_message" not in said
    assert rows(store, "SELECT prompt, text, generated_by, source, channel FROM texts") == [
        (*SHOWN.split("\n\n"), "fake", "model", "telegram")
    ]


def test_a_model_of_plain_text_writes_from_nothing_and_continues_what_is_written() -> None:
    with bot(FakeEngine()) as telegram:
        telegram.settle()
        assert ask(telegram, "/joke")["text"] == (SCRIPT * 3)[:100].strip()
        assert ask(telegram, "And then")["text"] == (SCRIPT * 3)[:100].strip()


def test_any_text_is_a_question_to_answer(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "Why did the duck stop?")
    assert said["text"] == ANSWER
    assert said["reply_to_message"]["text"] == "Why did the duck stop?"
    assert rows(store, "SELECT prompt, text FROM texts") == [("Why did the duck stop?", ANSWER)]


def test_a_vote_is_kept_and_thanked_for_and_may_be_changed(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
        press(telegram, said, "👍")
        assert telegram.now(said)["text"] == SHOWN + "\n\nThank you for your feedback."
        assert telegram.notices[-1]["text"] == "👍 Your vote is counted. Thank you!"
        press(telegram, telegram.now(said), "👎")
        assert telegram.now(said)["text"] == SHOWN + "\n\nThank you for your feedback."
        assert labels(telegram.now(said)) == ["👍", "👎", "Another"]
        press(telegram, said, "👍", user=8)
    votes = rows(store, "SELECT voter, value FROM votes ORDER BY value")
    assert [value for _, value in votes] == [-1, 1]
    assert all(len(voter) == 32 and set(voter) <= set("0123456789abcdef") for voter, _ in votes)


def test_without_a_store_there_is_nothing_to_vote_on() -> None:
    with bot() as telegram:
        said = ask(telegram, "/joke")
        assert labels(said) == ["Another"]
        telegram.press(said, "up:abc")
        telegram.settle()
        assert telegram.notices[-1]["text"] == EXPIRED_BUTTON
        assert ask(telegram, "/stats")["text"] == "Votes are not stored here."


def test_another_joke_and_another_answer_to_the_same_question(store: str) -> None:
    with bot(feedback=store) as telegram:
        joke = ask(telegram, "/joke")
        press(telegram, joke, "Another")
        assert [said["text"] for said in telegram.said(7)] == [SHOWN, SHOWN]
        answer = ask(telegram, "Why?")
        press(telegram, answer, "Another")
        assert telegram.said(7)[-1]["reply_to_message"]["message_id"] == answer["reply_to_message"]["message_id"]
        press(telegram, {name: part for name, part in answer.items() if name != "reply_to_message"}, "Another")
        assert telegram.notices[-1]["text"] == MESSAGE_GONE
    assert [prompt for (prompt,) in rows(store, "SELECT prompt FROM texts ORDER BY created")][2:] == ["Why?", "Why?"]


@pytest.mark.parametrize(
    "data", ["", "dance", "up", "up:", "up:nobody_knows", "model:x", "length:7", "temperature:9", ":"]
)
def test_a_button_of_another_time_is_answered(store: str, data: str) -> None:
    with bot(feedback=store) as telegram:
        telegram.press(ask(telegram, "/joke"), data)
        telegram.settle()
        assert [notice["text"] for notice in telegram.notices] == [EXPIRED_BUTTON]
        assert telegram.statuses == {200: 2}


def test_a_message_that_telegram_no_longer_shows_can_be_voted_on_and_no_more(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
        gone = {"chat": said["chat"], "message_id": said["message_id"], "date": 0}
        telegram.press(gone, telegram.button(said, "👍"))
        telegram.press(gone, "joke")
        telegram.settle()
        assert [notice["text"] for notice in telegram.notices] == [
            "👍 Your vote is counted. Thank you!",
            EXPIRED_BUTTON,
        ]
    assert rows(store, "SELECT value FROM votes") == [(1,)]


def test_help_names_every_command() -> None:
    with bot() as telegram:
        for command in ("/start", "/help", "/START payload"):
            text = ask(telegram, command)["text"]
            assert all(f"/{name} " in text for name in COMMANDS)
        assert ask(telegram, "/dance")["text"].startswith("I don't know the command /dance.")


@pytest.mark.parametrize("store", ["", "sqlite:///{}/f.db"])
def test_a_conversation_is_remembered_until_it_is_reset(store: str, tmp_path: Path) -> None:
    """And another answer takes the place of the one before."""
    engine = Listening()
    with bot(engine, feedback=store.format(tmp_path)) as telegram:
        ask(telegram, "/chat")
        first = ask(telegram, "Hello")
        second = ask(telegram, "How are you?")
        press(telegram, second, "Another")
        ask(telegram, "How are you?")
        ask(telegram, "/reset")
        ask(telegram, "Hello")
    said = ["Hello", first["text"], "How are you?", second["text"], "How are you?"]
    assert engine.heard == [turns(engine, *said[:number]) for number in (1, 3, 3, 5, 1)]


class Listening(FakeEngine):
    """Remembers what it was given to read."""

    def __init__(self) -> None:
        super().__init__("Yes.", template="chat")
        self.heard: list[list[int]] = []

    def decoder(self, rows: int, positions: int, reuse: bool = False) -> Any:
        decoder, heard = super().decoder(rows, positions, reuse), self.heard
        prefill = decoder.prefill

        def listening(tokens: Any) -> Any:
            heard.append(tokens[0].tolist())
            return prefill(tokens)

        decoder.prefill = listening  # type: ignore[method-assign]
        return decoder


def turns(engine: FakeEngine, *said: str) -> list[int]:
    return turn_tokens(engine, said, 100)


def test_a_model_is_chosen_for_its_chat() -> None:
    with bot(FakeEngine("a", name="one"), FakeEngine("b", name="two")) as telegram:
        assert ask(telegram, "Hi")["text"] == "a" * 100
        said = ask(telegram, "/model")
        assert labels(said) == ["✓ one", "two"]
        press(telegram, said, "two")
        assert labels(telegram.now(said)) == ["one", "✓ two"]
        assert ask(telegram, "Hi")["text"] == "b" * 100
        assert ask(telegram, "Hi", chat=8)["text"] == "a" * 100


def test_settings_are_chosen_for_their_chat(store: str) -> None:
    with bot(FakeEngine("a"), feedback=store) as telegram:
        said = ask(telegram, "/settings")
        assert labels(said) == ["0.5", "✓ 0.7", "0.9", "1.1", "50", "✓ 100", "200", "400"]
        press(telegram, said, "50")
        press(telegram, said, "1.1")
        assert labels(telegram.now(said)) == ["0.5", "0.7", "0.9", "✓ 1.1", "✓ 50", "100", "200", "400"]
        assert ask(telegram, "Hi")["text"] == "a" * 50
        press(telegram, said, "1.1")
    with bot(FakeEngine("a"), feedback=store) as telegram:
        assert ask(telegram, "Hi")["text"] == "a" * 50
    assert rows(store, "SELECT count(*), max(length(id)), min(length(id)) FROM chats") == [(1, 32, 32)]
    assert rows(store, "SELECT settings FROM texts") == [('{"temperature":1.1,"length":50}',)] * 2


def test_stats_tell_what_was_liked(store: str) -> None:
    with bot(feedback=store) as telegram:
        assert ask(telegram, "/stats")["text"] == "Nothing has been written yet."
        press(telegram, ask(telegram, "/joke"), "👎")
        assert ask(telegram, "/stats")["text"] == "fake: 👍 0, 👎 1, texts 1"


GROUP = -100


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        ("Hello all", False), ("/joke", False), ("/joke@OtherBot", False), ("hi @OtherBot", False), ("me@JokerBot.com", False),
        ("/joke@JokerBot", True), ("/JOKE@jokerbot", True), ("@JokerBot why?", True), ("why, @jokerbot?", True),
    ],
)  # fmt: skip
def test_in_a_group_it_answers_who_names_it(text: str, answered: bool) -> None:
    with bot() as telegram:
        telegram.write(GROUP, text, user=7)
        telegram.settle()
        assert len(telegram.said(GROUP)) == answered
        assert telegram.drafts == []


def test_in_a_group_it_answers_who_answers_it_or_mentions_it_without_a_name(store: str) -> None:
    with bot(feedback=store) as telegram:
        joke = ask(telegram, "/joke@JokerBot", chat=GROUP, user=7)
        answer = ask(telegram, "Why that?", chat=GROUP, user=8, reply_to_message=joke)
        assert answer["reply_to_message"]["text"] == "Why that?"
        mention = {
            "type": "text_mention",
            "offset": 0,
            "length": 5,
            "user": {"id": 4242, "is_bot": True, "first_name": "J"},
        }
        ask(telegram, "Joker say", chat=GROUP, user=8, entities=[mention])
        other = {"id": 9, "is_bot": False, "first_name": "B"}
        telegram.write(GROUP, "Why that?", user=8, reply_to_message=joke | {"from": other})
        press(telegram, answer, "Another", user=9)
    assert [prompt for (prompt,) in rows(store, "SELECT prompt FROM texts ORDER BY created")][1:] == [
        "Why that?",
        "say",
        "Why that?",
    ]


def test_only_whom_it_is_told_to_answer() -> None:
    with bot(telegram_allow="7, -100") as telegram:
        assert ask(telegram, "/joke")["text"] == SHOWN
        assert ask(telegram, "/joke@JokerBot", chat=GROUP, user=9)["text"] == SHOWN
        refused = ask(telegram, "/joke", chat=8)
        assert refused["text"] == "I only answer the people and chats listed in TELEGRAM_ALLOW. Your id is 8."
        telegram.press(refused, "joke")
        telegram.settle()
        assert telegram.notices[-1]["text"] == refused["text"]
        telegram.write(-200, "/joke@JokerBot", user=9)
        telegram.settle()
        assert telegram.said(-200) == []


def test_so_many_texts_a_minute_and_no_more() -> None:
    with bot(telegram_rate=2) as telegram:
        joke = ask(telegram, "/joke")
        ask(telegram, "Why?")
        assert ask(telegram, "Why?")["text"].startswith("You have reached the limit for now. Please wait ")
        press(telegram, joke, "Another")
        assert telegram.notices[-1]["text"].startswith("You have reached the limit for now.")
        assert ask(telegram, "/help")["text"].startswith("Write to me")
        assert ask(telegram, "/joke", chat=8)["text"] == SHOWN


async def remember_too_many(chats: ChatStates) -> list[int]:
    for chat in range(CHATS + 2):
        await chats.keep(chat, ChatState(length=50, turns=["x"] * 100))
    return [(await chats.get(chat)).length for chat in (0, 1, 2, CHATS + 1)]


def test_without_a_store_the_last_chats_are_remembered() -> None:
    chats = ChatStates(None, b"key")
    assert asyncio.run(remember_too_many(chats)) == [100, 100, 50, 50]
    assert len(asyncio.run(chats.get(5)).turns) == TURNS


HOSTILE = {
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 why?",
    "right to left": "لماذا توقفت البطة؟ \u202eabc",
    "html": "<b>why</b> &amp; <script>alert(1)</script>",
    "markdown": "*why* _not_ [x](http://a.example) `",
    "marks": "[QUESTION] [ANSWER] <|endoftext|>",
    "nul": "why\x00not",
    "newlines": "\n\n why \n\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_written_is_answered_and_shown_as_it_is(text: str, store: str) -> None:
    with bot(FakeEngine(text, template="qa"), feedback=store) as telegram:
        said = ask(telegram, text)
        press(telegram, said, "👍")
        shown = telegram.now(said)
    assert shown["text"].startswith(text.strip()[:4].strip())
    assert shown["text"].endswith(THANKS)
    assert rows(store, "SELECT value FROM votes") == [(1,)]


def test_a_text_longer_than_the_window_is_refused_in_words() -> None:
    with bot() as telegram:
        said = ask(telegram, "why " * 25_000)
        assert said["text"].startswith("That is too long for me: ")
        assert telegram.statuses == {200: 1}


@pytest.mark.parametrize("script", ["🦆" * 30, "long words 🦆 "])
def test_a_text_longer_than_a_message_is_cut(script: str, store: str) -> None:
    """And leaves room for the thanks."""
    with bot(Wordy(script), feedback=store) as telegram:
        said = ask(telegram, "/joke")
        press(telegram, said, "👍")
        assert LIMIT - 2 <= units(said["text"]) <= LIMIT
        assert units(telegram.now(said)["text"]) <= 4096


class Wordy(FakeEngine):
    """Each token that it writes is `words`, ten times."""

    def __init__(self, words: str) -> None:
        super().__init__("a")
        self.tokenizer = WordyTokenizer(words, self.tokenizer)


class WordyTokenizer(Tokenizer):
    def __init__(self, words: str, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer._tokenizer)
        self._words = words * 10

    def bytes_of(self, token: int) -> bytes:
        return self._words.encode()


def test_a_text_is_cut_between_characters() -> None:
    assert cut("a🦆b", 3) == "a🦆"
    assert cut("a🦆b", 2) == "a"
    assert units(cut("🦆" * 5000)) <= LIMIT


def test_a_model_with_nothing_to_say_says_so() -> None:
    with bot(FakeEngine("")) as telegram:
        for text in ("/joke", "Why?"):
            said = ask(telegram, text)
            assert (said["text"], labels(said)) == (NOTHING_WRITTEN, [])


def test_what_is_no_text_is_told_in_private_only() -> None:
    sticker = {"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1, "is_animated": False, "is_video": False}
    with bot() as telegram:
        for chat in (7, GROUP):
            telegram.write(chat, None, sticker=sticker | {"type": "regular"})
            telegram.write(chat, None, new_chat_title="Ducks")
        telegram.settle()
        assert [said["text"] for said in telegram.said(7)] == ["I can only read text."]
        assert telegram.said(GROUP) == []


def test_drafts_show_a_long_reply_as_it_grows_and_stop_before_it() -> None:
    with bot(FakeEngine("abcdefghij", seconds_per_token=0.02)) as telegram:
        said = ask(telegram, "Why?")
        drafts = [draft["text"] for draft in telegram.drafts]
        assert len(drafts) >= 2
        assert all(said["text"].startswith(draft) for draft in drafts)
        assert sorted(drafts, key=len) == drafts
        assert len({draft["draft_id"] for draft in telegram.drafts}) == 1


def test_in_groups_it_is_seen_typing() -> None:
    with bot(FakeEngine(seconds_per_token=0.02)) as telegram:
        ask(telegram, "@JokerBot why?", chat=GROUP, user=7)
        assert telegram.calls["sendChatAction"] == 1
        assert telegram.drafts == []


def test_a_store_that_is_down_is_told_and_acknowledges_nothing(tmp_path: Path) -> None:
    file = tmp_path / "feedback.db"
    with bot(feedback=f"sqlite:///{file}") as telegram:
        said = ask(telegram, "/joke")
        settings = ask(telegram, "/settings")
        break_store(file)
        press(telegram, said, "👍")
        assert telegram.notices[-1] == {
            "callback_query_id": telegram.notices[-1]["callback_query_id"],
            "text": VOTE_NOT_STORED,
            "show_alert": "true",
        }
        assert telegram.now(said)["text"] == SHOWN
        press(telegram, settings, "50")
        assert telegram.notices[-1]["text"] == STORE_DOWN
        for text in ("/joke", "Why?", "/stats", "/chat"):
            assert ask(telegram, text)["text"] == STORE_DOWN
        assert ask(telegram, "/help")["text"].startswith("Write to me")
        assert set(telegram.statuses) == {200}


def break_store(file: Path) -> None:
    """Take its tables away, but for that of the updates, which is why it is not made anew."""
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for table in ("votes", "texts", "chats"):
            connection.execute(f"DROP TABLE {table}")


def test_a_mistake_of_ours_is_told_and_not_delivered_again() -> None:
    class Broken(FakeEngine):
        def decoder(self, rows: int, positions: int, reuse: bool = False) -> Any:
            raise ZeroDivisionError(JOKE)

    with bot(Broken()) as telegram:
        assert ask(telegram, "/joke")["text"] == INTERNAL_ERROR
        assert telegram.statuses == {200: 1}


def test_who_blocked_the_bot_is_left_alone() -> None:
    with bot() as telegram:
        ask(telegram, "/joke")
        telegram.blocked.add(7)
        telegram.write(7, "/joke")
        telegram.settle()
        assert telegram.statuses == {200: 2}
        assert len(telegram.said(7)) == 1
