"""What keeps rubbish out of a corpus: filters, each with a name and all of them on, and every text they drop counted by name.

    deleted      what was deleted or removed
    bot          what a bot wrote, by its name or its own words
    score        what was voted below --min_score
    link         links
    quote        lines that quote another comment
    short, long  fewer tokens than --min_tokens, more than --max_tokens
    stop_word    no common English word in it: another language, code, or a list
    shouting     five capitals in a row
    word         a word of more than thirty letters
    repetition   the same word three times in a row
    blocklist    a word or phrase of --blocklist
    copy         what was said before, but for case and punctuation; `prepare` finds what is alike besides
    personal     drops nothing: e-mail addresses, telephone numbers and user names become [email], [phone] and [user]

In a conversation each turn is judged. One that is dropped takes the turns after it along, and what is left is kept if it is
two turns still. The conditions are SQL that DuckDB runs on all cores, a block of rows at a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from app.engine.tokenizer import Tokenizer
from app.errors import DataError, SettingError
from finetune.data.vocabulary import read_vocabulary

STOP_WORDS = (
    "a an and are as at be been but by can did do does for from had has have he her his how i if in is it its just me my no "
    "not of on or our out she so some than that the their them then there they this to too up us was we were what when "
    "which who why will with would you your"
)
# In this order, so that a text counts for the first that drops it. `text` has had personal data taken out.
CONDITIONS = {
    "deleted": "text IN ('', '[deleted]', '[removed]', '[ Removed by Reddit ]')",
    "bot": r"""regexp_matches(author, '^(?i:automoderator)$|(?:^|[-_])(?i:bot)\d*$|[a-z]Bot\d*$')
        OR CASE WHEN contains(lower(text), 'bot') OR contains(lower(text), 'automatically')
        THEN regexp_matches(text, '(?i)\bI(?: a|'')m a bot\b|performed automatically') ELSE FALSE END""",
    "score": "score < {min_score}",
    "link": "contains(text, '://') OR contains(text, 'www.') OR contains(text, '](')",
    "quote": r"""CASE WHEN contains(text, '>') OR contains(text, '&gt;')
        THEN regexp_matches(text, '(?m)^\s*(?:>|&gt;)') ELSE FALSE END""",
    "shouting": "regexp_matches(text, '[A-Z]{{5}}')",
    "word": r"regexp_matches(text, '\S{{31}}')",
    "stop_word": r"NOT regexp_matches(text, '(?i)\b(?:{stop_words})\b')",
    "repetition": """list_reduce(list_transform(string_split(lower(text), ' '), lambda word: {{'word': word, 'times': 1}}),
        lambda one, next: {{'word': next.word, 'times': CASE WHEN one.times = 3 THEN 3
        WHEN one.word = next.word THEN one.times + 1 ELSE 1 END}}).times = 3""",
    "blocklist": "regexp_matches(text, '{blocklist}')",
    # A token is a byte at least, and a word a token: few texts have to be tokenized to be told.
    "short": """CASE WHEN len(string_split(text, ' ')) < {min_tokens} THEN tokens(text) < {min_tokens} ELSE FALSE END""",
    "long": """CASE WHEN strlen(text) > {max_tokens} THEN tokens(text) > {max_tokens} ELSE FALSE END""",
}
# What is looked for only where there may be some, by what, and what takes its place.
PERSONAL = (
    ("contains(text, '@')", r"[\w.+-]+@[\w-]+\.[\w.-]*\w", "[email]"),
    ("TRUE", r"(?:\+\d|\(\d|\b\d)(?:[ ().-]{0,3}\d){9,14}\b|\b\d{3}[-.]\d{4}\b", "[phone]"),
    (
        "contains(text, '@') OR contains(lower(text), 'u/')",
        r"(^|[^\w/])/?[uU]/[\w-]{3,20}|(^|[^\w])@\w{2,30}",
        r"\1\2[user]",
    ),
)
# To trim a text costs as much as all of its filters together, and few have to be.
BLANK = r"(' ', E'\t', E'\r', E'\n')"
STRIPPED = (
    rf"CASE WHEN said[1] IN {BLANK} OR said[-1] IN {BLANK} THEN trim(said, E' \t\r\n') ELSE coalesce(said, '') END"
)
NAMES = (*CONDITIONS, "copy", "personal")
COLUMNS = {
    "body": "VARCHAR", "turns": "VARCHAR[]", "meta": "JSON", "author": "VARCHAR", "authors": "VARCHAR[]", "score": "DOUBLE",
    "scores": "DOUBLE[]",
}  # fmt: skip


@dataclass(frozen=True)
class Guardrails:
    """Which filters are on, and their limits. `vocabulary` is the folder of a model, whose tokens are counted."""

    without: Sequence[str] = ()
    min_tokens: int = 2
    max_tokens: int = 1024
    min_score: int = 1
    blocklist: Path | None = None
    vocabulary: Path = Path("models/124M")

    @property
    def names(self) -> list[str]:
        """The filters that are on. Without a list there is nothing to block."""
        return [name for name in NAMES if name not in self.without and (name != "blocklist" or self.blocklist)]

    def refuse_wrong(self, columns: Collection[str]) -> None:
        """Before anything is fetched or billed. `columns` are those of the rows to come."""
        for name in self.without:
            if name not in NAMES:
                raise SettingError(f"--without is {name!r}, and should be some of {','.join(NAMES)}.")
        if not 1 <= self.min_tokens <= self.max_tokens:
            raise SettingError(
                f"--min_tokens is {self.min_tokens} and --max_tokens {self.max_tokens}, and should be 1 or more, in this order."
            )
        if self.blocklist is not None and "blocklist" in self.without:
            raise SettingError("--blocklist names a file and --without leaves that filter out: give one of the two.")
        if self.blocklist is not None:
            blocked(self.blocklist)
        if {"short", "long"} & set(self.names) and {"body", "turns", "*"} & set(columns):
            tokenizer_of(self.vocabulary)


@dataclass
class Report:
    """What became of the rows: documents read and kept, dropped by filter, conversations cut short by filter."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    """Documents in which personal data was replaced."""


class Cleaner:
    """Cleans blocks of rows, one after another; what one block said is known to the next."""

    def __init__(self, guardrails: Guardrails, columns: Sequence[str], folder: Path, memory: str) -> None:
        import duckdb
        from duckdb.func import PythonUDFType

        self.report = Report()
        self._names = guardrails.names
        self._columns = [name for name in COLUMNS if name in columns]
        self._turned = "turns" in self._columns
        self._connection = duckdb.connect(str(folder / "cleaning.duckdb"))
        self._run(f"SET memory_limit = '{memory}'")
        self._run("CREATE OR REPLACE TABLE seen (key UBIGINT)")
        self._conditions = conditions(guardrails)
        if {"short", "long"} & set(self._conditions):
            tokenizer = tokenizer_of(guardrails.vocabulary)
            self._connection.create_function(
                "tokens", partial(count_tokens, tokenizer), ["VARCHAR"], "BIGINT", type=PythonUDFType.ARROW
            )

    def close(self) -> None:
        self._connection.close()

    def clean(self, block: Path, out: Path) -> None:
        """Write what stays of a block of rows.jsonl to `out`, as lines for `prepare`."""
        columns = ", ".join(f"'{name}': '{COLUMNS[name]}'" for name in self._columns)
        self._run(f"""CREATE OR REPLACE TEMP TABLE rows AS SELECT row_number() OVER () AS number, * FROM read_json(
            '{block}', format = 'newline_delimited', columns = {{{columns}}}, maximum_object_size = {2**26})""")
        self._run(f"CREATE OR REPLACE TEMP TABLE judged AS {self._judged()}")
        self._run(f"CREATE OR REPLACE TEMP TABLE kept AS {self._kept()}")
        if "copy" in self._names:
            self._drop_copies()
        self._count()
        self._run(f"COPY ({self._written()}) TO '{out}' (FORMAT json)")

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return found

    def _judged(self) -> str:
        """A row for each turn: its text, whether it was changed, and the filter that drops it."""
        texts = f"SELECT *, said AS text FROM (SELECT * REPLACE ({STRIPPED} AS said) FROM ({self._turns()}))"
        for guard, pattern, replacement in PERSONAL if "personal" in self._names else ():
            replaced = f"regexp_replace(text, '{pattern}', '{replacement}', 'g')"
            texts = f"SELECT * REPLACE (CASE WHEN {guard} THEN {replaced} ELSE text END AS text) FROM ({texts})"
        reason = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in self._conditions.items())
        return f"""
            SELECT number, turn, text, text != said AS changed, {f"CASE {reason} END" if reason else "NULL::VARCHAR"} AS reason
            FROM ({texts})"""

    def _turns(self) -> str:
        """A row for each turn as it came, with who said it and how it was liked."""
        if not self._turned:
            author = "author" if "author" in self._columns else "NULL::VARCHAR AS author"
            score = "score" if "score" in self._columns else "NULL::DOUBLE AS score"
            return f"SELECT number, 1 AS turn, body AS said, {author}, {score} FROM rows"
        body = "[body]" if "body" in self._columns else "['']"
        return f"""
            SELECT number, turn, texts[turn] AS said, {self._each("author", "VARCHAR")}, {self._each("score", "DOUBLE")}
            FROM (SELECT *, unnest(range(1, len(texts) + 1)) AS turn FROM (
                SELECT *, CASE WHEN len(turns) > 0 THEN turns ELSE {body} END AS texts FROM rows
            ))"""

    def _each(self, name: str, kind: str) -> str:
        """What a turn has of its own, else its conversation."""
        given = [column for column in (f"{name}s", name) if column in self._columns]
        values = [f"{column}[turn]" if column != name else column for column in given]
        return f"coalesce({', '.join([*values, 'NULL', 'NULL'])})::{kind} AS {name}"

    def _kept(self) -> str:
        """A row for each document: what stays of its texts, and the filter that dropped it or cut it short."""
        if not self._turned:
            return """
                SELECT number, changed, reason, reason IS NOT NULL AS dropped, 1 AS stay, [text] AS texts FROM judged"""
        return """
            SELECT *, (stay < 2 AND stay < said) OR stay = 0 AS dropped FROM (
                SELECT number, count(*) AS said, bool_or(changed) AS changed,
                    coalesce(min(turn) FILTER (reason IS NOT NULL) - 1, count(*)) AS stay,
                    arg_min(reason, turn) FILTER (reason IS NOT NULL) AS reason,
                    list(text ORDER BY turn) AS texts
                FROM judged GROUP BY number
            )"""

    def _drop_copies(self) -> None:
        self._run(r"""
            CREATE OR REPLACE TEMP TABLE keyed AS SELECT number, hash(coalesce(nullif(trim(
                regexp_replace(lower(text), '[^\pL\pN ]+', '', 'g')), ''), text)) AS key
            FROM (SELECT number, array_to_string(texts[1:stay], ' ') AS text FROM kept WHERE NOT dropped)""")
        self._run("""
            UPDATE kept SET dropped = TRUE, reason = 'copy' WHERE number IN (
                SELECT number FROM keyed WHERE key IN (SELECT key FROM seen)
                UNION ALL SELECT number FROM keyed QUALIFY row_number() OVER (PARTITION BY key ORDER BY number) > 1)""")
        self._run("INSERT INTO seen SELECT DISTINCT key FROM keyed WHERE key NOT IN (SELECT key FROM seen)")

    def _count(self) -> None:
        for dropped, reason, count, changed in self._run(
            "SELECT dropped, reason, count(*), count(*) FILTER (changed AND NOT dropped) FROM kept GROUP BY ALL"
        ):
            self.report.read += count
            self.report.kept += 0 if dropped else count
            self.report.replaced += changed
            if reason is not None:
                (self.report.dropped if dropped else self.report.cut)[reason] += count

    def _written(self) -> str:
        value = "texts[1:stay] AS turns" if self._turned else "texts[1] AS body"
        if "meta" in self._columns:
            return f"SELECT {value}, meta FROM kept JOIN rows USING (number) WHERE NOT dropped ORDER BY number"
        return f"SELECT {value} FROM kept WHERE NOT dropped ORDER BY number"


def conditions(guardrails: Guardrails) -> dict[str, str]:
    """The SQL of each filter that is on."""
    values = {
        "min_score": guardrails.min_score,
        "min_tokens": guardrails.min_tokens,
        "max_tokens": guardrails.max_tokens,
        "stop_words": STOP_WORDS.replace(" ", "|"),
        "blocklist": blocked(guardrails.blocklist) if guardrails.blocklist else "",
    }
    return {
        name: f"({condition.format_map(values)})" for name, condition in CONDITIONS.items() if name in guardrails.names
    }


def blocked(path: Path) -> str:
    """A blocklist, a word or phrase a line, as one regular expression for a string of SQL."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not utf-8: convert it.") from None
    phrases = [re.escape(line.strip()).replace("'", "''") for line in lines if line.strip()]
    if not phrases:
        raise DataError(f"{path} has no word: a blocklist is a word or phrase a line.")
    return rf"(?i)(?:^|\W)(?:{'|'.join(phrases)})(?:\W|$)"


@cache
def tokenizer_of(vocabulary: Path) -> Tokenizer:
    return read_vocabulary(vocabulary, "--without short,long counts no tokens")


def count_tokens(tokenizer: Tokenizer, texts: Any) -> Any:
    import pyarrow as pa

    return pa.array([len(ids) for ids in tokenizer.encode_batch(texts.to_pylist())], pa.int64())


def columns_of(rows: Path) -> list[str]:
    """What the rows of a file have, by the first of them."""
    with rows.open("rb") as file:
        first = file.readline()
    return list(msgspec.json.decode(first, type=dict[str, Any])) if first else []
