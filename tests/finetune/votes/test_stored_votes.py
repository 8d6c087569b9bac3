"""Votes are read from both stores alike, or one sentence says what is wrong with the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from google.cloud.bigquery import Client

from app.errors import DataError, SettingError
from finetune.commands.report import report
from finetune.votes.stored_votes import read_guesses, read_votes
from tests.fakes.bigquery.account import ADDRESS, google
from tests.finetune.votes.polls import NOW, few, fill, fill_guesses, guesses, other


def test_bigquery_gives_the_same_votes(tmp_path: Path) -> None:
    """BigQuery keeps every row, also those of changed votes and of texts that were shown twice."""
    with google(tmp_path):
        fill(ADDRESS, [few()[0]._replace(value=-1, at=NOW - timedelta(days=1)), *few()])
        assert list(read_votes(ADDRESS)) == list(read_votes(fill(f"sqlite:///{tmp_path}/feedback.db", few()))) == few()


def test_the_first_guess_of_a_person_at_a_text_counts_in_both_stores(tmp_path: Path) -> None:
    """A text by a person is stored anew whenever it is shown, and by then its author is known."""
    rows = guesses(model=(1, 1), human=(1, 1))
    known = rows[2]._replace(text_id="shown again", guessed="model", at=NOW + timedelta(days=1))
    told = [row._replace(guessed=other(row.guessed), at=NOW + timedelta(days=2)) for row in rows]
    with google(tmp_path):
        read = [
            list(read_guesses(fill_guesses(address, [*rows, known, *told])))
            for address in (ADDRESS, f"sqlite:///{tmp_path}/feedback.db")
        ]
    assert read[0] == read[1]
    assert [(row.voter, row.text, row.guessed) for row in read[0]] == [
        (row.voter, row.text, row.guessed) for row in sorted(rows, key=lambda row: row.text_id)
    ]


def test_a_store_of_before_the_game_has_no_guesses(tmp_path: Path) -> None:
    address = fill(f"sqlite:///{tmp_path}/feedback.db", few())
    with closing(sqlite3.connect(tmp_path / "feedback.db")) as older:
        older.execute("DROP TABLE guesses")
    assert list(read_guesses(address)) == []
    with google(tmp_path):
        fill(ADDRESS, few())
        Client("jokes-1").delete_table("jokes-1.ratings.guesses")
        assert list(read_guesses(ADDRESS)) == []
    fill_guesses(address, guesses(model=(1, 0), human=(0, 0)))
    assert len(list(read_guesses(address))) == 1
    assert list(read_votes(address)) == few()


def test_a_missing_dataset_is_one_sentence(tmp_path: Path) -> None:
    with (
        google(tmp_path),
        pytest.raises(DataError, match=r"^the votes in jokes-1.nothing cannot be read \(.*404.*\): .+\.$"),
    ):
        list(read_votes("bigquery://jokes-1.nothing"))


def test_an_unusable_store_is_one_sentence(tmp_path: Path) -> None:
    for address in ("feedback.db", "sqlite:///", "bigquery://x"):
        with pytest.raises(
            SettingError, match=r"--store is .+, and should be sqlite:///PATH or bigquery://PROJECT\.DATASET"
        ):
            report(store=address, out=tmp_path / "report")
    with pytest.raises(DataError, match=r"none\.db is not there"):
        report(store=f"sqlite:///{tmp_path}/none.db", out=tmp_path / "report")
    (tmp_path / "text.db").write_text("no database, though it is long enough for one " * 20)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE recipes (name)")
    for name in ("text.db", "other.db"):
        with pytest.raises(DataError, match=f"{name} cannot be read as a store of votes"):
            report(store=f"sqlite:///{tmp_path}/{name}", out=tmp_path / "report")
    assert not (tmp_path / "report").exists()
