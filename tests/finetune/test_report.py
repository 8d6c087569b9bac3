"""Are we funny yet? The figures are right, and so is what is said of them."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import DataError, SettingError
from app.feedback import open_store
from app.feedback.store import ShownText
from app.feedback.store import Vote as Given
from finetune.commands.prepare import prepare
from finetune.commands.report import report
from finetune.votes.like_rates import all_pairs, best_texts, by_origin, by_time, collect, independent, verdict
from finetune.votes.preferences import ratings
from finetune.votes.stored_votes import Vote, read_votes
from finetune.votes.votes_page import render
from tests.conftest import run_module
from tests.feedback.google import ADDRESS, google

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
UGLY = "$x$ <b onclick=x>&"


def votes(by: str, ups: int, downs: int, source: str = "model", each: int = 1) -> list[Vote]:
    """Votes on texts of their own; a person has `each` of them, in a row."""
    return [
        Vote(NOW, "web", by, source, 1 if n < ups else -1, f"{by} {n // each}", f"{by}:{n}", "", "text", "{}")
        for n in range(ups + downs)
    ]


def fill(address: str, rows: Iterable[Vote]) -> str:
    """A store, written as the app writes it."""

    async def main() -> None:
        store = open_store(address)
        for row in rows:
            text = ShownText(
                id=row.text_id,
                text=row.text,
                prompt=row.prompt,
                generated_by=row.generated_by,
                source=row.source,  # type: ignore[arg-type]
                channel="web",
                created=NOW,
                settings=json.loads(row.settings),
            )
            await store.add_text(text)
            vote = Given(text_id=row.text_id, voter=row.voter, value=row.value, channel="web", at=row.at)  # type: ignore[arg-type]
            await store.vote(vote)
        await store.close()

    asyncio.run(main())
    return address


def few() -> list[Vote]:
    prompt = "Why?"
    rows = [*votes(UGLY, 3, 1), *votes("jokes.txt", 2, 0, source="human")]
    return [
        row._replace(text=f"{UGLY} {n % 4} 👍🏽\nمرحبا", prompt=prompt, at=NOW + timedelta(days=n))
        for n, row in enumerate(rows)
    ]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return fill(f"sqlite:///{tmp_path}/feedback.db", few())


def test_shares_and_their_intervals() -> None:
    """Against published figures for Wilson's interval of 8 in 10."""
    [share] = by_origin(collect(votes("tiny", 8, 2)))
    assert (share.texts, share.people, share.votes, share.up) == (10, 10, 10, 8)
    assert share.worth == pytest.approx(10)
    assert (share.low, share.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert str(share) == "80 % (49–94)"


def test_votes_of_one_person_are_worth_less() -> None:
    alone, alike = np.arange(100, dtype=np.int32), np.arange(100, dtype=np.int32) // 10
    mixed, agreed = np.arange(100) % 2 == 0, np.arange(100) < 50
    assert independent(mixed, alone) == independent(mixed, alike) == 100
    assert independent(agreed, alike) == pytest.approx(9.09, abs=0.01)
    assert independent(np.ones(100, bool), alike) == 10
    assert independent(mixed, np.zeros(100, np.int32)) == 1


def test_a_loud_few_prove_nothing() -> None:
    """The same counts, by many people and by a few who always say the same."""
    for each, told in ((1, True), (20, False)):
        shares = by_origin(collect([*votes("a", 60, 40, each=each), *votes("b", 40, 60, each=each)]))
        [found] = all_pairs(shares)
        assert found.told is told
        assert found.wins == pytest.approx(0.6)
        assert found.low < 0.2 < found.high


def test_votes_needed_are_what_the_textbook_says() -> None:
    """Half against six of ten, at 5 % and 80 %: 387 each. Nothing tells what is the same."""
    [found] = all_pairs(by_origin(collect([*votes("a", 120, 80), *votes("b", 100, 100)])))
    assert found.needed is not None
    assert abs(found.needed - 387) <= 2
    [same] = all_pairs(by_origin(collect([*votes("a", 10, 10), *votes("b", 100, 100)])))
    assert (same.needed, same.p) == (None, 1)


def test_several_pairs_are_harder_to_tell() -> None:
    rows = [*votes("a", 60, 40), *votes("b", 45, 55)]
    [alone] = all_pairs(by_origin(collect(rows)))
    among = all_pairs(by_origin(collect([*rows, *votes("c", 52, 48)])))
    assert alone.told
    assert not next(one for one in among if {one.one.name, one.other.name} == {"a", "b"}).told


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [*votes("tiny", 41, 59), *votes("jokes.txt", 63, 37, "human")],
            "Not yet: tiny is liked in 41 % (32–51) of the votes, human texts in 63 % (53–72).",
        ),
        (
            [*votes("tiny", 90, 10), *votes("dull", 1, 99), *votes("jokes.txt", 63, 37, "human")],
            "Yes, and more than people: tiny is liked in 90 % (83–94) of the votes, human texts in 63 % (53–72).",
        ),
        (
            [*votes("tiny", 1500, 1500), *votes("jokes.txt", 1500, 1500, "human")],
            "Yes, as often as people: tiny is liked in 50 % (48–52) of the votes, human texts in 50 % (48–52).",
        ),
        (
            [*votes("tiny", 5, 5), *votes("lucky", 1, 0), *votes("jokes.txt", 6, 4, "human")],
            (
                "It cannot be told yet: tiny is liked in 50 % (24–76) of the votes, human texts in 60 % (31–83); "
                "to tell a difference like this takes about 390 votes on each."
            ),
        ),
        (
            votes("tiny", 2, 2),
            "Nobody knows yet: tiny is liked in 50 % (15–85) of the votes, and nobody voted on a human text.",
        ),
        (
            votes("jokes.txt", 2, 2, "human"),
            "Nobody knows yet: there are votes on human texts, liked in 50 % (15–85) of them, and on no model's.",
        ),
    ],
)
def test_the_answer_in_one_sentence(rows: list[Vote], says: str) -> None:
    assert verdict(collect(rows)) == says


