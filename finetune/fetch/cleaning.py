"""Cleaning: DuckDB runs the guardrails over fetched rows, a block at a time, on all cores.

In a conversation each turn is judged. A turn that is dropped ends the conversation there; what is left is kept if it
still has two turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from app.engine.tokenizer import Tokenizer
from finetune.fetch.duckdb_session import LARGEST_ROW
from finetune.fetch.guardrails import REPLACEMENTS, UNTAGGED, GuardrailOptions, blocklist_pattern, read_tokenizer

# The schema of rows. Whatever else a row has is not read; what it lacks is NULL.
READ_ROWS = """
CREATE OR REPLACE TEMP TABLE rows AS
SELECT row_number() OVER () AS number, *
FROM read_json(?, format = 'newline_delimited', maximum_object_size = ?, columns = {
    body: 'VARCHAR', turns: 'VARCHAR[]', meta: 'JSON',
    author: 'VARCHAR', authors: 'VARCHAR[]', score: 'DOUBLE', scores: 'DOUBLE[]'
})"""

# One row per turn of a conversation. A document is a single turn.
DOCUMENT_TURNS = "SELECT number, 1 AS turn, body AS said, author, score FROM rows"
CONVERSATION_TURNS = """
SELECT number, turn, texts[turn] AS said, coalesce(authors[turn], author) AS author, coalesce(scores[turn], score) AS score
FROM (
    SELECT *, unnest(range(1, len(texts) + 1)) AS turn
    FROM (SELECT *, CASE WHEN len(turns) > 0 THEN turns ELSE [body] END AS texts FROM rows)
)"""

# Trimming costs as much as all conditions together, and few texts need it.
TRIM = r"""
SELECT *, said AS text
FROM (
    SELECT * REPLACE (
        CASE WHEN said[1] IN (' ', E'\t', E'\r', E'\n') OR said[-1] IN (' ', E'\t', E'\r', E'\n')
        THEN trim(said, E' \t\r\n') ELSE coalesce(said, '') END AS said
    )
    FROM turns
)"""

# One row per document: `turns_kept` of its `texts` stay, and `reason` is the guardrail that dropped it or cut it short.
JUDGE_DOCUMENTS = """
SELECT number, changed, reason, reason IS NOT NULL AS dropped, 1 AS turns_kept, [text] AS texts FROM judged_turns"""
JUDGE_CONVERSATIONS = """
SELECT *, (turns_kept < 2 AND turns_kept < turns_found) OR turns_kept = 0 AS dropped
FROM (
    SELECT
        number,
        count(*) AS turns_found,
        bool_or(changed) AS changed,
        coalesce(min(turn) FILTER (reason IS NOT NULL) - 1, count(*)) AS turns_kept,
        arg_min(reason, turn) FILTER (reason IS NOT NULL) AS reason,
        list(text ORDER BY turn) AS texts
    FROM judged_turns
    GROUP BY number
)"""

# The guardrail "copy". Texts are copies if they are equal without case and punctuation; one without any letter or digit
# is compared as it is. `seen` has the hashes of earlier blocks.
HASH_TEXTS = r"""
CREATE OR REPLACE TEMP TABLE hashed AS
SELECT number, hash(coalesce(nullif(trim(regexp_replace(lower(text), '[^\pL\pN ]+', '', 'g')), ''), text)) AS key
FROM (SELECT number, array_to_string(texts[1:turns_kept], ' ') AS text FROM documents WHERE NOT dropped)"""
DROP_COPIES = """
UPDATE documents SET dropped = TRUE, reason = 'copy' WHERE number IN (
    SELECT number FROM hashed WHERE key IN (SELECT key FROM seen)
    UNION ALL
    SELECT number FROM hashed QUALIFY row_number() OVER (PARTITION BY key ORDER BY number) > 1
)"""
REMEMBER_TEXTS = "INSERT INTO seen SELECT DISTINCT key FROM hashed WHERE key NOT IN (SELECT key FROM seen)"

COUNT = "SELECT dropped, reason, count(*), count(*) FILTER (changed AND NOT dropped) FROM documents GROUP BY ALL"


@dataclass
class CleaningReport:
    """What became of the rows. `dropped` and `cut` (conversations cut short) count documents by guardrail."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    """Documents in which personal data was replaced."""


class Cleaner:
    """Cleans blocks of rows. A text of one block is known as a copy in the next."""

    def __init__(self, options: GuardrailOptions, columns: Collection[str], folder: Path, memory: str) -> None:
        """`columns` are those of the rows. DuckDB uses at most `memory`, such as 1GB, and keeps the rest in `folder`."""
        self.report = CleaningReport()
        self._options = options
        self._conversations = "turns" in columns
        self._columns = columns
        self._connection = duckdb.connect()
        self._run("SET memory_limit = ?", memory)
        self._run("SET temp_directory = ?", str(folder / "spilled"))
        self._run("CREATE OR REPLACE TABLE seen (key UBIGINT)")
        self._set_variables()
        if options.counts_tokens:
            self._add_token_counter()

    def close(self) -> None:
        self._connection.close()

    def clean(self, block: Path, out: Path) -> None:
        """Write the documents that are kept of a block, a file of rows, to `out`, as JSON lines for `prepare`."""
        self._run(READ_ROWS, str(block), LARGEST_ROW)
        self._create_views()
        self._run(f"CREATE OR REPLACE TEMP TABLE judged_turns AS {self._judge_turns()}")
        judge = JUDGE_CONVERSATIONS if self._conversations else JUDGE_DOCUMENTS
        self._run(f"CREATE OR REPLACE TEMP TABLE documents AS {judge}")
        if "copy" in self._options.names:
            for statement in (HASH_TEXTS, DROP_COPIES, REMEMBER_TEXTS):
                self._run(statement)
        self._count()
        self._run(f"COPY ({self._kept_documents()}) TO ? (FORMAT json)", str(out))

    def _run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.execute(sql, values).fetchall()
        return found

    def _set_variables(self) -> None:
        options = self._options
        for name in ("min_tokens", "max_tokens", "min_score"):
            self._run(f"SET VARIABLE {name} = ?", getattr(options, name))
        self._run("SET VARIABLE blocklist = ?", blocklist_pattern(options.blocklist) if options.blocklist else "")

    def _add_token_counter(self) -> None:
        from duckdb.func import PythonUDFType

        count = partial(count_tokens, read_tokenizer(self._options.vocabulary))
        self._connection.create_function("tokens", count, ["VARCHAR"], "BIGINT", type=PythonUDFType.ARROW)

    def _create_views(self) -> None:
        """The steps from rows to texts, each a view of the one before; the last is `cleaned_turns`."""
        steps = {
            "turns": CONVERSATION_TURNS if self._conversations else DOCUMENT_TURNS,
            "trimmed": TRIM,
        }
        last = "trimmed"
        for name, expression in REPLACEMENTS.items() if "personal" in self._options.names else ():
            steps[name] = f"SELECT * REPLACE ({expression} AS text) FROM {last}"
            last = name
        steps["cleaned_turns"] = f"SELECT *, {UNTAGGED} AS untagged FROM {last}"
        for name, query in steps.items():
            self._run(f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")

    def _judge_turns(self) -> str:
        """One row per turn: its text, whether that was changed, and the guardrail that drops it."""
        cases = [f"WHEN ({each.condition}) THEN '{each.name}'" for each in self._options.active if each.condition]
        reason = f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"
        return f"SELECT number, turn, text, text != said AS changed, {reason} AS reason FROM cleaned_turns"

    def _count(self) -> None:
        for dropped, reason, count, changed in self._run(COUNT):
            self.report.read += count
            self.report.kept += 0 if dropped else count
            self.report.replaced += changed
            if reason is not None:
                (self.report.dropped if dropped else self.report.cut)[reason] += count

    def _kept_documents(self) -> str:
        is_conversation = "coalesce(len(rows.turns), 0) > 0 OR rows.body IS NULL"
        wanted = {
            "body": f"CASE WHEN NOT ({is_conversation}) THEN texts[1] END" if self._conversations else "texts[1]",
            "turns": f"CASE WHEN {is_conversation} THEN texts[1:turns_kept] END",
            "meta": "meta",
        }
        columns = ", ".join(f"{wanted[name]} AS {name}" for name in wanted if name in self._columns)
        return f"SELECT {columns} FROM documents JOIN rows USING (number) WHERE NOT dropped ORDER BY number"


def count_tokens(tokenizer: Tokenizer, texts: Any) -> Any:
    """An Arrow array of texts as an Arrow array of their numbers of tokens."""
    import pyarrow as pa

    return pa.array([len(ids) for ids in tokenizer.encode_batch(texts.to_pylist())], pa.int64())
