"""/play: guess who wrote a text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.bot.strings import EXPIRED_BUTTON, NO_GAME, NO_TEXT_TO_GUESS
from app.engine.fake import FakeEngine
from tests.bot.conftest import GROUP, ask, bot, labels, press, rows
from tests.fakes.telegram import Telegram

BUTTONS = ["🤖 A model", "🧑 A person", "Next"]


@pytest.fixture
def game(tmp_path: Path, store: str) -> Iterator[Telegram]:
    people = tmp_path / "people.txt"
    people.write_text("Only a person writes this.\n", encoding="utf-8")
    with bot(FakeEngine("By a model. "), feedback=store, compare=f"fake,{people}", telegram_rate=0) as telegram:
        yield telegram


@pytest.mark.slow
def test_a_round_is_ten_texts_and_ends_with_a_score(game: Telegram, store: str) -> None:
    said = ask(game, "/play")
    for number in range(1, 11):
        assert said["text"].startswith(f"Text {number} of 10\n\n")
        assert said["text"].endswith("\n\nWho wrote it?")
        assert labels(said) == BUTTONS
        press(game, said, "A person")
        right = "Only a person" in said["text"]
        now = game.now(said)
        assert "✓ Right: a person wrote it." in now["text"] if right else "✗ No: a model wrote it." in now["text"]
        if number < 10:
            assert labels(now) == ["Next"]
            press(game, now, "Next")
            said = game.said(7)[-1]
    (right,) = rows(store, "SELECT count(*) FROM guesses JOIN texts ON id = text_id WHERE guessed = source")[0]
    assert f"You told {right} of 10 apart, where chance comes to 5." in game.now(said)["text"]
    press(game, game.now(said), "Play again")
    assert game.said(7)[-1]["text"].startswith("Text 1 of 10")
    assert rows(store, "SELECT count(*), count(DISTINCT voter), min(channel) FROM guesses") == [(10, 1, "telegram")]


def test_a_second_guess_does_not_count(game: Telegram, store: str) -> None:
    said = ask(game, "/play")
    press(game, said, "A model")
    game.press(said, game.button(said, "Next").replace("next", f"guess_human:{id_of(said)}"))
    game.press(said, "guess_model:unheard_of")
    game.settle()
    assert game.notices[-1]["text"] == EXPIRED_BUTTON
    press(game, game.now(said), "Next")
    assert game.said(7)[-1]["text"].startswith("Text 2 of 10")
    assert rows(store, "SELECT guessed FROM guesses") == [("model",)]


def id_of(message: dict[str, object]) -> str:
    return str(message["reply_markup"]["inline_keyboard"][0][0]["callback_data"]).partition(":")[2]  # type: ignore[index]


def test_in_a_group_everybody_guesses_and_only_who_guesses_reads_the_answer(game: Telegram, store: str) -> None:
    said = ask(game, "/play@JokerBot", chat=GROUP, user=1)
    assert not said["text"].startswith("Text")
    for user, guess in ((1, "A model"), (2, "A person"), (2, "A model")):
        press(game, said, guess, user=user)
    assert game.now(said) == said
    assert all(notice["show_alert"] == "true" and "wrote it." in notice["text"] for notice in game.notices[-3:])
    press(game, said, "Next", user=3)
    assert len(game.said(GROUP)) == 2
    assert rows(store, "SELECT count(*) FROM guesses") == [(2,)]


def test_where_there_is_nothing_to_guess_it_says_so(store: str, tmp_path: Path) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/play")
        assert said["text"] == NO_GAME
        telegram.press(said, "guess_model:x")
        telegram.settle()
        assert telegram.notices[-1]["text"] == EXPIRED_BUTTON
    (tmp_path / "people.txt").write_text("One.\n", encoding="utf-8")
    with bot(FakeEngine(""), feedback=store, compare=f"fake,{tmp_path}/people.txt") as telegram:
        assert ask(telegram, "/play")["text"] == NO_TEXT_TO_GUESS
