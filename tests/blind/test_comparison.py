"""What COMPARE names: models, and files of texts by people, or one sentence that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.blind.comparison import LONGEST, read_comparison
from app.bot.message_limits import LIMIT
from app.errors import SettingError

LINE = '{"turns": ["Why do ducks fly?", "It is too far to walk."]}\n'


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


def test_each_text_fits_into_a_message_of_telegram() -> None:
    assert LONGEST <= LIMIT


def test_models_and_files_of_people_are_told_apart(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("A text.", encoding="utf-8")
    comparison = read_comparison(f"b,{tmp_path}/one.txt,a,{tmp_path}/two.txt", ["a", "b", "c"])
    assert comparison.models == ["b", "a"]
    assert [people.name for people in comparison.people] == ["one.txt", "two.txt"]
