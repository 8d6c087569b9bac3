"""The game of telling models from people: nothing but the text tells who wrote it, and each guess is kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.blind.comparison import read_comparison
from app.blind.guessing_game import GuessingGame, open_game, walk
from app.engine.fake import FakeEngine
from app.engine.generation_queue import GenerationQueue
from app.errors import NothingWritten, QueueFull, UnknownText
from app.feedback.sqlite_store import SqliteStore
from app.feedback.store import new_id
from app.models import Models

PEOPLE = '{"turns": ["Why do ducks fly?", "It’s too far to  walk."]}\n{"body": "Two ducks\\nmeet. One says “quack”…"}\n'
ANSWER = FakeEngine(" It had a bill to pay.\n[QUESTION] And", name="answers", template="qa")
SILENT = FakeEngine("", name="silent")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "people.jsonl").write_text(PEOPLE, encoding="utf-8")
    return tmp_path


def play(
    path: Path, work: Callable[[GuessingGame], Awaitable[Any]], engine: FakeEngine = ANSWER, limit: int = 9
) -> Any:
    async def main() -> Any:
        store, queue = SqliteStore(str(path / "feedback.db")), GenerationQueue(queue_limit=limit)
        models = Models([engine])
        comparison = read_comparison(f"{engine.name},{path}/people.jsonl", models.names)
        game = open_game(models, queue, store, comparison, max_length=1000)
        assert game is not None
        try:
            return await work(game)
        finally:
            queue.close()
            await store.close()

    return asyncio.run(main())


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path / "feedback.db")) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.slow
def test_texts_of_both_look_alike_and_half_of_them_are_a_models(path: Path) -> None:
    async def work(game: GuessingGame) -> Counter[Any]:
        drawn = [await game.draw(new_id(), "anna", number, "web") for number in range(120)]
        judged = [await game.judge(text.id, "anna", "model", "web") for text in drawn]
        assert all(judgement.right == (judgement.source == "model") for judgement in judged)
        return Counter(
            (text.question, text.text, judgement.generated_by) for text, judgement in zip(drawn, judged, strict=True)
        )

    found = play(path, work)
    assert set(found) == {
        ("Why do ducks fly?", "It's too far to walk.", "people.jsonl"),
        ("Why do ducks fly?", "It had a bill to pay.", "answers"),
        ("", 'Two ducks meet. One says "quack"...', "people.jsonl"),
        ("", "It had a bill to pay.", "answers"),
    }
    assert 36 < sum(count for (*_, author), count in found.items() if author == "answers") < 84


@pytest.mark.slow
def test_a_model_that_never_ends_writes_as_much_as_people(path: Path) -> None:
    async def work(game: GuessingGame) -> set[str]:
        return {(await game.draw(new_id(), "anna", 0, "web")).text for _ in range(20)}

    found = play(path, work, FakeEngine("The duck walks on. ", name="endless"))
    assert found in (
        {"It's too far to walk.", "The duck walks on. The duck walks on."},
        {'Two ducks meet. One says "quack"...', "The duck walks on. The duck walks on."},
    )


def test_a_guess_is_kept_before_the_author_is_told_and_the_first_counts(path: Path) -> None:
    async def work(game: GuessingGame) -> None:
        text = await game.draw("t", "anna", 0, "web")
        assert text.id == "t"
        for guessed in ("human", "model"):
            await game.judge("t", "anna", guessed, "web")
        await game.judge("t", "otto", "model", "telegram")
        with pytest.raises(UnknownText, match="there is no such text to guess: ask for another one"):
            await game.judge("never shown", "anna", "human", "web")

    play(path, work)
    found = rows(path, "SELECT text_id, voter, guessed, channel FROM guesses ORDER BY voter")
    assert found == [("t", "anna", "human", "web"), ("t", "otto", "model", "telegram")]


def test_another_container_can_judge_what_one_has_shown(path: Path) -> None:
    play(path, lambda game: game.draw("t", "anna", None, "web"))
    assert play(path, lambda game: game.judge("t", "anna", "model", "web")).source in ("model", "human")


def test_of_many_texts_the_store_remembers_those_that_memory_does_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.blind.guessing_game.REMEMBERED", 2)

    async def work(game: GuessingGame) -> None:
        drawn = [await game.draw(new_id(), "anna", number, "web") for number in range(6)]
        for text in drawn:
            told = await game.judge(text.id, "anna", "model", "web")
            assert (told.generated_by == "answers") == (text.text == "It had a bill to pay.")

    play(path, work)
    assert rows(path, "SELECT count(*) FROM guesses") == [(6,)]


def test_a_full_queue_does_not_tell_who_would_have_written(path: Path) -> None:
    """A person's text needs no model, so only theirs once came through: the model writes in any case."""

    async def work(game: GuessingGame) -> None:
        with pytest.raises(QueueFull):
            await asyncio.gather(*(game.draw(new_id(), "anna", number, "web") for number in range(40)))

    play(path, work, limit=0)


def test_a_model_that_writes_nothing_is_reported_and_nothing_is_shown(path: Path) -> None:
    async def work(game: GuessingGame) -> None:
        for number in range(8):
            with pytest.raises(NothingWritten, match="model 'silent' wrote nothing: try again"):
                await game.draw(new_id(), "anna", number, "web")

    play(path, work, SILENT)


@pytest.mark.parametrize("count", [1, 2, 7, 10, 100])
def test_no_text_comes_twice_until_all_have_come(count: int) -> None:
    for player in ("anna", "otto"):
        assert len({walk(player, number, count) for number in range(count)}) == count
    assert {walk("anna", None, count) for _ in range(2000)} == set(range(count))
