"""Each guardrail drops the texts that it is named for and no others, and counts them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError, SettingError
from finetune.fetch.cleaning import Cleaner, CleaningReport
from finetune.fetch.guardrails import NAMES, GuardrailOptions

Clean = Callable[..., tuple[list[dict[str, Any]], CleaningReport]]


@pytest.fixture
def clean(tmp_path: Path, vocabulary: Path) -> Clean:
    def cleaned(*rows: dict[str, Any], **options: Any) -> tuple[list[dict[str, Any]], CleaningReport]:
        path, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        guardrails = GuardrailOptions(**{"vocabulary": vocabulary} | options)
        guardrails.check(["body"])
        with closing(Cleaner(guardrails, {column for row in rows for column in row}, tmp_path, "500MB")) as cleaner:
            cleaner.clean(path, out)
            return [json.loads(line) for line in out.read_text("utf-8").splitlines()], cleaner.report

    return cleaned


DROPPED = [
    ("deleted", {"body": "[deleted]"}),
    ("deleted", {"body": " [removed]\n"}),
    ("deleted", {"body": ""}),
    ("deleted", {"body": None}),
    ("bot", {"body": "You are the best of us.", "author": "AutoModerator"}),
    ("bot", {"body": "You are the best of us.", "author": "verdict_bot"}),
    ("bot", {"body": "You are the best of us.", "author": "VerdictBot2"}),
    ("bot", {"body": "I am a bot, and I like you."}),
    ("bot", {"body": "This was performed automatically, and that is it."}),
    ("score", {"body": "You are the worst of us.", "score": 0}),
    ("link", {"body": "Look at https://a.example for it."}),
    ("link", {"body": "Look at www.a.example for it."}),
    ("link", {"body": "Look at [this](there) for it."}),
    ("quote", {"body": "> You are wrong.\n\nThat is what you say."}),
    ("quote", {"body": "So:\n &gt; You are wrong."}),
    ("shouting", {"body": "This is what I call SHOUTING."}),
    ("shouting", {"body": "[ANSWER] This is what I call SHOUTING."}),
    ("shouting", {"body": "[STOP SHOUTING AT ME] he said to me."}),
    ("shouting", {"body": "It is LOUDER] than [it."}),
    ("word", {"body": f"This is what I call a{'a' * 30}."}),
    ("stop_word", {"body": "[THE] lorem [IS] ipsum dolor [TO BE]"}),
    ("short", {"body": "[QUESTION] I [ANSWER]"}),
    ("stop_word", {"body": "lorem ipsum dolor sit amet"}),
    ("stop_word", {"body": "それは犬です"}),
    ("repetition", {"body": "It is no no No way to say it."}),
    ("short", {"body": "I"}),
    ("long", {"body": "This is much longer than it may be. " * 10}),
]
KEPT = [
    {"body": "YTA, and you know it."},
    {"body": "My abbot said so.", "author": "abbot"},
    {"body": "He ran from 10 > 9 to 8.", "author": None},
    {"body": "It is as it is: no no, that is it."},
    {"body": f"This is what I call a{'a' * 28}."},
    {"body": "[QUESTION] Why is it?\n[ANSWER] It had to be."},
    {"body": "[VERDICT: ESHALL] It is what it is. [END OF TEXT]"},
    {"body": f"[ANSWER]{'a' * 28} it is[/ANSWER]"},
    {"body": "Don't you like 😀? It's 50% off.", "score": 1},
]


@pytest.mark.parametrize(("name", "row"), DROPPED)
def test_a_guardrail_drops_and_counts(name: str, row: dict[str, Any], clean: Clean) -> None:
    row = {"author": "ann", "score": 5, **row}
    kept, report = clean(row, max_tokens=100)
    assert (kept, report.dropped) == ([], {name: 1})
    assert clean(row, max_tokens=100, without=[other for other in NAMES if other != name])[1].dropped == {name: 1}
    assert clean(row, max_tokens=100, without=NAMES)[0] == [{"body": (row["body"] or "").strip()}]


@pytest.mark.parametrize("row", KEPT)
def test_good_text_is_kept_unchanged(row: dict[str, Any], clean: Clean) -> None:
    assert clean({"author": "ann", "score": 5} | row)[0] == [{"body": row["body"]}]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Write to ann.b+c@mail.example.org, it is new.", "Write to [email], it is new."),
        ("Call me on +1 (555) 123-4567 if it is late.", "Call me on [phone] if it is late."),
        ("Call 555-1234, or 5551234567 for more.", "Call [phone], or [phone] for more."),
        ("As /u/ann_b and u/bob said to @carol_c.", "As [user] and [user] said to [user]."),
        ("In 2019-2020 it was 1,000,000 of 12345678.", "In 2019-2020 it was 1,000,000 of 12345678."),
        ("It's you/us or r/AskReddit and/or me.", "It's you/us or r/AskReddit and/or me."),
    ],
)
def test_personal_data_is_replaced(said: str, left: str, clean: Clean) -> None:
    kept, report = clean({"body": said})
    assert kept == [{"body": left}]
    assert report.replaced == (said != left)


def test_a_blocklist_matches_whole_words_and_phrases(clean: Clean, tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("\ufeffdarn\n\nwhat the heck\nc++\n")
    rows = [
        {"body": body} for body in ("It is a Darned cat.", "DARN it all!", "So what the heck is it.", "I like C++.")
    ]
    kept, report = clean(*rows, blocklist=tmp_path / "blocked.txt")
    assert (kept, report.dropped) == ([{"body": "It is a Darned cat."}], {"blocklist": 3})


def test_copies_are_dropped_ignoring_case_and_punctuation(clean: Clean) -> None:
    rows = [{"body": body} for body in ("You are right.", "you are right!!", "You are not right.", "😀 you", "😁 you")]
    kept, report = clean(*rows)
    assert [row["body"] for row in kept] == ["You are right.", "You are not right.", "😀 you"]
    assert report.dropped == {"copy": 2}


def test_texts_without_letters_are_compared_exactly(clean: Clean) -> None:
    rows = [{"body": body} for body in ("😀😀😀", "😁😁😁", "😀😀😀")]
    kept, _ = clean(*rows, without=["stop_word"])
    assert [row["body"] for row in kept] == ["😀😀😀", "😁😁😁"]


def test_copies_are_found_across_blocks(tmp_path: Path, vocabulary: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"body": "You are right."}\n')
    with closing(Cleaner(GuardrailOptions(vocabulary=vocabulary), ["body"], tmp_path, "500MB")) as cleaner:
        for _ in range(3):
            cleaner.clean(tmp_path / "rows.jsonl", tmp_path / "out.jsonl")
        assert (cleaner.report.kept, cleaner.report.dropped) == (1, {"copy": 2})


def test_a_dropped_turn_takes_its_replies_with_it(clean: Clean) -> None:
    said = ["Who is it?", "It is me.", "See https://a.example", "No, that is not it."]
    kept, report = clean({"turns": said})
    assert kept == [{"turns": said[:2]}]
    assert (report.kept, report.dropped, report.cut) == (1, {}, {"link": 1})


def test_a_conversation_cut_to_one_turn_is_dropped(clean: Clean) -> None:
    kept, report = clean({"turns": ["Who is it?", "[deleted]", "It is me."]})
    assert (kept, report.dropped, report.cut) == ([], {"deleted": 1}, {})


def test_a_conversation_without_turns_is_counted(clean: Clean) -> None:
    kept, report = clean({"turns": ["Who is it?", "It is me."]}, {"turns": []}, {"turns": None})
    assert (len(kept), report.read, report.dropped) == (1, 3, {"deleted": 2})


def test_each_turn_has_its_own_author_and_score(clean: Clean) -> None:
    turns = ["Who is it?", "It is me.", "So it is you.", "And who are you?"]
    row = {"turns": turns, "authors": ["ann", "bob", "AutoModerator", "bob"], "scores": [1, 2, 3, 4]}
    assert clean(row)[0] == [{"turns": turns[:2]}]
    assert clean(row, min_score=2)[1].dropped == {"score": 1}
    shared = {"turns": turns, "author": "AutoModerator"}
    assert clean(shared)[1].dropped == {"bot": 1}


def test_control_codes_are_kept(clean: Clean) -> None:
    assert clean({"body": "It is good.", "meta": "sport"})[0] == [{"body": "It is good.", "meta": "sport"}]
    code = {"sentiment": "positive", "stars": 9}
    assert clean({"body": "It is good.", "meta": code})[0] == [{"body": "It is good.", "meta": code}]


def test_the_order_of_the_rows_is_kept(clean: Clean) -> None:
    rows = [{"body": f"This is what number {number} says."} for number in range(5000)]
    first, _ = clean(*rows)
    assert first == rows
    assert clean(*rows)[0] == first


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"without": ["links"]}, "--without is 'links', and should be some of deleted,bot,"),
        ({"min_tokens": 0}, "--min-tokens is 0 and --max-tokens 1024: both should be 1 or more"),
        ({"min_tokens": 5, "max_tokens": 4}, "--min-tokens is 5 and --max-tokens 4"),
        ({"without": ["blocklist"], "blocklist": Path("list.txt")}, "give one of the two"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], sentence: str, vocabulary: Path) -> None:
    with pytest.raises(SettingError) as error:
        GuardrailOptions(vocabulary=vocabulary, **options).check(["body"])
    assert sentence in str(error.value)


def test_an_empty_blocklist_and_a_missing_vocabulary_are_refused_early(tmp_path: Path, vocabulary: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match=r"empty.txt is empty: a blocklist has a word or phrase on each line"):
        GuardrailOptions(vocabulary=vocabulary, blocklist=tmp_path / "empty.txt").check(["body"])
    (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt is not utf-8: convert it"):
        GuardrailOptions(vocabulary=vocabulary, blocklist=tmp_path / "latin.txt").check(["body"])
    with pytest.raises(DataError, match="finetune download 124M"):
        GuardrailOptions(vocabulary=tmp_path).check(["turns"])
    GuardrailOptions(vocabulary=tmp_path).check(["month"])
    GuardrailOptions(vocabulary=tmp_path, without=["short", "long"]).check(["body"])
