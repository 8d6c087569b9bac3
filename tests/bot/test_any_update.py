"""Any update, whole or odd: it is acknowledged, answered at most once, and never an error of the program."""

from __future__ import annotations

import copy
import inspect
import itertools
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from telegram import (
    CallbackQuery,
    Chat,
    ChosenInlineResult,
    InlineQuery,
    Message,
    MessageEntity,
    MessageReactionUpdated,
    Update,
    User,
)

from app.engine.fake import FakeEngine
from tests.bot.conftest import GROUP, JOKE, SECRET_HEADER, bot
from tests.fakes.bot_api import BOT
from tests.fakes.bot_api_fields import entities
from tests.fakes.telegram import Telegram

NUMBERS = itertools.count(10**6)
PERSON = {"id": 7, "is_bot": False, "first_name": "Ann"}
CHATS = {
    7: {"id": 7, "type": "private", "first_name": "Ann"},
    GROUP: {"id": GROUP, "type": "supergroup", "title": "Group", "is_forum": True},
    -200: {"id": -200, "type": "channel", "title": "Channel"},
}
PHOTO = [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1}]
STICKER = {
    "file_id": "a",
    "file_unique_id": "b",
    "width": 1,
    "height": 1,
    "is_animated": False,
    "is_video": False,
    "type": "regular",
}
ANONYMOUS = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
TEXTS = [
    "/joke", "/joke@JokerBot", "/JOKE@jokerbot why", "/start x", "/stats", "/settings", "/model", "/chat", "/dance", "/", "//",
    "/@", "/play", "/top", "/duet x", "/joke about cats", "why?", "🦆🦆 @JokerBot why 🦆?", "@JokerBot", "@joker", " ",
    "\u202e/joke", "a" * 5000, "\ufeff", "/joke@OtherBot", "/joke \ud800",
]  # fmt: skip
DATA = [
    "joke", "again", "talk", "help", "begin", "play", "next", "stop", "guess_model:x", "guess_human:", "up:x", "down:", "up",
    "model:x", "length:50", "temperature:0.7", "", ":", "😀", "x" * 64,
]  # fmt: skip
EXTRAS: list[dict[str, Any]] = [
    {}, {"sender_chat": CHATS[GROUP], "from": ANONYMOUS}, {"sender_chat": CHATS[-200]}, {"from": BOT},
    {"message_thread_id": 3, "is_topic_message": True}, {"message_thread_id": 3}, {"media_group_id": "1"}, {"photo": PHOTO},
    {"sticker": STICKER}, {"new_chat_title": "x"}, {"new_chat_members": [PERSON, BOT]}, {"left_chat_member": BOT},
    {"dice": {"emoji": "🎲", "value": 3}}, {"location": {"latitude": 1.0, "longitude": 2.0}}, {"via_bot": BOT},
    {"quote": {"text": "why", "position": 0}}, {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "B"}},
    {"is_automatic_forward": True, "sender_chat": CHATS[-200]}, {"business_connection_id": "b"}, {"edit_date": 2},
    {"contact": {"phone_number": "1", "first_name": "B"}},
    {"reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "b"}]]}},
]  # fmt: skip
FIELDS = sorted(
    {
        name
        for kind in (
            Update,
            Message,
            CallbackQuery,
            Chat,
            User,
            MessageEntity,
            InlineQuery,
            ChosenInlineResult,
            MessageReactionUpdated,
        )
        for name in inspect.signature(kind).parameters
    }
)
OTHERS = ["edited_message", "message_reaction", "inline_query", "chosen_inline_result"]
KINDS = sorted(set(inspect.signature(Update).parameters) - {"update_id", "api_kwargs"})
ODD = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([2**31, 2**63, -(2**63), 10**30]), st.text(max_size=5), st.sampled_from(TEXTS), st.just("\udc00"),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)),
    max_leaves=4,
)  # fmt: skip


@st.composite
def messages(draw: st.DrawFn, depth: int = 1) -> dict[str, Any]:
    chat = draw(st.sampled_from(list(CHATS.values())))
    message: dict[str, Any] = {
        "message_id": draw(st.integers(1, 9)),
        "date": draw(st.integers(0, 2)),
        "chat": chat,
        "from": PERSON,
    }
    if kind := draw(st.sampled_from(["", "text", "caption"])):
        text = draw(st.sampled_from(TEXTS))
        name = "entities" if kind == "text" else "caption_entities"
        message |= {kind: text, name: entities(text)} | ({} if kind == "text" else {"photo": PHOTO})
    for extra in draw(st.lists(st.sampled_from(EXTRAS), max_size=2)):
        message |= extra
    if depth and draw(st.booleans()):
        message["reply_to_message"] = draw(messages(depth - 1)) | draw(st.sampled_from([{}, {"from": BOT}]))
    return message


