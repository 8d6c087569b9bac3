"""The default store: one SQLite file.

A vote that was acknowledged survives kill -9 and, if the disk really writes what it reports as written, a power cut.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from app.errors import StoreError, UnknownText
from app.feedback.store import (
    DAY,
    Guess,
    LikedText,
    ShownText,
    Tally,
    TextVotes,
    UpdateLog,
    Vote,
    timestamp,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")
log = logging.getLogger(__name__)
VERSION = 1
# Seconds to wait for the lock of another process that is writing.
PATIENCE = 5.0
# By how much the order of votes can be mixed up on their way here.
MIX_UP = timedelta(minutes=2)
# Files of before the game get this table when they are opened. It changes no other table, so programs of before the game can
# still read the file, and the version stays.
GUESSES = """
CREATE TABLE IF NOT EXISTS guesses (
    text_id TEXT NOT NULL REFERENCES texts (id),
    voter TEXT NOT NULL,
    guessed TEXT NOT NULL CHECK (guessed IN ('model', 'human')),
    channel TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (text_id, voter)
) STRICT, WITHOUT ROWID
"""
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS texts (
    id TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    prompt TEXT NOT NULL,
    generated_by TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('model', 'human')),
    channel TEXT NOT NULL,
    created TEXT NOT NULL,
    settings TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS votes (
    text_id TEXT NOT NULL REFERENCES texts (id),
    voter TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value IN (1, -1)),
    channel TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (text_id, voter)
) STRICT, WITHOUT ROWID;
{GUESSES};
CREATE TABLE IF NOT EXISTS updates (id INTEGER PRIMARY KEY, finished REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS updates_by_time ON updates (finished);
CREATE TABLE IF NOT EXISTS chats (id TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT;
PRAGMA user_version = {VERSION};
COMMIT;
"""
# A vote never replaces a later one by the same voter, whichever order they arrive in. One that is more than MIX_UP later is from
# before the clock was set back.
VOTE = """
INSERT INTO votes VALUES (:text_id, :voter, :value, :channel, :at)
ON CONFLICT DO UPDATE SET value = excluded.value, channel = excluded.channel, at = excluded.at
WHERE excluded.at >= at OR at > :set_back
"""
TALLY = """
SELECT generated_by, source, count(DISTINCT id), count(*) FILTER (WHERE value = 1), count(*) FILTER (WHERE value = -1)
FROM texts LEFT JOIN votes ON text_id = id GROUP BY generated_by, source ORDER BY generated_by, source
"""
TEXT_VOTES = """
SELECT count(*) FILTER (WHERE value = 1), count(*) FILTER (WHERE value = -1) FROM votes WHERE text_id = ?
"""
LIKED = """
SELECT prompt, text, count(*) FILTER (WHERE value = 1) AS up, count(*) FILTER (WHERE value = -1) AS down
FROM votes JOIN texts ON text_id = id
WHERE source = 'model' AND texts.channel = 'telegram' AND created >= ? AND json_extract(settings, '$.own_words')
GROUP BY id HAVING up > down ORDER BY up DESC, down, id LIMIT 200
"""


class SqliteStore:
    """One connection on one thread, because SQLite allows one writer at a time. The store is its own update log."""

    tally_seconds = 0.0

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feedback")
        self._connection: Connection | None = None

    @property
    def update_log(self) -> UpdateLog:
        return self

    async def add_text(self, text: ShownText) -> None:
        row = msgspec.structs.asdict(text) | {
            "created": timestamp(text.created),
            "settings": msgspec.json.encode(text.settings).decode(),
        }
        statement = (
            "INSERT INTO texts VALUES (:id, :text, :prompt, :generated_by, :source, :channel, :created, :settings)"
        )
        await self._rows(f"{statement} ON CONFLICT DO NOTHING", row)

    async def text(self, text_id: str) -> ShownText | None:
        rows = await self._rows("SELECT * FROM texts WHERE id = ?", (text_id,))
        if not rows:
            return None
        values = dict(zip(ShownText.__struct_fields__, rows[0], strict=True))
        return msgspec.convert(values | {"settings": msgspec.json.decode(values["settings"])}, ShownText)

    async def vote(self, vote: Vote) -> None:
        times = {"at": timestamp(vote.at), "set_back": timestamp(vote.at + MIX_UP)}
        await self._rows(VOTE, msgspec.structs.asdict(vote) | times)

    async def guess(self, guess: Guess) -> None:
        statement = "INSERT INTO guesses VALUES (:text_id, :voter, :guessed, :channel, :at)"
        row = msgspec.structs.asdict(guess) | {"at": timestamp(guess.at)}
        await self._rows(f"{statement} ON CONFLICT DO NOTHING", row)

    async def tally(self) -> list[Tally]:
        return [Tally(*row) for row in await self._rows(TALLY)]

    async def text_votes(self, text_id: str) -> TextVotes:
        return TextVotes(*(await self._rows(TEXT_VOTES, (text_id,)))[0])

    async def liked_texts(self, since: datetime | None = None) -> list[LikedText]:
        return [LikedText(*row) for row in await self._rows(LIKED, (timestamp(since) if since else "",))]

    async def finished(self, update_id: int) -> bool:
        since = time.time() - DAY
        return bool(await self._rows("SELECT 1 FROM updates WHERE id = ? AND finished > ?", (update_id, since)))

    async def finish(self, update_id: int) -> None:
        now = time.time()
        await self._rows("DELETE FROM updates WHERE finished <= ?", (now - DAY,))
        await self._rows("INSERT OR REPLACE INTO updates VALUES (?, ?)", (update_id, now))

    async def chat(self, chat_id: str) -> bytes | None:
        rows = await self._rows("SELECT state FROM chats WHERE id = ?", (chat_id,))
        return rows[0][0] if rows else None

    async def keep_chat(self, chat_id: str, state: bytes) -> None:
        await self._rows("INSERT OR REPLACE INTO chats VALUES (?, ?)", (chat_id, state))

    async def close(self) -> None:
        await self._on_thread(self._disconnect)
        self._thread.shutdown()

    async def _rows(self, statement: str, values: Any = ()) -> list[Any]:
        """Execute one statement and return its rows. What it writes is on the disk before this returns."""
        return await self._on_thread(lambda: self._execute(statement, values))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _execute(self, statement: str, values: Any) -> list[Any]:
        import sqlite3

        try:
            if self._connection is None:
                self._connection = connect(self._path)
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.IntegrityError:
            raise UnknownText("there is no text with this id.") from None
        except sqlite3.Error as error:
            log.error("the votes in %s: %s", self._path, error)  # SQLite's messages quote no stored text.
            # The next call opens the file again, in case it has been repaired.
            self._disconnect()
            raise StoreError("votes cannot be stored or read right now: try again later.") from None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def connect(path: str) -> Connection:
    """Open the file, or create it with its tables. Raises sqlite3.Error."""
    import sqlite3

    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        # Count the tables first: another process may be creating them, and sets the version in the same transaction.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and version != VERSION:
            raise sqlite3.DatabaseError(f"the file has version {version}, but this program reads version {VERSION}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if not tables:
            connection.executescript(SCHEMA)
        connection.execute(GUESSES)
    except BaseException:
        connection.close()
        raise
    return connection
