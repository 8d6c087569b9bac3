"""Whom the bot answers: everybody in private, only those who address it in groups, within the allow list and rate limit."""

from __future__ import annotations

import pytest

from tests.bot.conftest import GROUP, SHOWN, ask, bot, press, rows


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


def test_texts_are_rate_limited_for_each_person() -> None:
    with bot(telegram_rate=2) as telegram:
        joke = ask(telegram, "/joke")
        ask(telegram, "Why?")
        assert ask(telegram, "Why?")["text"].startswith("You have reached the limit for now. Please wait ")
        press(telegram, joke, "Another")
        assert telegram.notices[-1]["text"].startswith("You have reached the limit for now.")
        assert ask(telegram, "/help")["text"].startswith("Write to me")
        assert ask(telegram, "/joke", chat=8)["text"] == SHOWN


def test_a_message_without_text_is_refused_in_private_and_ignored_in_groups() -> None:
    sticker = {"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1, "is_animated": False, "is_video": False}
    with bot() as telegram:
        for chat in (7, GROUP):
            telegram.write(chat, None, sticker=sticker | {"type": "regular"})
            telegram.write(chat, None, new_chat_title="Ducks")
        telegram.settle()
        assert [said["text"] for said in telegram.said(7)] == ["I can only read text."]
        assert telegram.said(GROUP) == []


def test_a_person_who_blocked_the_bot_gets_nothing() -> None:
    with bot() as telegram:
        ask(telegram, "/joke")
        telegram.blocked.add(7)
        telegram.write(7, "/joke")
        telegram.settle()
        assert telegram.statuses == {200: 2}
        assert len(telegram.said(7)) == 1
