"""The store in BigQuery, for containers that lose their disk when they stop.

Rows are only ever added, so every query picks the latest vote of a voter and the latest state of a chat. If the dataset or the
tables are missing, the first call creates them. A query takes about a second and is billed as 10 MB or more. Voting makes
one only where the votes are shown.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from app.errors import StoreError
from app.feedback.store import (
    Guess,
    LikedText,
    ShownText,
    Tally,
    TextVotes,
    Vote,
    timestamp,
)

if TYPE_CHECKING:
    from google.cloud.bigquery import Client
    from requests import Response

T = TypeVar("T")
log = logging.getLogger(__name__)
# Seconds for one call including its retries and its wait for a thread.
PATIENCE = 8.0
# Bytes of an answer. The largest is that of 200 liked texts.
MAX_ANSWER = 2**24
# Where Google's message is about an account and its tables, and helps. Others may quote what was sent.
ABOUT_THE_ACCOUNT = (401, 403, 404)
MAX_QUOTED = 300
# What the answer says that it is.
INSERTED = b"bigquery#tableDataInsertAllResponse"
THREADS = 8
# Each tally is billed as 20 MB or more. Twelve an hour come to 0.2 TB a month, and 1 TB is free.
TALLY_SECONDS = 300.0


class TableLayout(NamedTuple):
    """A table's columns, the one it is partitioned by (a partition a day), and the one it is clustered by."""

    columns: dict[str, str]
    partitioned_by: str
    clustered_by: str


