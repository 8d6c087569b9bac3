"""`fetch`: text from BigQuery, Reddit or files, cleaned into a corpus for `prepare`.

    python -m finetune fetch subreddit_comments --param subreddit=AmItheAsshole --out corpora/aita.jsonl

A query of bq_queries/ runs on BigQuery, or with --source on local files. `reddit`, `csv`, `hf-csv`, `aclImdb`, `jsonl` and
`ratings` are sources of their own. An interrupted fetch is resumed by the same command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from cyclopts import Parameter
from msgspec import Meta

from app.errors import SettingError
from finetune.data.text_encoding import check_encoding
from finetune.fetch.bigquery_cost import DOLLARS_PER_TIB, CostEstimate
from finetune.fetch.guardrails import GuardrailOptions
from finetune.fetch.named_source import SOURCE_KINDS, NamedSource
from finetune.fetch.parameters import bind_options
from finetune.fetch.query import read_query
from finetune.fetch.row_source import RowSource
from finetune.fetch.source_files import SourceText
from finetune.folder import refuse_overwriting
from finetune.option_ranges import option
from finetune.terminal import consents
from finetune.votes.preferences import write_preferences

if TYPE_CHECKING:
    from finetune.fetch.bigquery import BigQueryRows


SEVERAL = Parameter(consume_multiple=True)


@dataclass(frozen=True)
class FetchOptions:
    """Where to fetch from, what it may cost, and which texts to drop."""

    query: str
    """a query of bq_queries/, a .sql file of your own, or reddit, csv, hf-csv, aclImdb, jsonl, ratings"""
    _: KW_ONLY
    out: Path | None = None
    """the corpus to write, .jsonl or .parquet (a folder for ratings); what was fetched there before is replaced"""
    engine: Literal["bigquery", "duckdb"] | None = None
    """where a query runs: bigquery, or duckdb on the files of --source; by default duckdb if there is a --source"""
    source: Annotated[Sequence[str], SEVERAL] = ()
    """files, folders or patterns to read; TABLE=pattern where a query reads several tables"""
    encoding: str = "utf-8"
    """the text encoding of the files to read, such as utf-8 or cp1252"""
    param: Annotated[Sequence[str], SEVERAL] = ()
    """a parameter of the query as name=value, or another table as TABLE=project.dataset.table"""
    project: str | None = None
    """the Google Cloud project that is billed"""
    location: str | None = None
    """where BigQuery runs the query, such as US or EU"""
    budget: float = 1.0
    """dollars that a query may cost at most"""
    yes: bool = False
    """agree to the cost without being asked"""
    export: str | None = None
    """an address in Cloud Storage that BigQuery writes the result to, such as gs://bucket/part-*.jsonl.gz"""
    memory: str = "1GB"
    """memory for queries on files and for cleaning; beyond it they use the disk"""
    without: str = ""
    """guardrails to turn off, comma-separated"""
    min_tokens: int = GuardrailOptions.min_tokens
    """drop texts with fewer tokens"""
    max_tokens: int = GuardrailOptions.max_tokens
    """drop texts with more tokens"""
    min_score: int = GuardrailOptions.min_score
    """drop texts with a lower score"""
    blocklist: Path | None = GuardrailOptions.blocklist
    """a file of words and phrases, one a line; texts with one of them are dropped"""
    vocabulary: Path = GuardrailOptions.vocabulary
    """the folder of the model whose tokens are counted"""

    @property
    def guardrails(self) -> GuardrailOptions:
        without = tuple(name for name in self.without.split(",") if name)
        return GuardrailOptions(
            without, self.min_tokens, self.max_tokens, self.min_score, self.blocklist, self.vocabulary
        )


class RatingsOptions(msgspec.Struct, frozen=True):
    """The --param of `fetch ratings`."""

    minimum: Annotated[int, Meta(ge=1, description="how many more likes than dislikes a text needs")] = 1


class FetchMode(NamedTuple):
    """One way to fetch: what does it, the options that it takes, and the reason to refuse others."""

    fetch: Callable[[FetchOptions], None]
    takes: Sequence[str]
    reason: str


def fetch(options: Annotated[FetchOptions, Parameter(name="*")]) -> None:
    """Fetch text with a query, from Reddit or from files, and clean it into a corpus for prepare.

    Raises SettingError for a wrong option, and DataError for data that cannot be fetched or used.
    """
    if not options.budget >= 0:  # Written so that NaN is refused too.
        raise SettingError(f"--budget is {options.budget}, and should be dollars.")
    if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", options.memory):
        raise SettingError(f"--memory is {options.memory!r}, and should be a size such as 1GB.")
    check_encoding(options.encoding)
    mode = choose_mode(options)
    refuse_other_options(options, mode)
    mode.fetch(options)


def fetch_query_on_bigquery(options: FetchOptions) -> None:
    print_corpus(options, rows_on_bigquery(options))


def fetch_query_on_files(options: FetchOptions) -> None:
    from finetune.fetch.file_query import FileQueryRows

    if not options.source:
        raise SettingError("--engine duckdb reads files: name them with --source.")
    query = read_query(options.query)
    print_corpus(options, FileQueryRows(query, options.source, options.param, options.memory, options.encoding))


def fetch_named_source(options: FetchOptions) -> None:
    print_corpus(options, NamedSource(options.query, SourceText(options.source, options.encoding), options.param))


def export_query(options: FetchOptions) -> None:
    address = options.export or ""
    read = rows_on_bigquery(options).export(address)
    print(
        f"{address}: {read['bytes_read']:,} bytes read, {read['bytes_billed']:,} billed. Fetch and clean it with\n"
        f"  gcloud storage cp '{address}' exported/\n"
        "  python -m finetune fetch jsonl --source exported --out FILE.jsonl"
    )


