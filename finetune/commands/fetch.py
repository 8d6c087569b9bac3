"""`fetch`: text from where it lies into a corpus for `prepare`.

    python -m finetune fetch subreddit_comments --param subreddit=AmItheAsshole --out corpora/aita.jsonl

A query of bq_queries/ runs on BigQuery, or on local files with --source; `reddit`, `csv`, `hf-csv`, `aclImdb` and `jsonl` are
sources of their own. Whatever comes is cleaned (finetune/fetch/cleaning.py). Interrupted, the same command goes on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from app.errors import DataError, SettingError
from finetune.data.input_files import files_under
from finetune.fetch import files, reddit
from finetune.fetch.cleaning import Guardrails
from finetune.fetch.corpus import refuse_overwriting, write_corpus
from finetune.fetch.journal import Journal
from finetune.fetch.query import Parameter, Query, SqlError, Value, bind, read_query, split_tables

Engine = Literal["bigquery", "duckdb"]
BUDGET = 1.0
RATINGS = (Parameter("minimum", "INT64", 1, "by how many likes must outnumber dislikes"),)
# What is no query: its parameters, and what brings its rows.
OTHERS: dict[str, tuple[Sequence[Parameter], Any]] = {
    "reddit": (reddit.PARAMETERS, reddit.fetch_rows),
    "csv": (files.CSV, files.fetch_csv),
    "hf-csv": (files.HF_CSV, files.fetch_csv),
    "aclImdb": (files.ACL_IMDB, files.fetch_acl_imdb),
    "jsonl": ((), files.fetch_jsonl),
}


def fetch(
    query: str,
    out: Path | None = None,
    engine: Engine | None = None,
    source: Sequence[str] = (),
    param: Sequence[str] = (),
    project: str | None = None,
    location: str | None = None,
    budget: float = BUDGET,
    yes: bool = False,
    export: str | None = None,
    memory: str = "1GB",
    without: str = "",
    min_tokens: int = Guardrails.min_tokens,
    max_tokens: int = Guardrails.max_tokens,
    min_score: int = Guardrails.min_score,
    blocklist: Path | None = None,
    vocabulary: Path = Guardrails.vocabulary,
) -> None:
    """Fetch text with a query, from Reddit or from files, and clean it into a corpus for prepare.

    Args:
        query: a query of bq_queries/, a .sql file of your own, or reddit, csv, hf-csv, aclImdb, jsonl, ratings
        out: the corpus to write, .jsonl or .parquet (a folder for ratings); what was fetched there before is replaced
        engine: where a query runs: bigquery, or duckdb on the files of --source; without it, what --source suggests
        source: files, folders or patterns to read; TABLE=pattern where a query reads several tables
        param: a parameter of the query as name=value, or another table as TABLE=project.dataset.table
        project: the Google Cloud project that is billed
        location: where BigQuery runs the query, such as US or EU
        budget: dollars that a query may cost at most
        yes: agree to the cost without being asked
        export: an address in Cloud Storage for BigQuery to write to by itself, such as gs://bucket/part-*.jsonl.gz
        memory: what a query on files and cleaning may take before they use the disk
        without: guardrails to leave out, with commas between
        min_tokens: shorter texts are dropped
        max_tokens: longer texts are dropped
        min_score: what was voted lower is dropped
        blocklist: a file of words and phrases, one a line; texts with one of them are dropped
        vocabulary: the folder of the model whose tokens are counted
    """
    guardrails = Guardrails(
        tuple(name for name in without.split(",") if name), min_tokens, max_tokens, min_score, blocklist, vocabulary
    )
    if not budget >= 0:  # Written so that NaN is refused too.
        raise SettingError(f"--budget is {budget}, and should be dollars.")
    if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", memory):
        raise SettingError(f"--memory is {memory!r}, and should be a size such as 1GB.")
    cloud: dict[str, object] = {
        "project": project,
        "location": location,
        "export": export,
        "yes": yes,
        "budget": budget != BUDGET,
    }
    place: Place
    if query == "ratings":
        refuse_given({"engine": engine} | cloud | changed(guardrails), "ratings are taken as they are")
        fetch_ratings(source, out, param)
        return
    if query in OTHERS:
        refuse_given({"engine": engine} | cloud, f"fetch {query} runs no query")
        place = Other(query, source, param)
    elif engine == "duckdb" or (engine is None and source):
        refuse_given(cloud, "a query on files does not ask BigQuery")
        place = Files(read_query(query), source, param, memory)
    else:
        refuse_given({"source": source}, "a query on BigQuery reads no files")
        place = job = Cloud(read_query(query), param, project, location, budget, yes)
        if export is not None:
            refuse_given({"out": out} | changed(guardrails), "BigQuery writes to --export by itself")
            print(job.export(export))
            return
    print(fetch_corpus(place, out, guardrails, memory))


class Place(Protocol):
    """Where rows come from."""

    @property
    def path(self) -> Path | None:
        """The query's file, if there is one."""

    def asked(self) -> dict[str, Any]:
        """What is asked of it, all that changes the answer included. Raises SettingError or DataError."""

    def columns(self) -> Collection[str]:
        """What the rows will have, where that is known before."""

    def rows(self, journal: Journal) -> dict[str, Any]:
        """Leave the rows in the journal. Returns what the manifest says of reading them."""