TABLES = {
    "texts": TableLayout(
        {
            "id": "STRING",
            "text": "STRING",
            "prompt": "STRING",
            "generated_by": "STRING",
            "source": "STRING",
            "channel": "STRING",
            "created": "TIMESTAMP",
            "settings": "STRING",
        },
        partitioned_by="created",
        clustered_by="id",
    ),
    "votes": TableLayout(
        {"text_id": "STRING", "voter": "STRING", "value": "INTEGER", "channel": "STRING", "at": "TIMESTAMP"},
        partitioned_by="at",
        clustered_by="text_id",
    ),
    "guesses": TableLayout(
        {"text_id": "STRING", "voter": "STRING", "guessed": "STRING", "channel": "STRING", "at": "TIMESTAMP"},
        partitioned_by="at",
        clustered_by="text_id",
    ),
    "chats": TableLayout(
        {"id": "STRING", "state": "STRING", "at": "TIMESTAMP"}, partitioned_by="at", clustered_by="id"
    ),
}
TEXT = "SELECT * FROM {texts} WHERE id = @id ORDER BY created LIMIT 1"
# `at` is a reserved word in GoogleSQL.
CHAT = "SELECT state FROM {chats} WHERE id = @id ORDER BY `at` DESC LIMIT 1"
TALLY = """
WITH shown AS (
  SELECT id, generated_by, source FROM {texts} WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY created) = 1
), counted AS (
  SELECT text_id, value FROM {votes} WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY text_id, voter ORDER BY `at` DESC) = 1
)
SELECT generated_by, source, COUNT(DISTINCT id) AS texts,
  COUNT(IF(value = 1, id, NULL)) AS up, COUNT(IF(value = -1, id, NULL)) AS down
FROM shown LEFT JOIN counted ON text_id = id GROUP BY generated_by, source ORDER BY generated_by, source
"""
TEXT_VOTES = """
SELECT COUNT(IF(value = 1, 1, NULL)) AS up, COUNT(IF(value = -1, 1, NULL)) AS down FROM (
  SELECT value FROM {votes} WHERE text_id = @id QUALIFY ROW_NUMBER() OVER (PARTITION BY voter ORDER BY `at` DESC) = 1
)
"""
LIKED = """
WITH shown AS (
  SELECT id, prompt, text FROM {texts}
  WHERE source = 'model' AND channel = 'telegram' AND created >= TIMESTAMP(@id)
    AND JSON_VALUE(settings, '$.own_words') = 'true'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY created) = 1
), counted AS (
  SELECT text_id, value FROM {votes} WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY text_id, voter ORDER BY `at` DESC) = 1
)
SELECT prompt, text, COUNT(IF(value = 1, 1, NULL)) AS up, COUNT(IF(value = -1, 1, NULL)) AS down
FROM shown JOIN counted ON text_id = id GROUP BY id, prompt, text HAVING up > down ORDER BY up DESC, down, id LIMIT 200
"""
THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class BigQueryStore:
    """Google's client blocks, so each call runs on a thread."""

    update_log = None
    tally_seconds = TALLY_SECONDS

    def __init__(self, project: str, dataset: str) -> None:
        self._project = project
        self._dataset = f"{project}.{dataset}"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="feedback")
        self._lock = threading.Lock()
        self._opened: Client | None = None

    async def add_text(self, text: ShownText) -> None:
        row = msgspec.structs.asdict(text) | {"settings": msgspec.json.encode(text.settings).decode()}
        await self._insert("texts", row | {"created": timestamp(text.created)})

    async def text(self, text_id: str) -> ShownText | None:
        def shown(rows: list[dict[str, Any]]) -> ShownText | None:
            if not rows:
                return None
            return msgspec.convert(rows[0] | {"settings": msgspec.json.decode(rows[0]["settings"])}, ShownText)

        return await self._query(TEXT, shown, text_id)

    async def vote(self, vote: Vote) -> None:
        await self._insert("votes", msgspec.structs.asdict(vote) | {"at": timestamp(vote.at)})

    async def guess(self, guess: Guess) -> None:
        await self._insert("guesses", msgspec.structs.asdict(guess) | {"at": timestamp(guess.at)})

    async def tally(self) -> list[Tally]:
        return await self._query(TALLY, lambda rows: [Tally(**row) for row in rows])

    async def text_votes(self, text_id: str) -> TextVotes:
        return await self._query(TEXT_VOTES, lambda rows: TextVotes(**rows[0]), text_id)

    async def liked_texts(self, since: datetime | None = None) -> list[LikedText]:
        key = timestamp(since or THE_BEGINNING)
        return await self._query(LIKED, lambda rows: [LikedText(**row) for row in rows], key)

    async def chat(self, chat_id: str) -> bytes | None:
        return await self._query(CHAT, lambda rows: base64.b64decode(rows[0]["state"]) if rows else None, chat_id)

    async def keep_chat(self, chat_id: str, state: bytes) -> None:
        now = timestamp(datetime.now(UTC))
        await self._insert("chats", {"id": chat_id, "state": base64.b64encode(state).decode(), "at": now})

    async def close(self) -> None:
        # A call that nobody waits for any more is left to its own end.
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._opened is not None:
            self._opened.close()

    async def _insert(self, table: str, row: dict[str, Any]) -> None:
        await self._on_thread(lambda client: insert(client, f"{self._dataset}.{table}", row))

    async def _query(self, statement: str, read: Callable[[list[dict[str, Any]]], T], key: str | None = None) -> T:
        """What `read` makes of the rows, which are not what they should be if somebody else than BigQuery answers."""
        tables = {table: f"`{self._dataset}.{table}`" for table in TABLES}
        return await self._on_thread(lambda client: read(query(client, statement.format(**tables), key)))

    async def _on_thread(self, work: Callable[[Client], T]) -> T:
        """Raises StoreError, after PATIENCE seconds at the latest."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._attempt, work)
        except TimeoutError:
            log.error("the votes in %s: BigQuery did not answer within %g s", self._dataset, PATIENCE)
            raise StoreError("votes cannot be stored or read right now: try again later.") from None

    def _attempt(self, work: Callable[[Client], T]) -> T:
        from google.api_core.exceptions import NotFound
        from google.api_core.retry import Retry, if_exception_type

        try:
            client = self._client()
            try:
                return work(client)
            except NotFound:
                make_tables(client, self._dataset)
                # A new table takes a moment until every server of BigQuery knows it.
                patient = Retry(if_exception_type(NotFound), initial=0.25, maximum=4, timeout=PATIENCE)
                return patient(work)(client)
        except Exception as error:  # Google's library raises anything for an answer that is not BigQuery's.
            log.error("the votes in %s: %s", self._dataset, explain_failure(error))
            raise StoreError("votes cannot be stored or read right now: try again later.") from None

    def _client(self) -> Client:
        from google.cloud.bigquery import Client

        from app.bounded_adapter import bound

        with self._lock:
            if self._opened is None:
                self._opened = Client(project=self._project)
                bound(self._opened._http, MAX_ANSWER, PATIENCE)
                self._opened._http.hooks["response"].append(check_insertion)
            return self._opened


def check_insertion(response: Response, **options: Any) -> None:
    """Google's client takes any object for the news that a row is stored, and so would the voter. Raises RowRefused."""
    if response.ok and response.url.partition("?")[0].endswith("/insertAll") and INSERTED not in response.content:
        raise RowRefused("somebody else than BigQuery answered")


