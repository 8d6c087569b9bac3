"""Whom the bot answers: everybody in private, only those who address it in groups, within the allow list and rate limit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Message

from app.bot.address import AddressReader
from app.bot.client import open_client
from app.bot.outbox import Outbox
from app.bot.strings import NO_PICTURES, NO_SOUND, NO_STICKERS, ONLY_TEXT
from app.bot.updates import UpdateContext
from app.settings import Settings
from tests.bot.conftest import GROUP, SHOWN, ask, bot, press, rows
from tests.fakes.bot_api import TOKEN
from tests.fakes.bot_api_fields import entities, units


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        ("Hello all", False), ("/joke", False), ("/joke@OtherBot", False), ("hi @OtherBot", False), ("me@JokerBot.com", False),
        ("/joke@JokerBot", True), ("/JOKE@jokerbot", True), ("@JokerBot why?", True), ("why, @jokerbot?", True),
    ],
)  # fmt: skip
def test_in_a_group_it_answers_messages_that_name_it(text: str, answered: bool) -> None:
    with bot() as telegram:
        telegram.write(GROUP, text, user=7)
        telegram.settle()
        assert len(telegram.said(GROUP)) == answered
        assert telegram.drafts == []


def test_in_a_group_it_answers_replies_to_it_and_mentions_without_a_username(store: str) -> None:
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


def test_only_allowed_people_and_chats_are_answered() -> None:
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


def test_a_message_without_text_gets_a_kind_sentence_in_private_and_is_ignored_in_groups() -> None:
    sticker = {"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1, "is_animated": False, "is_video": False}
    with bot() as telegram:
        for chat in (7, GROUP):
            telegram.write(chat, None, sticker=sticker | {"type": "regular"})
            telegram.write(chat, None, new_chat_title="Ducks")
            telegram.write(chat, None, **PHOTO)
            telegram.write(chat, None, **VOICE)
            telegram.write(chat, None, location={"latitude": 1.0, "longitude": 2.0})
        telegram.settle()
        assert [said["text"] for said in telegram.said(7)] == [NO_STICKERS, NO_PICTURES, NO_SOUND, ONLY_TEXT]
        assert telegram.said(GROUP) == []


ANSWER = "Why did the duck stop?"
PHOTO: dict[str, Any] = {"photo": [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1}]}
VOICE: dict[str, Any] = {"voice": {"file_id": "a", "file_unique_id": "b", "duration": 1}}


def caption(text: str) -> dict[str, Any]:
    return {"caption": text, "caption_entities": entities(text)}


@pytest.mark.parametrize("shown", [PHOTO, VOICE], ids=["photo", "voice"])
def test_a_caption_is_text(shown: dict[str, Any], store: str) -> None:
    """The bot once said of a photo with a question under it that it could only read text."""
    with bot(feedback=store) as telegram:
        telegram.write(7, None, **shown, **caption("Why did the duck stop?"))
        telegram.write(7, None, **shown, **caption("/help"))
        telegram.write(GROUP, None, **shown, **caption("/joke@JokerBot"), user=8)
        telegram.write(GROUP, None, **shown, **caption("🦆🦆 @JokerBot why?"), user=8)
        telegram.write(GROUP, None, **shown, **caption("/joke@OtherBot why?"), user=8)
        telegram.settle()
        answer, overview = telegram.said(7)
        assert (answer["text"], answer["reply_to_message"]["caption"]) == (ANSWER, "Why did the duck stop?")
        assert overview["text"].startswith("Write to me")
        assert [said["text"] for said in telegram.said(GROUP)] == [SHOWN, ANSWER]
        press(telegram, answer, "Another")
        assert telegram.said(7)[-1]["text"] == ANSWER
    prompts = [prompt for (prompt,) in rows(store, "SELECT prompt FROM texts WHERE prompt LIKE '%?' ORDER BY created")]
    assert prompts == ["Why did the duck stop?", "Why did the duck stop?", "🦆🦆  why?", "Why did the duck stop?"]


def test_of_an_album_only_the_part_with_the_caption_is_answered() -> None:
    with bot() as telegram:
        for more in ({}, caption("Why?"), {}):
            telegram.write(7, None, media_group_id="1", **PHOTO, **more)
        telegram.settle()
        assert [said["text"] for said in telegram.said(7)] == [ANSWER]


def test_only_the_name_itself_is_taken_out_of_a_text(store: str) -> None:
    """It was once the first place that reads like the name."""
    me = {"id": 4242, "is_bot": True, "first_name": "Joe"}
    mention = {"type": "text_mention", "offset": 13, "length": 3, "user": me}
    with bot(feedback=store) as telegram:
        ask(telegram, "🦆 Joel or not Joe?", chat=GROUP, user=8, entities=[mention | {"offset": 15}])
        ask(telegram, "@JokerBotty or @JokerBot?", chat=GROUP, user=8)
    assert rows(store, "SELECT prompt FROM texts ORDER BY created") == [("🦆 Joel or not ?",), ("@JokerBotty or ?",)]


@pytest.fixture(scope="module")
def outbox() -> Outbox:
    return Outbox(open_client(Settings(telegram_token=TOKEN)), UpdateContext(1, 0.0))


PROSE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(before=PROSE, name=PROSE.filter(bool), after=PROSE, caption=st.booleans())
def test_what_is_left_of_a_text_is_all_but_the_name(
    outbox: Outbox, before: str, name: str, after: str, caption: bool
) -> None:
    """Telegram counts in UTF-16 code units, and a name may stand anywhere, more than once."""
    me = {"id": 4242, "is_bot": True, "first_name": "Joker"}
    mention = {"type": "text_mention", "offset": units(before), "length": units(name), "user": me}
    written = {"caption" if caption else "text": before + name + after, f"{'caption_' * caption}entities": [mention]}
    message = Message.de_json({"message_id": 1, "date": 1, "chat": {"id": GROUP, "type": "group"}} | written, None)
    read = asyncio.run(AddressReader(TOKEN).read(message, outbox))
    left = (before + after).strip()
    if read is not None and not read.command:
        assert read.text == left
    else:
        assert left.startswith("/")


def test_an_answer_stays_in_its_topic() -> None:
    with bot() as telegram:
        said = ask(telegram, "/joke@JokerBot", chat=GROUP, user=8, message_thread_id=3, is_topic_message=True)
        assert said["message_thread_id"] == 3
        press(telegram, said, "Another")
        assert telegram.said(GROUP)[-1]["message_thread_id"] == 3
        # In a group without topics, the number is that of a chain of replies, which cannot be written to.
        assert "message_thread_id" not in ask(telegram, "/help@JokerBot", chat=GROUP, user=8, message_thread_id=3)
        quote = {"text": "duck", "position": 0}
        assert ask(telegram, "Why that?", chat=GROUP, user=8, reply_to_message=said, quote=quote)["text"] == ANSWER


def test_a_person_who_blocked_the_bot_gets_nothing() -> None:
    with bot() as telegram:
        ask(telegram, "/joke")
        telegram.blocked.add(7)
        telegram.write(7, "/joke")
        telegram.settle()
        assert telegram.statuses == {200: 2}
        assert len(telegram.said(7)) == 1
