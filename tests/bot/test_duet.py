"""/duet: two models talk to each other. /model: who they are."""

from __future__ import annotations

import time

import pytest

from app.bot.strings import DUET_STOPPED, EXPIRED_BUTTON, MODEL_HIDDEN, NEEDS_TWO_MODELS, NOTHING_WRITTEN
from app.engine.fake import FakeEngine
from app.engine.profile import Profile
from tests.bot.conftest import GROUP, ask, bot, labels, press
from tests.fakes.listening_engine import ListeningEngine


def talker(name: str, script: str, title: str = "", about: str = "", pause: float = 0.0) -> ListeningEngine:
    profile = Profile(template="[USER] %\n[BOT] %", title=title, about=about)
    return ListeningEngine(f" {script}\n[USER]", name=name, profile=profile, seconds_per_token=pause)


def test_two_models_take_six_turns_in_one_message() -> None:
    ann, bob = talker("ann", "Hi.", "Ann"), talker("bob", "Yes!")
    with bot(ann, bob) as telegram:
        said = ask(telegram, "/duet about ducks")
        assert len(telegram.said(7)) == 1
        assert said["text"] == "\n\n".join(["Ann: Hi.", "bob: Yes!"] * 3)
        assert labels(said) == []
    assert ann.prompts[:2] == [
        "[USER] about ducks\n[BOT]",
        "[USER] about ducks\n[BOT] Hi.\n[USER] Yes!\n[BOT]",
    ]
    assert bob.prompts[:2] == ["[USER] Hi.\n[BOT]", "[USER] Hi.\n[BOT] Yes!\n[USER] Hi.\n[BOT]"]


def test_a_duet_can_be_stopped_by_a_press_that_waits_for_nothing() -> None:
    with bot(talker("ann", "Hi." * 20, pause=0.005), talker("bob", "Yes!" * 14, pause=0.005)) as telegram:
        ask(telegram, "/help")
        telegram.write(7, "/duet")
        until = time.monotonic() + 20
        while len(telegram.said(7)) < 2 and time.monotonic() < until:
            time.sleep(0.005)
        said = telegram.said(7)[-1]
        assert labels(said) == ["Stop"]
        # Telegram delivers presses beside the messages of a chat.
        telegram.deliver({"callback_query": stop(telegram, said)}, chat=-1)
        telegram.settle()
        assert telegram.now(said)["text"].count(": ") < 6
        assert labels(telegram.now(said)) == []
        telegram.press(said, "stop")
        telegram.settle()
        assert [notice["text"] for notice in telegram.notices] == [DUET_STOPPED, EXPIRED_BUTTON]


def stop(telegram: object, said: dict[str, object]) -> dict[str, object]:
    telegram._queries["9"] = 7  # type: ignore[attr-defined]
    person = {"id": 7, "is_bot": False, "first_name": "Ann"}
    return {"id": "9", "from": person, "chat_instance": "1", "data": "stop", "message": said}


@pytest.mark.parametrize(
    ("engines", "compare", "said"),
    [
        ([talker("ann", "Hi.")], "", NEEDS_TWO_MODELS),
        ([talker("ann", "Hi."), FakeEngine(name="text")], "", NEEDS_TWO_MODELS),
        ([talker("ann", "Hi."), talker("bob", "Yes!")], "ann,bob", MODEL_HIDDEN),
        (
            [FakeEngine("", name="ann", template="chat"), FakeEngine("", name="bob", template="chat")],
            "",
            NOTHING_WRITTEN,
        ),
    ],
)
def test_who_cannot_talk_says_so(engines: list[FakeEngine], compare: str, said: str) -> None:
    with bot(*engines, compare=compare) as telegram:
        assert ask(telegram, "/duet")["text"] == said


def test_a_duet_counts_as_its_turns() -> None:
    with bot(talker("ann", "Hi."), talker("bob", "Yes!"), telegram_rate=8) as telegram:
        ask(telegram, "/duet@JokerBot", chat=GROUP, user=7)
        said = [ask(telegram, "Hello")["text"].startswith("You have reached") for _ in range(3)]
        assert said == [False, False, True]


def test_models_are_shown_with_title_and_line() -> None:
    one = talker("one", "Hi.", "Small jokes", "It jokes.")
    others = [FakeEngine(name=name, profile=Profile(title="Twin")) for name in ("two", "three")]
    with bot(one, *others) as telegram:
        said = ask(telegram, "/model")
        assert said["text"] == "Which model should write?\n\nSmall jokes\nIt jokes.\n\nTwin\n\nTwin"
        assert labels(said) == ["✓ Small jokes", "two", "three"]
        press(telegram, said, "three")
        assert labels(telegram.now(said)) == ["Small jokes", "two", "✓ three"]
        assert telegram.now(said)["text"] == said["text"]