class Cloud:
    """A query on BigQuery."""

    def __init__(
        self, query: Query, param: Sequence[str], project: str | None, location: str | None, budget: float, yes: bool
    ) -> None:
        given, tables = split_tables(query, param)
        self.query, self.path, self.values = query, query.path, bind(query.name, query.parameters, given)
        self.sql = query.sql(tables)
        self.project, self.location, self.budget, self.yes = project, location, budget, yes

    def asked(self) -> dict[str, Any]:
        return origin_of(self.query, "bigquery", self.values) | {"project": self.project, "sql": self.sql}

    def columns(self) -> Collection[str]:
        return columns_of(self.query)

    def rows(self, journal: Journal) -> dict[str, Any]:
        from finetune.fetch import bigquery

        client = bigquery.connect(self.project, self.location)
        read = bigquery.fetch_rows(client, self.query, self.sql, self.values, journal, self.budget, self.yes)
        return origin_of(self.query, "bigquery", self.values) | read

    def export(self, address: str) -> str:
        from finetune.fetch import bigquery

        bigquery.options_of(address)
        client = bigquery.connect(self.project, self.location)
        read = bigquery.export(client, self.query, self.sql, self.values, address, self.budget, self.yes)
        return (
            f"{address}: {read['bytes_read']:,} bytes read, {read['bytes_billed']:,} billed. Fetch and clean it with\n"
            f"  gcloud storage cp '{address}' exported/\n"
            "  python -m finetune fetch jsonl --source exported --out FILE.jsonl"
        )


class Files:
    """A query on local files."""

    def __init__(self, query: Query, source: Sequence[str], param: Sequence[str], memory: str) -> None:
        from finetune.fetch import local

        if not source:
            raise SettingError("--engine duckdb reads files: name them with --source.")
        self.query, self.path, self.memory = query, query.path, memory
        self.values = bind(query.name, query.parameters, param)
        self.files = local.files_of(query, source)

    def asked(self) -> dict[str, Any]:
        read = [(name, stamps(paths)) for name, paths in self.files.items()]
        return origin_of(self.query, "duckdb", self.values) | {"files": read}

    def columns(self) -> Collection[str]:
        return columns_of(self.query)

    def rows(self, journal: Journal) -> dict[str, Any]:
        from finetune.fetch import local

        read = local.fetch_rows(self.query, self.values, self.files, journal, self.memory)
        sources = [str(path) for paths in self.files.values() for path in paths]
        return origin_of(self.query, "duckdb", self.values) | {"sources": sources} | read._asdict()


class Other:
    """Reddit, or files that no query is asked of."""

    def __init__(self, name: str, source: Sequence[str], param: Sequence[str]) -> None:
        parameters, self.fetch_rows = OTHERS[name]
        self.name, self.path, self.source = name, None, source
        self.values = bind(f"fetch {name}", parameters, param)

    def asked(self) -> dict[str, Any]:
        paths = [
            file for source in self.source for path in [Path(source)] if path.exists() for file in files_under(path)
        ]
        return {"query": self.name, "parameters": self.values, "sources": list(self.source), "files": stamps(paths)}

    def columns(self) -> Collection[str]:
        return ("body",)

    def rows(self, journal: Journal) -> dict[str, Any]:
        read: dict[str, Any] = self.fetch_rows(self.source, self.values, journal)
        return {"query": self.name, "parameters": self.values, "sources": list(self.source)} | read


def fetch_corpus(place: Place, out: Path | None, guardrails: Guardrails, memory: str) -> str:
    """Fetch, clean and write, each only if it was not done before an interruption."""
    if out is None:
        raise SettingError("--out is missing: name the corpus to write, such as corpora/NAME.jsonl.")
    refuse_overwriting(out)
    with placed(place):
        guardrails.refuse_wrong(place.columns())
    journal = Journal(out, place.asked())
    try:
        if "origin" not in journal.state:
            with placed(place):
                journal.keep(origin=place.rows(journal))
        return write_corpus(out, journal, guardrails, memory, journal.state["origin"])
    except KeyboardInterrupt:
        print("\nWhat came so far is kept: the same command goes on from here.")
        raise


@contextmanager
def placed(place: Place) -> Iterator[None]:
    """Say where in its file a query is wrong."""
    try:
        yield
    except SqlError as error:
        raise DataError(f"{place.path}, line {error.line}, column {error.column}: {error}.") from None


def fetch_ratings(source: Sequence[str], out: Path | None, param: Sequence[str]) -> None:
    """What people liked of what was shown to them, as a folder: it has pairs besides texts."""
    from finetune.votes.preferences import ratings

    if len(source) != 1 or out is None:
        raise SettingError("fetch ratings reads one store into a folder: --source sqlite:///PATH --out data/NAME.")
    ratings(source[0], out, int(bind("fetch ratings", RATINGS, param)["minimum"]))


def changed(guardrails: Guardrails) -> dict[str, object]:
    """The guardrails that are not as they usually are."""
    usual = Guardrails()
    names = ("without", "min_tokens", "max_tokens", "min_score", "blocklist")
    return {name: getattr(guardrails, name) != getattr(usual, name) for name in names}


def refuse_given(options: Mapping[str, object], why: str) -> None:
    for name, value in options.items():
        if value:
            raise SettingError(f"--{name} is given, and {why}: leave it out.")


def origin_of(query: Query, engine: Engine, values: Mapping[str, Value]) -> dict[str, Any]:
    return {"query": query.name, "query_sha256": query.sha256, "engine": engine, "parameters": dict(values)}


def columns_of(query: Query) -> Collection[str]:
    """Raises SqlError for a file that is no query."""
    from finetune.fetch.googlesql import selected

    return selected(query.text)


def stamps(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """What changes when a file does."""
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