def test_the_texts_that_surely_are_liked_come_first() -> None:
    rows = [
        vote._replace(text_id=name)
        for name, ups, downs in (("often", 9, 1), ("once", 1, 0), ("never", 0, 3))
        for vote in votes(name, ups, downs)
    ]
    assert best_texts(collect(rows)) == [("often", 9, 10), ("once", 1, 1)]


def test_days_become_weeks_that_begin_on_mondays() -> None:
    rows = [vote._replace(at=NOW + timedelta(days=n)) for n, vote in enumerate(votes("tiny", 40, 0))]
    assert by_time(collect(rows[:31]))[0] == "day"
    unit, course = by_time(collect(rows))
    assert NOW.weekday() == 0
    assert unit == "week"
    assert [(str(day), share.votes) for day, share in course["model"].items()][:2] == [
        ("2026-11-02", 7),
        ("2026-11-09", 7),
    ]
    assert course["human"] == {}


def test_the_report_is_for_people_and_the_table_for_programs(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "reports" / "ratings"
    report(store, out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "It cannot be told yet: " in page
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;&amp; 0 👍🏽\nمرحبا" in page
    assert "<script" not in page
    assert "http" not in page
    with (out / "votes.csv").open(newline="", encoding="utf-8") as file:
        assert [
            Vote(**dict[str, Any](row) | {"at": datetime.fromisoformat(row["at"]), "value": int(row["value"])})
            for row in csv.DictReader(file)
        ] == few()
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == ["jokes.txt", "human", "2", "2", "2", "100", "%", "(34–100)"]
    assert printed[-1] == f"{out}/report.html"
    report(store, out)


def test_one_origin_has_none_to_be_held_against() -> None:
    rows = votes("tiny", 0, 2)
    page = render(collect(rows), "sqlite:///feedback.db", {})
    assert "There is only one." in page
    assert "None yet." in page


def test_a_report_only_reads_and_meanwhile_the_app_writes(store: str, tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    before = path.read_bytes()
    rows = read_votes(store)
    first = next(rows)
    fill(store, votes("later", 1, 0))
    assert [first, *rows] == few()
    assert len(list(read_votes(store))) == len(few()) + 1
    path.write_bytes(before)
    report(store, tmp_path / "report")
    assert path.read_bytes() == before


def test_bigquery_tells_the_same(store: str, tmp_path: Path) -> None:
    """Though it keeps every row: those of votes that changed, and of texts that were shown twice."""
    with google(tmp_path):
        fill(ADDRESS, [few()[0]._replace(value=-1, at=NOW - timedelta(days=1)), *few()])
        assert list(read_votes(ADDRESS)) == list(read_votes(store)) == few()


def test_bigquery_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with (
        google(tmp_path),
        pytest.raises(DataError, match=r"^the ratings in jokes-1.nothing cannot be read \(.*404.*\): .+\.$"),
    ):
        list(read_votes("bigquery://jokes-1.nothing"))


def test_what_is_no_store_is_one_sentence(tmp_path: Path) -> None:
    for address in ("feedback.db", "sqlite:///", "bigquery://x"):
        with pytest.raises(
            SettingError, match=r"--store is .+, and should be sqlite:///PATH or bigquery://PROJECT\.DATASET"
        ):
            report(address, tmp_path / "report")
    with pytest.raises(DataError, match=r"none\.db is not there"):
        report(f"sqlite:///{tmp_path}/none.db", tmp_path / "report")
    (tmp_path / "text.db").write_text("no database, though it is long enough for one " * 20)
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE recipes (name)")
    for name in ("text.db", "other.db"):
        with pytest.raises(DataError, match=f"{name} cannot be read as a store of ratings"):
            report(f"sqlite:///{tmp_path}/{name}", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_no_votes_yet_is_one_line_and_nothing_written(tmp_path: Path) -> None:
    address = fill(f"sqlite:///{tmp_path}/feedback.db", [])
    open_and_close(address)
    ended = run_module("finetune", "report", "--store", address, "--out", str(tmp_path / "report"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"error: {address} has no votes yet: ask for some.\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"feedback.db", "feedback.db-shm", "feedback.db-wal"}


def open_and_close(address: str) -> None:
    async def main() -> None:
        store = open_store(address)
        await store.tally()
        await store.close()

    asyncio.run(main())


def test_somebody_elses_folder_is_left_alone(store: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    for verb in (report, ratings):
        with pytest.raises(SettingError, match=r"--out is .+mine, which exists and is not"):
            verb(store, tmp_path / "mine")


def test_ratings_become_a_corpus_and_pairs(checkpoint: Path, tmp_path: Path) -> None:
    rows = [
        vote._replace(text_id=text, text=text, prompt=prompt)
        for text, prompt, ups, downs in (
            ("Because.", "Why?", 3, 0), ("So what.", "Why?", 1, 1), ("No.", "Why?", 0, 2),
            ("Why? Oh well.", "Why?", 1, 0), ("A text of its own.", "", 2, 1),
        )
        for vote in votes(text, ups, downs)
    ]  # fmt: skip
    address = fill(f"sqlite:///{tmp_path}/feedback.db", rows)
    out = tmp_path / "data" / "liked"
    ratings(address, out)
    liked = [json.loads(line) for line in (out / "liked.jsonl").read_text().splitlines()]
    assert {json.dumps(one) for one in liked} == {
        '{"turns": ["Why?", "Because."]}', '{"body": "Why? Oh well."}', '{"body": "A text of its own."}',
    }  # fmt: skip
    pairs = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    assert [(pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs] == [
        ("Why?", "Because.", "Why? Oh well."), ("Why?", "Because.", "So what."), ("Why?", "Because.", "No."),
        ("Why?", "Why? Oh well.", "So what."), ("Why?", "Why? Oh well.", "No."), ("Why?", "So what.", "No."),
    ]  # fmt: skip
    prepare([str(out / "liked.jsonl")], tmp_path / "prepared", vocabulary=checkpoint, template="qa", near_duplicates=0)
    ratings(address, out, minimum=3)
    assert (out / "liked.jsonl").read_text() == '{"turns":["Why?","Because."]}\n'
    assert len((out / "pairs.jsonl").read_text().splitlines()) == 3
    with pytest.raises(SettingError, match="--minimum is 0"):
        ratings(address, out, minimum=0)
    with pytest.raises(DataError, match="has no text that is liked by 4 more than not"):
        ratings(address, out, minimum=4)