@st.composite
def reactions(draw: st.DrawFn) -> dict[str, Any]:
    kinds = [
        {"type": "emoji", "emoji": "👍"},
        {"type": "emoji", "emoji": "😱"},
        {"type": "custom_emoji", "custom_emoji_id": "1"},
        {"type": "paid"},
    ]
    chat = draw(st.sampled_from(list(CHATS.values())))
    who = draw(st.sampled_from([{"user": PERSON}, {"actor_chat": CHATS[-200]}, {}]))
    new = draw(st.lists(st.sampled_from(kinds), max_size=3))
    return {
        "chat": chat,
        "message_id": draw(st.integers(1, 9)),
        "date": 1,
        "old_reaction": [],
        "new_reaction": new,
    } | who


@st.composite
def updates(draw: st.DrawFn) -> dict[str, Any]:
    """An update as Telegram sends it, of which up to three parts are then dropped or replaced by something odd."""
    usual = st.sampled_from(["message", "message", "callback_query", *OTHERS])
    kind = draw(st.one_of(usual, usual, usual, st.sampled_from(KINDS)))
    if kind == "callback_query":
        query = {"id": "1", "from": PERSON, "chat_instance": "1", "data": draw(st.sampled_from(DATA))}
        content: Any = query | draw(
            st.sampled_from([{}, {"inline_message_id": "1"}]) | st.builds(lambda m: {"message": m}, messages())
        )
    elif kind == "message_reaction":
        content = draw(reactions())
    elif kind in ("inline_query", "chosen_inline_result"):
        text = draw(st.sampled_from(TEXTS))
        content = {"id": "1", "from": PERSON, "query": text, "offset": ""}
        if kind == "chosen_inline_result":
            content = {"result_id": text, "from": PERSON, "query": text, "inline_message_id": "1"}
    else:
        content = draw(messages())
    update = copy.deepcopy({"update_id": next(NUMBERS), kind: content})
    for _ in range(draw(st.integers(0, 3))):
        where = draw(st.sampled_from(places(update)))
        name = draw(st.sampled_from([*where, *FIELDS[:3]]) | st.sampled_from(FIELDS)) if isinstance(where, dict) else 0
        if isinstance(where, dict) and draw(st.booleans()):
            where.pop(name, None)
        elif isinstance(where, dict) or where:
            where[name] = draw(ODD)
    return update


def places(value: Any) -> list[Any]:
    """All objects and lists within a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict | list) else []) + [place for part in inside for place in places(part)]


@pytest.fixture(scope="module")
def telegram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telegram]:
    store = f"sqlite:///{tmp_path_factory.mktemp('votes')}/f.db"
    with (
        pytest.MonkeyPatch.context() as patch,
        bot(FakeEngine(JOKE, template="qa"), feedback=store, telegram_rate=0) as api,
    ):
        patch.setattr("app.bot.outbox.PAUSES", (0.01, 0.01))
        patch.setattr("app.bot.inline_mode.PAUSE", 0.001)
        for chat in CHATS:
            api.write(chat, "/help@JokerBot")
        for chat, number in itertools.product(CHATS, range(1, 10)):
            # Questions with answers, for edits and reactions.
            asked = {
                "message_id": number,
                "date": 1,
                "chat": CHATS[chat],
                "from": PERSON,
                "text": "/joke@JokerBot why?",
            }
            api.deliver({"message": asked | {"entities": entities("/joke@JokerBot why?")}})
        api.settle()
        api._queries["1"] = 7
        yield api


@given(update=updates())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_update_is_acknowledged_and_answered_at_most_once(
    telegram: Telegram, caplog: pytest.LogCaptureFixture, update: dict[str, Any]
) -> None:
    caplog.clear()
    reaction = update.get("message_reaction")
    if isinstance(reaction, dict) and reaction.get("message_id") in range(1, 10):
        # The bot's answers have numbers of their own.
        reaction["message_id"] = telegram.said(7)[reaction["message_id"]]["message_id"]
    before = len(telegram.messages)
    reply = httpx.post(telegram.webhook["url"], content=json.dumps(update), headers=SECRET_HEADER)
    assert (reply.status_code, reply.content) == (200, b"")
    assert len(telegram.messages) - before <= 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