def fetch_ratings(options: FetchOptions) -> None:
    """Ratings become a folder, since they have pairs besides texts."""
    if len(options.source) != 1 or options.out is None:
        raise SettingError("fetch ratings reads one store into a folder: --source sqlite:///PATH --out data/NAME.")
    store, out = options.source[0], options.out
    minimum = bind_options("fetch ratings", RatingsOptions, options.param).minimum
    refuse_overwriting(out, (out / "pairs.jsonl").is_file(), "fetched ratings")
    counts = write_preferences(store, out, minimum)
    guessed = f", {counts.guessed:,} texts with guesses" if counts.guessed else ""
    print(f"{out}: {counts.texts:,} texts with votes, {counts.liked:,} liked, {counts.pairs:,} pairs{guessed}")


# Options that every mode takes, even if it makes no use of them, so that one --config can serve several fetches.
IN_ALL_MODES = ("query", "param", "memory", "vocabulary")
GUARDRAILS = ("without", "min_tokens", "max_tokens", "min_score", "blocklist")
BILLING = ("project", "location", "budget", "yes")
QUERY_ON_BIGQUERY = FetchMode(
    fetch_query_on_bigquery, ("engine", *BILLING, "out", *GUARDRAILS), "a query on BigQuery reads no files"
)
QUERY_ON_FILES = FetchMode(
    fetch_query_on_files, ("engine", "source", "encoding", "out", *GUARDRAILS), "a query on files does not ask BigQuery"
)
EXPORT = FetchMode(
    export_query,
    ("engine", *BILLING, "export"),
    "with --export BigQuery reads its own tables and writes the result itself",
)
RATINGS = FetchMode(fetch_ratings, ("source", "out"), "ratings are taken as they are")


def named_source_mode(name: str) -> FetchMode:
    if SOURCE_KINDS[name].reads_files:
        return FetchMode(fetch_named_source, ("source", "encoding", "out", *GUARDRAILS), f"fetch {name} runs no query")
    return FetchMode(fetch_named_source, ("out", *GUARDRAILS), f"fetch {name} runs no query and reads no files")


def choose_mode(options: FetchOptions) -> FetchMode:
    if options.query == "ratings":
        return RATINGS
    if options.query in SOURCE_KINDS:
        return named_source_mode(options.query)
    if options.engine == "duckdb" or (options.engine is None and options.source):
        return QUERY_ON_FILES
    return QUERY_ON_BIGQUERY if options.export is None else EXPORT


def refuse_other_options(options: FetchOptions, mode: FetchMode) -> None:
    """Raises SettingError naming the first option that was given and has no effect."""
    for each in fields(options):
        given = getattr(options, each.name) != each.default
        if given and each.name not in (*IN_ALL_MODES, *mode.takes):
            raise SettingError(f"{option(each.name)} is given, and {mode.reason}: leave it out.")


def rows_on_bigquery(options: FetchOptions) -> BigQueryRows:
    from finetune.fetch.bigquery import BigQueryRows

    query = read_query(options.query)
    agree = partial(agree_to_cost, options, query.name)
    return BigQueryRows(query, options.param, agree, options.project, options.location)


def agree_to_cost(options: FetchOptions, query: str, estimate: CostEstimate) -> None:
    """Print the cost and, without --yes, ask for consent. Raises SettingError if it is refused or over the budget."""
    cost = f"{estimate.bytes_read / 1e9:,.2f} GB, ${estimate.dollars:,.2f} at ${DOLLARS_PER_TIB} a TiB"
    if estimate.dollars > options.budget:
        raise SettingError(
            f"{query} would read {cost}, and --budget is ${options.budget:,.2f}: nothing was billed. "
            "Ask for fewer months, or raise --budget."
        )
    print(f"{query} reads {cost}; the first TiB of a month is free.")
    if not options.yes and not consents("Run it?", "nobody is there to agree to that cost: add --yes."):
        raise SettingError("nothing was run, and nothing billed.")


def print_corpus(options: FetchOptions, source: RowSource) -> None:
    """Fetch the rows of a source into a corpus, and print how many were kept and dropped."""
    if options.out is None:
        raise SettingError("--out is missing: name the corpus to write, such as corpora/NAME.jsonl.")
    from finetune.fetch.corpus import fetch_corpus

    try:
        manifest = fetch_corpus(source, options.out, options.guardrails, options.memory, notify=print)
    except KeyboardInterrupt:
        print("\nThe rows fetched so far are kept: the same command resumes from here.")
        raise
    print(summary(options.out, manifest))


def summary(out: Path, manifest: Mapping[str, Any]) -> str:
    lines = [f"{out}: {manifest['rows']:,} rows found, {manifest['kept']:,} kept"]
    lines += [f"  {name:<16}{count:>12,} dropped" for name, count in manifest["dropped"].items()]
    lines += [f"  {name:<16}{count:>12,} conversations cut short" for name, count in manifest["cut"].items()]
    if manifest["replaced"]:
        lines.append(f"  {'personal':<16}{manifest['replaced']:>12,} with something replaced")
    if manifest.get("corrupt"):
        lines.append(f"  {manifest['corrupt']:,} lines were not rows and were skipped.")
        if first := manifest.get("first_corrupt"):
            lines.append(f"  The first: {first}")
    if manifest.get("unlabelled"):
        lines.append(f"  {manifest['unlabelled']:,} rows have no label, and so no control code.")
    for path, reason in manifest.get("incomplete", {}).items():
        lines.append(f"  {path} was not read to its end: {reason}. What came before it is kept.")
    return "\n".join(lines)
