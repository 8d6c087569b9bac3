"""The blind comparison: voters cannot tell who wrote a text."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.blind.comparison import read_comparison
from app.engine.fake import FakeEngine
from app.errors import SettingError
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


def test_a_jsonl_file_is_read_as_prepare_reads_it(tmp_path: Path) -> None:
    lines = [
        LINE,
        "\n",
        '{"body": " A text. ", "meta": {"score": 3}}\n',
        '{"turns": ["One."]}\n',
        '{"turns": ["1", "2", "3"]}',
    ]
    (tmp_path / "people.jsonl").write_text("".join(lines), encoding="utf-8-sig")
    comparison = read_comparison(f"a,b,{tmp_path}/people.jsonl", ["a", "b"])
    told = {joke.shown for _ in range(50) for joke in comparison.pick().jokes}
    assert told == {"Why do ducks fly?\n\nIt is too far to walk.", "A text.", "One.", "1\n\n2\n3"}


def test_a_txt_file_has_one_text_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("One 🦆.\n\n  Two. \n", encoding="utf-8")
    comparison = read_comparison(f"a,{tmp_path}/people.txt", ["a"])
    told = {joke.shown for _ in range(50) for joke in comparison.pick().jokes}
    assert told == {"One 🦆.", "Two."}
    assert comparison.pick_model() == "a"
    assert not read_comparison("", ["a"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "which holds no text"),
        ("{", 'line 1 of .+ should be {"turns": .+}:'),
        ('\n{"turns": [3]}', "line 2 of .+ should be"),
        ('{"turns": [" ", ""]}', "line 1 of .+ holds no text"),
        ("{}", "line 1 of .+ holds no text"),
        ('{"body": "' + "x" * 4096 + '"}', "line 1 of .+ is too long for a message: shorten it to 4000 UTF-16 units"),
    ],
)
def test_a_file_with_errors_stops_the_start(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError, match=said):
        read_comparison(f"a,{path}", ["a"])


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ("a", "should name two or more"),
        ("a,a", "which names something twice"),
        ("a,b", r"COMPARE names 'b', which is neither a model served here \(a\) nor a \.jsonl or \.txt file"),
        ("a,no.txt", r"COMPARE names no\.txt, which cannot be read \(No such file or directory\)"),
    ],
)
def test_an_impossible_comparison_stops_the_start(compare: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        read_comparison(compare, ["a"])
