"""The votes and guesses that count, each with its text, read from the store that app/feedback writes.

    sqlite:///PATH, with a fourth slash where the path begins at the root
    bigquery://PROJECT.DATASET

Of several votes by one person on one text, the latest counts; of several guesses, the first, since the author is known then.
A store of before the game has no guesses. Nothing is written to the store.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from app.errors import DataError, SettingError
from finetune.network_errors import network_problem

ADDRESS = re.compile(
    r"sqlite:///(?P<path>[^\0]+)|bigquery://(?P<project>[a-z0-9][a-z0-9.:-]+)\.(?P<dataset>\w{1,1024})"
)
# `at` is a keyword of GoogleSQL, so it is quoted.
SQLITE = """
SELECT `at`, votes.channel, generated_by, source, value, voter, text_id, prompt, text, settings
FROM votes JOIN texts ON text_id = id ORDER BY `at`, text_id, voter
"""
BIGQUERY = """
WITH counted AS (
  SELECT * FROM `{dataset}.votes` WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY text_id, voter ORDER BY `at` DESC) = 1
), shown AS (
  SELECT * FROM `{dataset}.texts` WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY created) = 1
)
SELECT `at`, counted.channel, generated_by, source, value, voter, text_id, prompt, text, settings
FROM counted JOIN shown ON text_id = id ORDER BY `at`, text_id, voter
"""

SQLITE_GUESSES = """
SELECT `at`, guesses.channel, generated_by, source, guessed, voter, text_id, prompt, text, settings
FROM guesses JOIN texts ON text_id = id ORDER BY `at`, text_id, voter
"""
BIGQUERY_GUESSES = """
WITH shown AS (
  SELECT * FROM `{dataset}.texts` WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY created) = 1
)
SELECT `at`, guesses.channel, generated_by, source, guessed, voter, text_id, prompt, text, settings
FROM `{dataset}.guesses` guesses JOIN shown ON text_id = id ORDER BY `at`, text_id, voter
"""

PATIENCE = 15.0
"""Seconds for which a failing request to BigQuery is retried."""


class StoredVote(NamedTuple):
    """A vote with the text it is on. `value` is 1 or -1, `at` is in UTC, `settings` is JSON."""

    at: datetime
    channel: str
    generated_by: str
    source: str
    value: int
    voter: str
    text_id: str
    prompt: str
    text: str
    settings: str


class StoredGuess(NamedTuple):
    """A guess who wrote a text, "model" or "human", with the text. `source` says who did. `at` is in UTC, `settings` is JSON."""

    at: datetime
    channel: str
    generated_by: str
    source: str
    guessed: str
    voter: str
    text_id: str
    prompt: str
    text: str
    settings: str


def read_votes(store: str) -> Iterator[StoredVote]:
    """All votes, in the order in which they were given.

    Raises SettingError where `store` is not an address, and DataError, as it is read, where the store cannot be read.
    """
    return map(StoredVote._make, read_rows(store, SQLITE, BIGQUERY))


def read_guesses(store: str) -> Iterator[StoredGuess]:
    """Each person's first guess on each text, in the order in which they were made. Raises as `read_votes` does.

    A text by a person is stored anew whenever it is shown, so it is known by its words, and `text_id` is a hash of them.
    """
    seen: set[tuple[str, str]] = set()
    for row in read_rows(store, SQLITE_GUESSES, BIGQUERY_GUESSES, newer_table="guesses"):
        guess = StoredGuess._make(row)
        words = "\0".join((guess.source, guess.generated_by, guess.prompt, guess.text))
        text_id = hashlib.blake2b(words.encode(), digest_size=12).hexdigest()
        if (guess.voter, text_id) not in seen:
            seen.add((guess.voter, text_id))
            yield guess._replace(text_id=text_id)


def read_rows(store: str, sqlite: str, bigquery: str, newer_table: str = "") -> Iterator[tuple[Any, ...]]:
    """The rows of a query, none where the store is from before there was this `newer_table`. Raises as `read_votes` does."""
    match = ADDRESS.fullmatch(store)
    if match is None:
        raise SettingError(f"--store is {store!r}, and should be sqlite:///PATH or bigquery://PROJECT.DATASET.")
    if match["path"]:
        return read_sqlite(Path(match["path"]), sqlite, newer_table)
    return read_bigquery(match["project"], match["dataset"], bigquery, newer_table)


def read_sqlite(path: Path, query: str, newer_table: str) -> Iterator[tuple[Any, ...]]:
    if not path.is_file():
        raise DataError(f"{path} is not there: name the store that the app's FEEDBACK names.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (newer_table,)).fetchone()
            for at, *rest in connection.execute(query) if there or not newer_table else ():
                yield datetime.fromisoformat(at), *rest
    except sqlite3.Error as error:
        raise DataError(
            f"{path} cannot be read as a store of votes ({error}): name the store that the app's FEEDBACK names."
        ) from None


def read_bigquery(project: str, dataset: str, query: str, newer_table: str) -> Iterator[tuple[Any, ...]]:
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.bigquery import DEFAULT_RETRY, Client

    name = f"{project}.{dataset}"
    try:
        client, retry = Client(project=project), DEFAULT_RETRY.with_timeout(PATIENCE)
        rows: Any = client.query_and_wait(query.format(dataset=name), retry=retry)
        for row in rows:
            yield tuple(row.values())
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        if newer_table and isinstance(error, NotFound) and f"{dataset}.{newer_table} " in str(error):
            return
        if problem := network_problem(error, "BigQuery"):
            raise DataError(f"the votes in {name} cannot be read: {problem}.") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        remedy = "check that the dataset exists and that you may read it"
        if isinstance(error, GoogleAuthError):
            remedy = "run `gcloud auth application-default login`"
        raise DataError(f"the votes in {name} cannot be read ({reason}): {remedy}.") from None