def explain_failure(error: Exception) -> str:
    """What happened, without anything that was sent: a server may repeat it."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError

    if isinstance(error, RowRefused):
        return str(error)
    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        return explain_failure(error.cause)
    if isinstance(error, GoogleAPICallError):
        told = f": {error.message[:MAX_QUOTED]}" if error.code in ABOUT_THE_ACCOUNT and error.errors else ""
        return f"HTTP status {error.code}{told}"
    return type(error).__name__


class RowRefused(Exception):
    """A row was not stored. The message names columns and no values."""


def make_tables(client: Client, dataset: str) -> None:
    """Create the missing tables.

    The dataset is created only if it is missing, because an account may be allowed to write to a dataset but not to create one.
    """
    from google.api_core.exceptions import NotFound

    try:
        for name in TABLES:
            make_table(client, dataset, name)
    except NotFound:
        client.create_dataset(dataset, exists_ok=True, timeout=PATIENCE)
        for name in TABLES:
            make_table(client, dataset, name)


def make_table(client: Client, dataset: str, name: str) -> None:
    from google.cloud.bigquery import SchemaField, Table, TimePartitioning

    layout = TABLES[name]
    schema = [SchemaField(column, kind, "REQUIRED") for column, kind in layout.columns.items()]
    table = Table(f"{dataset}.{name}", schema)
    table.time_partitioning = TimePartitioning(field=layout.partitioned_by)
    table.clustering_fields = [layout.clustered_by]
    client.create_table(table, exists_ok=True, timeout=PATIENCE)


def insert(client: Client, table: str, row: dict[str, Any]) -> None:
    """Add a row. The client gives it an insert id, so a retry does not add it twice. Raises GoogleAPIError, RowRefused."""
    from google.cloud.bigquery import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_timeout(PATIENCE).with_delay(initial=0.25, maximum=4)
    if refused := client.insert_rows_json(table, [row], retry=retry, timeout=PATIENCE):
        reasons = ", ".join(f"{error['reason']} in {error['location']}" for error in refused[0]["errors"])
        raise RowRefused(f"BigQuery refused the row: {reasons}"[:MAX_QUOTED])


def query(client: Client, statement: str, key: str | None) -> list[dict[str, Any]]:
    """The rows of a query, whose parameter `@id` is `key`. Raises GoogleAPIError."""
    from google.cloud.bigquery import DEFAULT_RETRY, QueryJobConfig, ScalarQueryParameter

    parameters = [] if key is None else [ScalarQueryParameter("id", "STRING", key)]
    rows = client.query_and_wait(
        statement,
        job_config=QueryJobConfig(query_parameters=parameters),
        retry=DEFAULT_RETRY.with_timeout(PATIENCE).with_delay(initial=0.25, maximum=4),
        job_retry=None,  # type: ignore[arg-type]  # None means that a failed job is not repeated.
        api_timeout=PATIENCE,
        wait_timeout=PATIENCE,
    )
    return [dict(row.items()) for row in rows]
