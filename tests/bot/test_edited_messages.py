"""An edited message is answered anew: the answer is edited."""

from __future__ import annotations

import time

import pytest

from app.bot.chat_state import ANSWERS
from app.bot.strings import NEW_CONVERSATION, NOTHING_WRITTEN
from app.engine.fake import FakeEngine
from app.engine.profile import Profile, SamplingDefaults
from tests.bot.conftest import GROUP, SHOWN, Failing, ask, bot, labels, press, rows
from tests.bot.test_answers import turns
from tests.fakes.bot_api import Fault
from tests.fakes.listening_engine import ListeningEngine


@pytest.mark.parametrize("address", ["", "sqlite:///{}/f.db"])
def test_an_edited_question_is_answered_by_an_edit(address: str, tmp_path: object) -> None:
    """It once changed nothing."""
    engine = ListeningEngine(" Yes.\n[QUESTION]", template="qa")
    with bot(engine, feedback=address.format(tmp_path)) as telegram:
        question = telegram.write(7, "Why?")
        telegram.settle()
        telegram.edit(question, "Why not?")
        telegram.edit(question, "Why not?", edit_date=9)
        telegram.settle()
        (said,) = telegram.said(7)
        assert (said["text"], said["message_id"]) == ("Yes.", telegram.said(7)[0]["message_id"])
        assert engine.prompts == ["[QUESTION] Why?\n[ANSWER]", "[QUESTION] Why not?\n[ANSWER]"]


def test_votes_stay_with_the_text_that_was_voted_on(store: str) -> None:
    with bot(feedback=store) as telegram:
        question = telegram.write(GROUP, "@JokerBot why?", user=1)
        telegram.settle()
        (old,) = telegram.said(GROUP)
        press(telegram, old, "👍", user=1)
        telegram.edit(question, "@JokerBot why not?")
        telegram.settle()
        (new,) = telegram.said(GROUP)
        assert labels(new) == ["👍", "👎", "Another"]
        # A press on the old button that was still under way counts for the old text, and the buttons stay the new text's.
        telegram.press(old, telegram.button({**old, **new}, "👎").replace(id_of(new), id_of(old)), user=2)
        telegram.settle()
        assert telegram.now(new)["reply_markup"] == new["reply_markup"]
        press(telegram, new, "👎", user=1)
    counted = rows(store, "SELECT prompt, value FROM votes JOIN texts ON id = text_id ORDER BY at")
    assert counted == [("why?", 1), ("why?", -1), ("why not?", -1)]


def id_of(message: dict[str, object]) -> str:
    return str(message["reply_markup"]["inline_keyboard"][0][0]["callback_data"]).partition(":")[2]  # type: ignore[index]


def test_what_was_not_answered_or_asks_for_no_text_stays(store: str) -> None:
    with bot(feedback=store, telegram_rate=0) as telegram:
        unheard = telegram.write(GROUP, "Why?", user=1)
        asked, first = telegram.write(7, "Why?"), telegram.write(7, "/help")
        telegram.settle()
        before = telegram.said(7)
        telegram.edit(unheard, "@JokerBot why?")
        telegram.edit(asked, "/help")
        telegram.edit(first, "Why?")
        telegram.settle()
        assert (telegram.said(7), telegram.said(GROUP)) == (before, [])
        for _ in range(ANSWERS):
            telegram.write(7, "/joke")
        telegram.edit(asked, "Too old?")
        telegram.settle()
        assert telegram.now(before[0]) == before[0]
        assert telegram.statuses.keys() == {200}


def test_a_joke_becomes_an_answer_and_the_latest_answer_is_the_one_that_changes() -> None:
    with bot() as telegram:
        asked = telegram.write(7, "/joke about cats")
        telegram.settle()
        press(telegram, telegram.said(7)[0], "Another")
        telegram.edit(asked, "/joke Why did the duck stop?")
        telegram.settle()
        first, second = telegram.said(7)
        assert (first["text"], second["text"]) == (f"Cats {SHOWN}", "Why did the duck stop?")


def test_an_edited_turn_takes_its_place_in_the_conversation() -> None:
    engine = ListeningEngine("Yes.", profile=Profile(template="chat", sampling=SamplingDefaults(length=10)))
    with bot(engine) as telegram:
        ask(telegram, "/chat")
        first = telegram.write(7, "Hello")
        telegram.settle()
        answer = telegram.said(7)[-1]["text"]
        press(telegram, ask(telegram, "How are you?"), "Another")
        telegram.edit(first, "Good evening")
        telegram.settle()
        ask(telegram, "Fine")
        telegram.edit(first, "/joke about cats")
        telegram.settle()
        ask(telegram, "Good")
    asked = ["Good evening", answer, "How are you?", answer]
    assert engine.heard[3:5] == [turns(engine, "Good evening"), turns(engine, *asked, "Fine")]
    assert engine.heard[6] == turns(engine, *asked[2:], "Fine", answer, "Good")


def test_an_edit_that_could_not_be_made_is_tried_again(store: str, short_pauses: None) -> None:
    with bot(feedback=store) as telegram:
        asked = telegram.write(7, "Why?")
        telegram.settle()
        telegram.fault = Failing("editMessageText", Fault(status=502), 4)
        telegram.edit(asked, "Why not?")
        telegram.settle()
        assert telegram.statuses == {200: 2, 503: 1}
        press(telegram, telegram.said(7)[0], "👍")
    assert rows(store, "SELECT prompt FROM votes JOIN texts ON id = text_id") == [("Why not?",)]


def test_edits_are_limited_like_other_texts() -> None:
    with bot(FakeEngine(""), telegram_rate=2) as telegram:
        asked = telegram.write(7, "Why?")
        telegram.write(7, "What?")
        telegram.edit(asked, "Where?")
        telegram.settle()
        # Nothing was written, so there is nothing to write anew.
        assert [said["text"] for said in telegram.said(7)] == [NOTHING_WRITTEN] * 2
    with bot(telegram_rate=1) as telegram:
        asked = telegram.write(7, "Why?")
        telegram.edit(asked, "Where?")
        telegram.settle()
        assert telegram.said(7)[-1]["text"].startswith("You have reached the limit")


def test_a_conversation_is_over_after_half_an_hour_of_silence(store: str) -> None:
    """It once went on as if nothing had been."""
    engine = ListeningEngine("Yes.", template="chat")
    now = int(time.time())
    with bot(engine, feedback=store) as telegram:
        ask(telegram, "/chat")
        first = ask(telegram, "Hello", date=now)["text"]
        assert ask(telegram, "Still there?", date=now + 1800)["text"] == first
        note = ask(telegram, "Still?", date=now + 3601)
        assert note["text"] == f"{NEW_CONVERSATION}\n\n{first}"[:4096]
        assert note["entities"] == [{"type": "italic", "offset": 0, "length": len(NEW_CONVERSATION)}]
        assert ask(telegram, "Good.", date=now + 3700)["text"] == first
    said = ["Hello", first, "Still there?", first, "Still?", first, "Good."]
    assert engine.heard == [turns(engine, *part) for part in (said[:1], said[:3], said[4:5], said[4:])]
