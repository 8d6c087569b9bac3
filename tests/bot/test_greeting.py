"""/start: who this is, and three buttons to begin with."""

from __future__ import annotations

import pytest

from app.bot.strings import CHAT_STARTED, STRANGE_LETTERS
from app.engine.bundle import open_bundle
from app.engine.fake import FakeEngine
from app.engine.onnx import OnnxEngine
from app.engine.profile import Profile, SamplingDefaults
from tests.bot.conftest import SHOWN, ask, bot, labels, press
from tests.conftest import ROOT

STARTER = Profile(title="Small jokes", about="It tells <b>jokes</b>.", template="[USER] %\n[BOT] %", questions="qa")
JOKE = " Why did the duck stop?\n[ANSWER] It had a bill to pay.\n[QUESTION]"


def test_the_first_message_says_who_this_is_and_what_to_do() -> None:
    """It was once a list of commands, without a name."""
    with bot(FakeEngine(JOKE, profile=STARTER)) as telegram:
        said = ask(telegram, "/start")
        assert said["text"] == "Small jokes\nIt tells <b>jokes</b>.\n\nWrite to me and I will answer."
        assert labels(said) == ["Tell me a joke", "Let's talk", "What can you do?"]
        press(telegram, said, "Tell me a joke")
        press(telegram, said, "Let's talk")
        press(telegram, said, "What can you do?")
        joke, talk, overview = (each["text"] for each in telegram.said(7)[1:])
        assert (joke, talk) == (SHOWN, CHAT_STARTED)
        assert overview.startswith("Write to me and I will answer.\n\n/joke – ")


@pytest.mark.parametrize(
    ("profile", "labelled"),
    [
        (Profile(), ["Write something", "What can you do?"]),
        (Profile(template="chat"), ["Write something", "Let's talk", "What can you do?"]),
        (Profile(beginnings=["Once"]), ["Write something", "Go on with a beginning", "What can you do?"]),
    ],
)
def test_the_buttons_fit_the_template(profile: Profile, labelled: list[str]) -> None:
    with bot(FakeEngine(profile=profile)) as telegram:
        said = ask(telegram, "/start")
    assert labels(said) == labelled
    assert said["text"].startswith("A language model\n\nWrite ")


def test_a_beginning_of_the_manifest_is_gone_on_with() -> None:
    with bot(
        FakeEngine(" upon a time.", profile=Profile(beginnings=["Once"], sampling=SamplingDefaults(length=13)))
    ) as telegram:
        said = ask(telegram, "/start")
        press(telegram, said, "beginning")
        press(telegram, telegram.said(7)[-1], "Another")
        assert [each["text"] for each in telegram.said(7)[1:]] == ["Once upon a time.", "upon a time."]
        assert "reply_to_message" not in telegram.said(7)[1]


def test_once_it_says_that_it_does_not_know_somebodys_letters() -> None:
    """It once answered Russian with English nonsense, and said nothing of it. The starter has no Cyrillic letters."""
    with bot(OnnxEngine(open_bundle(ROOT / "models/starter"), threads=1)) as telegram:
        texts = [ask(telegram, text)["text"] for text in ("Café?", "Как дела?", "Почему?")]
    assert [text.startswith(f"{STRANGE_LETTERS}\n\n") for text in texts] == [False, True, False]
