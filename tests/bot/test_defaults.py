"""The bot writes with the model's own defaults and tags. What a chat has chosen still wins."""

from __future__ import annotations

import re
from pathlib import Path

from app.engine.bundle import open_bundle
from app.engine.fake import SCRIPT, FakeEngine
from app.engine.onnx import OnnxEngine
from app.engine.profile import Profile, SamplingDefaults
from tests.bot.conftest import ask, bot, labels, press, rows
from tests.conftest import ROOT
from tests.fakes.listening_engine import ListeningEngine

TUNED = Profile(
    template="[USER] %\n[BOT] %", questions="qa", sampling=SamplingDefaults(temperature=0.9, length=50, top_p=0.8)
)


def test_messages_are_a_conversation_and_jokes_are_questions() -> None:
    """A greeting was put to the starter as a question, and the answer was gibberish."""
    engine = ListeningEngine(" Yes. \n [QUESTION] No", profile=TUNED)
    with bot(engine) as telegram:
        assert ask(telegram, "hi")["text"] == "Yes."
        assert ask(telegram, "/joke Why did the duck stop?")["text"] == "Yes."
        press(telegram, telegram.said(7)[-1], "Another")
        assert ask(telegram, "/joke")["text"] == "Yes."
        ask(telegram, "/chat")
        ask(telegram, "/joke Why?")
        assert ask(telegram, "/joke about cats")["text"] == "Cats Yes."
        press(telegram, telegram.said(7)[-1], "Another")
    question = "[QUESTION] Why did the duck stop?\n[ANSWER]"
    topic = "[QUESTION] Cats"
    assert engine.prompts == ["[USER] hi\n[BOT]", question, question, "[QUESTION]", "[USER] Why?\n[BOT]", topic, topic]


def test_the_models_defaults_hold_until_the_chat_has_chosen(store: str) -> None:
    """A default that no button has is still the one that is shown."""
    with bot(ListeningEngine(profile=TUNED), FakeEngine(name="other"), feedback=store) as telegram:
        said = ask(telegram, "/settings")
        assert labels(said) == ["calm", "normal", "✓ bold", "wild", "✓ short", "medium", "long", "very long"]
        assert said["text"].startswith("How I write: bold.")
        assert ask(telegram, "hi")["text"] == (SCRIPT * 2)[:50].strip()
        press(telegram, said, "medium")
        assert ask(telegram, "hi")["text"] == (SCRIPT * 3)[:100].strip()
        press(telegram, ask(telegram, "/model"), "other")
        assert labels(ask(telegram, "/settings"))[:4] == ["calm", "✓ normal", "bold", "wild"]
    kept = [settings for (settings,) in rows(store, "SELECT settings FROM texts ORDER BY created")]
    assert kept == ['{"temperature":0.9,"length":50}', '{"temperature":0.9,"length":100}']


def test_the_starter_shows_no_tags() -> None:
    """17 of 100 first replies once showed [ANSWER]."""
    with bot(OnnxEngine(open_bundle(Path(ROOT / "models/starter")), threads=1), telegram_rate=0) as telegram:
        for number, message in enumerate(["hi", "Tell me a joke.", "/joke", "/joke Why?"] * 3):
            said = ask(telegram, message, chat=7 + number)["text"]
            assert said
            assert not re.search(r"\[[A-Z]", said)
