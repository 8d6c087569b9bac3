"""`report` writes a page for people and a table for programs, or one sentence says why not."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.errors import SettingError
from app.feedback import open_store
from finetune.__main__ import main
from finetune.commands.fetch import FetchOptions, fetch
from finetune.commands.report import report
from finetune.html_report import unbroken
from finetune.votes.like_rates import most_liked_texts
from finetune.votes.stored_votes import StoredVote, read_votes
from finetune.votes.vote_table import collect_votes
from finetune.votes.votes_page import render, shown_text
from tests.finetune.votes.polls import UGLY, few, fill, fill_guesses, guesses, votes


@pytest.fixture
def store(tmp_path: Path) -> str:
    return fill(f"sqlite:///{tmp_path}/feedback.db", few())


def test_the_report_is_for_people_and_the_table_for_programs(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "reports" / "ratings"
    report(store=store, out=out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "It is too early to tell: " in page
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;&amp; 0 👍🏽\nمرحبا" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    with (out / "votes.csv").open(newline="", encoding="utf-8") as file:
        assert [
            StoredVote(**dict[str, Any](row) | {"at": datetime.fromisoformat(row["at"]), "value": int(row["value"])})
            for row in csv.DictReader(file)
        ] == few()
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == ["jokes.txt", "human", "2", "2", "2", "100", "%", "(34–100)"]
    assert printed[-1] == f"{out}/report.html"
    assert "guess" not in page + "".join(printed)
    assert json.loads((out / "report.json").read_bytes())["guesses"] is None
    report(store=store, out=out)


@pytest.mark.slow
def test_guesses_are_reported_beside_the_votes(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill_guesses(store, guesses(model=(130, 76), human=(109, 97)))
    out = tmp_path / "report"
    report(store=store, out=out)
    said = "People can tell: told apart in 58 % of 412 guesses, 53–63, by 42 people; by chance it would be 50 %."
    printed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in printed[4:7]] == [
        ["written", "by", "source", "texts", "people", "guesses", "recognized"],
        ["tiny", "model", "206", "21", "206", "63", "%", "(56–69)"],
        ["jokes.txt", "human", "10", "21", "206", "53", "%", "(46–60)"],
    ]
    assert printed[7:] == [said, f"{out}/report.html"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"<p>{unbroken(said)}</p>" in page
    assert "<h2>Can people tell?</h2>" in page
    found = json.loads((out / "report.json").read_bytes())
    assert found["guesses"]["verdict"] == said
    assert found["guesses"]["told_apart"]["share"] == pytest.approx(239 / 412)
    assert [(one["name"], one["guesses"]) for one in found["guesses"]["written_by"]] == [
        ("tiny", 206), ("jokes.txt", 206),
    ]  # fmt: skip
    assert [(one["name"], one["votes"]) for one in found["votes"]["written_by"]] == [("jokes.txt", 2), (UGLY, 4)]
    with (out / "guesses.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 412


def test_guesses_alone_are_a_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = fill_guesses(f"sqlite:///{tmp_path}/feedback.db", guesses(model=(1, 0), human=(0, 0)))
    report(store=address, out=tmp_path / "report")
    said = "Nobody knows yet whether people can tell: all 1 guesses are at models' texts."
    assert capsys.readouterr().out.splitlines()[-2] == said
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert f'<p class="lead">{said.replace(chr(39), "&#39;")}</p>' in page
    assert "What is liked" not in page
    assert json.loads((tmp_path / "report/report.json").read_bytes())["votes"] is None


def test_one_origin_cannot_be_compared() -> None:
    rows = votes("tiny", 0, 2)
    page = render(collect_votes(rows), collect_votes([]), "sqlite:///feedback.db", {})
    assert "There is only one origin." in page
    assert "None yet." in page


def test_votes_of_one_day_are_on_an_axis_of_days() -> None:
    """It ran from 2024 to 2030."""
    table = collect_votes([*votes("tiny", 5, 2), *votes("dull", 1, 4)])
    texts = {text_id: ("", "text") for text_id, _, _ in most_liked_texts(table)}
    page = render(table, collect_votes([]), "sqlite:///feedback.db", texts)
    assert re.findall(r">(\d* ?Nov|20\d\d)<", page) == ["2 Nov"]


@pytest.mark.parametrize(
    ("prompt", "text", "shown"),
    [
        ("", "Why?", "Why?"),
        ("Why", "Why did it?", "Why did it?"),
        ("Why did", " it cross?", "Why did it cross?"),
        ("[QUESTION]", "Why did it?\n[ANSWER] So.", "[QUESTION] Why did it?\n[ANSWER] So."),
        ("Why did it?", "To see.", "Why did it?\nTo see."),
    ],
)
def test_a_prompt_and_its_text_do_not_break_apart(prompt: str, text: str, shown: str) -> None:
    """[QUESTION] stood on a line of its own."""
    assert shown_text(prompt, text) == shown


def test_a_report_only_reads_while_the_app_goes_on_writing(store: str, tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    before = path.read_bytes()
    rows = read_votes(store)
    first = next(rows)
    fill(store, votes("later", 1, 0))
    assert [first, *rows] == few()
    assert len(list(read_votes(store))) == len(few()) + 1
    path.write_bytes(before)
    report(store=store, out=tmp_path / "report")
    assert path.read_bytes() == before


def test_no_votes_yet_is_one_line_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = fill(f"sqlite:///{tmp_path}/feedback.db", [])
    open_and_close(address)
    assert main(["report", "--store", address, "--out", str(tmp_path / "report")]) == 2
    assert capsys.readouterr() == ("", f"error: {address} has no votes yet: ask for some.\n")
    assert {path.name for path in tmp_path.iterdir()} <= {"feedback.db", "feedback.db-shm", "feedback.db-wal"}


def open_and_close(address: str) -> None:
    async def main() -> None:
        store = open_store(address)
        await store.tally()
        await store.close()

    asyncio.run(main())


def test_a_folder_that_is_no_report_is_not_replaced(store: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    with pytest.raises(SettingError, match=r"--out is .+mine, which exists and is not a report"):
        report(store=store, out=tmp_path / "mine")
    with pytest.raises(SettingError, match=r"--out is .+mine, which exists and is not fetched ratings"):
        fetch(FetchOptions("ratings", out=tmp_path / "mine", source=[store]))
