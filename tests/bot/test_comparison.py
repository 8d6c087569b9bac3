"""The blind comparison: voters cannot tell who wrote a text."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.engine.fake import FakeEngine
from tests.bot.conftest import bot

LINE = '{"turns": ["Why do ducks fly?", "It is too far to walk."]}\n'


@pytest.fixture
def human(tmp_path: Path) -> Path:
    path = tmp_path / "human.jsonl"
    path.write_text(LINE, encoding="utf-8")
    return path


@pytest.mark.slow
def test_jokes_by_models_and_by_people_look_the_same(human: Path, store: str) -> None:
    engines = [
        FakeEngine(f" Q{name}\n[ANSWER] A{name}\n[QUESTION]", name=name, template="qa") for name in ("a", "b", "c")
    ]
    with bot(*engines, feedback=store, compare=f"a, b,{human}", telegram_rate=0) as telegram:
        for _ in range(30):
            telegram.write(7, "/joke")
        telegram.write(7, "/model")
        telegram.settle()
        *jokes, model = telegram.said(7)
        assert model["text"] == "Here the author of each text is chosen at random, so that the votes are fair."
        shown = {joke["text"] for joke in jokes}
        assert shown == {"Qa\n\nAa", "Qb\n\nAb", "Why do ducks fly?\n\nIt is too far to walk."}
        for joke in jokes:
            row = joke["reply_markup"]["inline_keyboard"][0]
            assert [button["text"] for button in row] == ["👍", "👎", "Another"]
            assert "human" not in str(joke)
            telegram.press(joke, telegram.button(joke, "👍"))
        telegram.settle()
        assert telegram.drafts == []
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
        found = connection.execute("SELECT DISTINCT generated_by, source FROM texts ORDER BY 1").fetchall()
        (votes,) = connection.execute("SELECT count(*) FROM votes").fetchone()
    assert (found, votes) == ([("a", "model"), ("b", "model"), ("human.jsonl", "human")], 30)


def test_a_question_is_answered_by_one_of_the_models(human: Path, store: str) -> None:
    with bot(FakeEngine("a", name="a"), FakeEngine("b", name="b"), feedback=store, compare=f"b,{human}") as telegram:
        for _ in range(5):
            telegram.write(7, "Why?")
        telegram.settle()
        assert {said["text"][:3] for said in telegram.said(7)} == {"bbb"}
