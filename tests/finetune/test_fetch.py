"""`fetch` from files: a query, tables, reviews and lines become a corpus with its manifest, or one sentence says why not."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from app.errors import DataError, SettingError
from finetune.__main__ import main
from finetune.commands.fetch import fetch
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data, texts_of
from finetune.data.vocabulary import learn_vocabulary
from finetune.fetch.journal import Journal
from tests.conftest import TEXTS
from tests.finetune.votes.polls import fill, votes

Fetch = Callable[..., list[dict[str, Any]]]
FIRST = 1564617600
"""The beginning of August 2019."""


def comment(number: int, **changes: Any) -> dict[str, Any]:
    usual = {
        "id": f"c{number}", "parent_id": "t3_x", "author": "ann", "subreddit": "AmItheAsshole", "created_utc": FIRST + number,
        "score": 5, "body": f"YTA, and this is why, number {number}.", "edited": False,
    }  # fmt: skip
    return usual | changes


COMMENTS = [comment(number, subreddit=["AmItheAsshole", "Jokes"][number % 2]) for number in range(40)]
BODIES = [{"body": row["body"]} for row in COMMENTS[::2]]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary(folder, TEXTS, size=300)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "corpora" / "out.jsonl"


@pytest.fixture
def run(out: Path, vocabulary: Path) -> Fetch:
    """Fetch into a file and read it."""

    def fetched(query: str, *sources: Path | str, **options: Any) -> list[dict[str, Any]]:
        fetch(query, out, source=[str(source) for source in sources], **{"vocabulary": vocabulary} | options)
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return fetched


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.with_name(f"{out.name}.manifest.json").read_text())
    return found


def write(path: Path, rows: list[dict[str, Any]] = COMMENTS) -> Path:
    """Rows as the kind of file that the name says."""
    match path.suffix:
        case ".zst":
            path.write_bytes(zstandard.compress(lines(rows)))
        case ".gz":
            path.write_bytes(gzip.compress(lines(rows)))
        case ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
        case ".parquet":
            (path.with_suffix(".lines")).write_bytes(lines(rows))
            read = f"read_json('{path.with_suffix('.lines')}', format = 'newline_delimited')"
            duckdb.execute(f"COPY (SELECT * FROM {read}) TO '{path}' (FORMAT parquet)").fetchall()
        case _:
            path.write_bytes(lines(rows))
    return path


@pytest.mark.parametrize(
    "name", ["RC_2019-08.zst", "all.jsonl", "all.jsonl.gz", "all.ndjson", "all.csv", "all.parquet"]
)
def test_a_query_reads_files_of_any_kind(name: str, run: Fetch, tmp_path: Path) -> None:
    assert run("subreddit_comments", write(tmp_path / name)) == BODIES


def test_several_files_are_one_table(run: Fetch, tmp_path: Path) -> None:
    write(tmp_path / "RC_2019-08.zst", COMMENTS[:20])
    write(tmp_path / "RC_2019-09.jsonl", COMMENTS[20:])
    assert run("subreddit_comments", tmp_path / "RC_*") == BODIES
    assert run("subreddit_comments", tmp_path / "RC_2019-08.zst", tmp_path / "RC_2019-09.jsonl") == BODIES
    assert run("subreddit_comments", tmp_path / "RC_*", tmp_path, without="copy") == BODIES


def test_the_manifest_says_what_was_asked_of_what_and_what_became_of_it(run: Fetch, out: Path, tmp_path: Path) -> None:
    rows = [*COMMENTS, comment(90, body="YTA, see https://a.example"), comment(91, body="YTA, and that is u/bob.")]
    path = write(tmp_path / "RC_2019-08.zst", rows)
    run("subreddit_comments", path, param=["pattern=YTA"])
    found = manifest(out)
    assert (found["query"], found["engine"], found["sources"]) == ("subreddit_comments", "duckdb", [str(path)])
    assert found["parameters"] == {
        "subreddit": "AmItheAsshole", "pattern": "YTA", "first": "2019_01", "last": "2019_12", "least": 1, "share": 1.0,
    }  # fmt: skip
    assert (found["lines"], found["rows"], found["kept"], found["dropped"]) == (42, 22, 21, {"link": 1})
    assert (found["corrupt"], found["incomplete"], found["replaced"]) == (0, {}, 1)
    assert found["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert [path.name for path in sorted(out.parent.iterdir())] == ["out.jsonl", "out.jsonl.manifest.json"]


def test_what_was_fetched_can_be_prepared(run: Fetch, out: Path, vocabulary: Path, tmp_path: Path) -> None:
    run("subreddit_comments", write(tmp_path / "RC_2019-08.zst"))
    prepare([str(out)], tmp_path / "data", vocabulary, validation=0, near_duplicates=0)
    assert [{"body": text} for text in texts_of(open_data(tmp_path / "data"), "train")] == BODIES


def test_conversations_and_jokes_become_turns(run: Fetch, tmp_path: Path) -> None:
    chain = [comment(n, parent_id="t3_x" if n == 0 else f"t1_c{n - 1}", body=f"It is turn {n}.") for n in range(4)]
    found = run("conversations", write(tmp_path / "a.zst", chain), param=["subreddit=AmItheAsshole", "last=2019_12"])
    assert found == [{"turns": [f"It is turn {n}." for n in range(4)]}]
    post = {"id": "p", "author": "ann", "subreddit": "Jokes", "created_utc": FIRST, "score": 9, "title": "Why is it?"}
    found = run("jokes", write(tmp_path / "b.zst", [post | {"selftext": "It had to be."}]))
    assert found == [{"turns": ["Why is it?", "It had to be."]}]


def test_a_corrupt_line_is_passed_over_counted_and_shown(
    run: Fetch, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled = [b'{"id": "c1", "body": "cut', b"no JSON", b"[1, 2]", b'{"other": 1}', b'{"id": "\xff"}', b"\x00\x01"]
    path = tmp_path / "RC_2019-08.jsonl"
    path.write_bytes(lines(COMMENTS[:10]) + b"\n".join(spoiled) + b"\n\n" + lines(COMMENTS[10:]))
    assert run("subreddit_comments", path) == BODIES
    assert manifest(out)["corrupt"] == len(spoiled)
    assert "6 lines were no rows and were passed over." in capsys.readouterr().out


def test_a_value_that_does_not_fit_is_none(run: Fetch, tmp_path: Path) -> None:
    odd = [
        comment(90, score="many"),
        comment(91, score="7"),
        comment(92, created_utc=str(FIRST)),
        comment(93, author=5),
        comment(94, created_utc=10**18),
        comment(95, created_utc=-5),
        comment(96, body="YTA, \0 and so on."),
    ]
    found = run("subreddit_comments", write(tmp_path / "a.jsonl", odd))
    assert [row["body"] for row in found] == [odd[n]["body"] for n in (1, 2, 3, 6)]


def test_a_broken_row_of_a_table_is_passed_over_and_counted(run: Fetch, out: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    path.write_text(path.read_text() + "too,few\n")
    assert run("subreddit_comments", path) == BODIES
    assert manifest(out)["corrupt"] == 1


def test_of_a_dump_that_is_cut_off_what_was_read_is_kept_and_marked(
    run: Fetch, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "RC_2019-08.zst"
    data = b"".join(zstandard.compress(lines([row])) for row in COMMENTS)
    path.write_bytes(data[:-20])
    assert run("subreddit_comments", path) == BODIES
    assert manifest(out)["incomplete"] == {str(path): "it is cut off"}
    assert f"{path} was not read to its end: it is cut off. What came before is kept." in capsys.readouterr().out


def test_an_interrupted_fetch_goes_on_where_it_stopped(
    run: Fetch, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("finetune.fetch.dumps.BLOCK", 1000)
    monkeypatch.setattr("finetune.fetch.dumps.PIECE", 500)
    path = write(tmp_path / "RC_2019-08.jsonl")
    notes: list[dict[str, Any]] = []
    keep = Journal.keep

    def kept(journal: Journal, **state: Any) -> None:
        keep(journal, **state)
        notes.append(json.loads(json.dumps(state)))
        if len(notes) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "keep", kept)
    with pytest.raises(KeyboardInterrupt):
        run("subreddit_comments", path)
    assert "the same command goes on from here" in capsys.readouterr().out
    assert not out.exists()
    before = notes.copy()
    assert run("subreddit_comments", path) == BODIES
    blocks = [state["file comments-00000"]["blocks"] for state in notes if "file comments-00000" in state]
    assert blocks[:3] == [1, 2, 3]
    assert blocks[3] == 4
    assert len(before) == 4
    assert list(out.parent.glob(".*")) == []


def test_the_journal_of_another_fetch_is_begun_anew(run: Fetch, out: Path, tmp_path: Path) -> None:
    journal = Journal(out, {"query": "other"})
    journal.keep(origin={"query": "other"})
    journal.rows.write_text('{"body": "This is another."}\n')
    assert run("subreddit_comments", write(tmp_path / "a.jsonl")) == BODIES


def test_a_query_that_gives_no_text_is_written_as_it_is(run: Fetch, out: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "RC_2019-08.zst")
    (row,) = run("corpus_statistics", path, vocabulary=tmp_path / "none")
    assert (row["month"], row["comments"]) == ("2019-08", 20)
    assert manifest(out)["guardrails"] is None
    with pytest.raises(SettingError, match="gives neither body nor turns, so there is nothing to clean"):
        run("corpus_statistics", path, without="link")


def test_a_corpus_can_be_parquet(run: Fetch, tmp_path: Path, vocabulary: Path) -> None:
    path, out = write(tmp_path / "a.jsonl"), tmp_path / "out.parquet"
    fetch("subreddit_comments", out, source=[str(path)], vocabulary=vocabulary)
    assert [{"body": body} for (body,) in duckdb.execute(f"SELECT body FROM '{out}'").fetchall()] == BODIES


def test_a_query_of_ones_own(run: Fetch, tmp_path: Path) -> None:
    query = tmp_path / "mine.sql"
    query.write_text("""-- What is it?
-- Parameters:
--   least  INT64  3  the least
-- Tables:
--   notes  project.dataset.notes  text STRING, at INT64
SELECT text AS body, STRUCT(at AS day) AS meta FROM `project.dataset.notes` WHERE at >= @least ORDER BY at
""")
    path = write(tmp_path / "notes.jsonl", [{"text": f"It is note {n}.", "at": n} for n in range(5)])
    assert run(str(query), path) == [{"body": f"It is note {n}.", "meta": {"day": n}} for n in (3, 4)]


def test_columns_of_a_csv_become_documents(run: Fetch, tmp_path: Path) -> None:
    path = tmp_path / "jokes.csv"
    path.write_text('ID,Question,Answer,Likes\n1,"Why is it, then?",It had to be.,3\n2,Who is it?,"It is ""me"".",0\n')
    turns = [["Why is it, then?", "It had to be."], ["Who is it?", 'It is "me".']]
    named = ["question=Question", "answer=Answer"]
    assert run("csv", path, param=named) == [{"turns": turn} for turn in turns]
    assert run("csv", path, param=[*named, "score=Likes"]) == [{"turns": turns[0]}]
    assert run("csv", path, param=["body=Question", "label=ID"]) == [
        {"body": "Why is it, then?", "meta": "1"},
        {"body": "Who is it?", "meta": "2"},
    ]


def test_labels_of_hugging_face_have_names(run: Fetch, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text('text,label\n"It is good,\nand I like it.",1\nIt is bad.,0\n')
    assert run("hf-csv", path) == [
        {"body": "It is good,\nand I like it.", "meta": "positive"},
        {"body": "It is bad.", "meta": "negative"},
    ]
    assert run("hf-csv", path, param=["names=bad,good"])[0]["meta"] == "good"
    with pytest.raises(DataError, match=r"has the label '1', and --param names has 1: bad"):
        run("hf-csv", path, param=["names=bad"])


def test_film_reviews_have_their_sentiment(run: Fetch, tmp_path: Path) -> None:
    for name, text in (("pos", "It is good.<br /><br />I like it."), ("neg", "It is bad.")):
        (tmp_path / "aclImdb/train" / name).mkdir(parents=True)
        (tmp_path / "aclImdb/train" / name / "0_7.txt").write_text(text)
    assert run("aclImdb", tmp_path / "aclImdb") == [
        {"body": "It is good.\n\nI like it.", "meta": {"sentiment": "positive"}},
        {"body": "It is bad.", "meta": {"sentiment": "negative"}},
    ]
    with pytest.raises(SettingError, match="aclImdb/test/pos is missing: --source should be the folder aclImdb"):
        run("aclImdb", tmp_path / "aclImdb", param=["split=test"])


@pytest.mark.parametrize("name", ["part-000.jsonl.gz", "part-000.parquet", "part-000.jsonl"])
def test_what_bigquery_exported_is_cleaned(name: str, run: Fetch, out: Path, tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "author": ["ann", "AutoModerator"][n % 2], "body": f"It is {n}."} for n in range(6)]
    (tmp_path / "exported").mkdir()
    path = write(tmp_path / "exported" / name, rows)
    path.with_suffix(".lines").unlink(missing_ok=True)
    assert run("jsonl", tmp_path / "exported") == [{"body": f"It is {n}."} for n in (0, 2, 4)]
    assert manifest(out)["dropped"] == {"bot": 3}


@pytest.mark.parametrize(
    ("query", "options", "sentence"),
    [
        (
            "subreddit",
            {},
            "subreddit is no query: name a .sql file, or one of conversations, corpus_statistics, jokes,",
        ),
        (
            "subreddit_comments",
            {"param": ["subredit=x"]},
            "has no parameter 'subredit'; it has subreddit, pattern, first,",
        ),
        ("subreddit_comments", {"param": ["subreddit"]}, "--param is 'subreddit', and should be name=value."),
        ("subreddit_comments", {"param": ["least=1", "least=2"]}, "--param least is given twice."),
        ("subreddit_comments", {"param": ["least=many"]}, "--param least is 'many', and should be a whole number."),
        ("subreddit_comments", {"param": ["share=nan"]}, "--param share is 'nan', and should be a number."),
        ("subreddit_comments", {"project": "p"}, "--project is given, and a query on files does not ask BigQuery"),
        ("subreddit_comments", {"budget": 5.0}, "--budget is given, and a query on files does not ask BigQuery"),
        ("subreddit_comments", {"budget": -1.0}, "--budget is -1.0, and should be dollars."),
        ("subreddit_comments", {"memory": "much"}, "--memory is 'much', and should be a size such as 1GB."),
        ("subreddit_comments", {"engine": "bigquery"}, "--source is given, and a query on BigQuery reads no files"),
        ("subreddit_comments", {"without": "links"}, "--without is 'links', and should be some of deleted,"),
        ("ratings_summary", {}, "and should say of which table: texts=… or votes=…."),
        ("csv", {}, "fetch csv needs --param body=COLUMN, or --param question=COLUMN and --param answer=COLUMN."),
        ("csv", {"engine": "duckdb"}, "--engine is given, and fetch csv runs no query: leave it out."),
        ("reddit", {}, "fetch reddit needs --param subreddit=…: the subreddit to read, such as AmItheAsshole."),
        ("reddit", {"param": ["subreddit=x"]}, "fetch reddit reads no files: leave --source out."),
    ],
)
def test_a_wrong_option_is_refused(
    query: str, options: dict[str, Any], sentence: str, run: Fetch, tmp_path: Path
) -> None:
    with pytest.raises(SettingError) as error:
        run(query, write(tmp_path / "all.csv"), **options)
    assert sentence in str(error.value)


def test_a_source_without_files_is_refused(run: Fetch, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"RC_\* matches no file that is \.jsonl, \.ndjson"):
        run("subreddit_comments", tmp_path / "RC_*")
    with pytest.raises(SettingError, match="--engine duckdb reads files: name them with --source"):
        run("subreddit_comments", engine="duckdb")
    write(tmp_path / "texts.jsonl", [{"id": "a"}])
    with pytest.raises(SettingError, match="ratings_summary reads votes too: add --source votes=…"):
        run("ratings_summary", f"texts={tmp_path / 'texts.jsonl'}")


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT body\nFORM x y, `p.d.t`", r'line 4, column 6: Syntax error: Unexpected "x".'),
        ("SELECT body,\n  bodyy FROM `p.d.t`", r"line 4, column 3: Unrecognized name: bodyy."),
        ("SELECT body FROM `p.d.t`\nWHERE id = @n", r"line 4, column 12: Query parameter 'n' not found."),
        ("SELECT body, id FROM `p.d.t` JOIN\n `p.d.u` USING (id)", "`p.d.u` is not among the `-- Tables:`"),
        ("DELETE FROM `p.d.t`", "a statement that changes something, and should be a query"),
        ("SELECT 1; SELECT `p.d.t`", "2 statements, and should be one"),
        ("SELECT 'body` FROM `p.d.t`", "Syntax error: "),
    ],
)
def test_wrong_sql_is_said_with_the_files_line(sql: str, sentence: str, run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(f"-- Tables:\n--   t  p.d.t  id STRING, body STRING\n{sql}\n")
    with pytest.raises(DataError) as error:
        run(str(tmp_path / "mine.sql"), write(tmp_path / "a.jsonl"))
    assert str(error.value).startswith(f"{tmp_path / 'mine.sql'}, line ")
    assert sentence in str(error.value)


def test_a_wrong_pattern_is_said(run: Fetch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"subreddit_comments\.sql: .*missing \)"):
        run("subreddit_comments", write(tmp_path / "a.jsonl"), param=["pattern=(YTA"])


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("-- Parameters:\n--   n  INTEGER  1  a number", "line 2: should be `--   name  STRING|INT64|FLOAT64|BOOL"),
        ("-- Tables:\n--   t  p.d.t", "line 2: should be `--   name  project.dataset.table  column TYPE, …`."),
        ("-- Tables:\n--   t  p.d.t  id STRING", "line 2: the query never reads `p.d.t`, in backticks."),
        ("-- What?", "says no `-- Tables:` at its top, so nothing is known of their columns."),
    ],
)
def test_a_wrong_header_is_said_with_its_line(header: str, sentence: str, run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(f"{header}\nSELECT 1 AS body\n")
    with pytest.raises(DataError) as error:
        run(str(tmp_path / "mine.sql"), write(tmp_path / "a.jsonl"))
    assert sentence in str(error.value)


def test_a_file_of_something_else_is_said(run: Fetch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl has no line that is a JSON object with any of id, author,"):
        run("subreddit_comments", write(tmp_path / "a.jsonl", [{"x": 1}]))
    with pytest.raises(DataError, match=r"a\.csv has no column id; the query reads id, author, "):
        run("subreddit_comments", write(tmp_path / "a.csv", [{"x": 1}]))
    with pytest.raises(DataError, match=r"a\.csv has no column 'Joke', but 'x'\."):
        run("csv", tmp_path / "a.csv", param=["body=Joke"])
    with pytest.raises(DataError, match=r"b\.jsonl has no line that is \{\"body\": \"…\"\} or \{\"turns\""):
        run("jsonl", write(tmp_path / "b.jsonl", [{"x": 1}]))
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"a\.parquet"):
        run("subreddit_comments", tmp_path / "a.parquet")


def test_too_little_memory_is_said(run: Fetch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs more than 1MB of memory: raise --memory"):
        run("subreddit_comments", write(tmp_path / "a.jsonl", COMMENTS * 200), memory="1MB")


def test_ratings_are_fetched_into_a_folder(tmp_path: Path) -> None:
    store, out = fill(f"sqlite:///{tmp_path}/feedback.db", votes("a", 3, 1)), tmp_path / "liked"
    fetch("ratings", out, source=[store], param=["minimum=1"])
    assert (out / "liked.jsonl").read_text() == '{"body":"text"}\n' * 3
    for options, sentence in (
        ({"source": []}, "fetch ratings reads one store into a folder"),
        (
            {"source": [store], "min_tokens": 5},
            "--min_tokens is given, and ratings are taken as they are: leave it out",
        ),
        ({"source": [store], "param": ["least=2"]}, "fetch ratings has no parameter 'least'; it has minimum"),
    ):
        with pytest.raises(SettingError, match=sentence):
            fetch("ratings", out, **options)


def test_nothing_found_and_nothing_left_are_said(run: Fetch, out: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="nothing was found: no row answers to what was asked"):
        run("subreddit_comments", path, param=["subreddit=Nowhere"])
    with pytest.raises(DataError, match=r"nothing is left of 20 documents \(score 20\): see --without"):
        run("subreddit_comments", path, min_score=6)
    assert not out.exists()


def test_a_score_that_is_not_there_cannot_be_asked_for(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nIt is good.\n")
    with pytest.raises(SettingError, match="--min_score is given, and what was fetched has no score: leave it out"):
        run("csv", tmp_path / "a.csv", param=["body=text"], min_score=3)


def test_a_file_that_was_not_fetched_is_left_alone(run: Fetch, out: Path, tmp_path: Path) -> None:
    out.parent.mkdir()
    out.write_text("mine")
    with pytest.raises(SettingError, match="which exists and was not fetched: name a new file"):
        run("subreddit_comments", write(tmp_path / "a.jsonl"))
    assert out.read_text() == "mine"


def test_the_command_line(tmp_path: Path, vocabulary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write(tmp_path / "RC_2019-08.zst"), tmp_path / "out.jsonl"
    command = ["fetch", "subreddit_comments", "--source", str(path), "--out", str(out), "--vocabulary", str(vocabulary)]
    given = ["--param", "subreddit=AmItheAsshole", "--param", "pattern=(?i)YTA", "least=2", "--without", "quote,link"]
    assert main([*command, *given]) == 0
    assert capsys.readouterr().out == f"{out}: 20 rows found, 20 kept\n"
    assert manifest(out)["parameters"]["least"] == 2
    assert main(["fetch", "subreddit_comments", "--source", str(path)]) == 2
    assert capsys.readouterr().err == "error: --out is missing: name the corpus to write, such as corpora/NAME.jsonl.\n"
    assert main(["fetch", "jokes", "--source", str(path), "--out", str(tmp_path / "out.txt")]) == 2
    assert capsys.readouterr().err.endswith("out.txt, and should end in .jsonl or .parquet.\n")


def test_without_a_vocabulary_the_ways_out_are_fetchs_own(tmp_path: Path) -> None:
    """The sentence once named an option of `prepare`."""
    (tmp_path / "text.jsonl").write_text('{"body": "It was the best of times and the worst of them."}\n')
    options: dict[str, Any] = {"source": [str(tmp_path / "text.jsonl")], "vocabulary": tmp_path / "none"}
    with pytest.raises(DataError, match=r"encoder\.json is missing: .+, and --without short,long counts no tokens\.$"):
        fetch("jsonl", tmp_path / "out.jsonl", **options)
    fetch("jsonl", tmp_path / "out.jsonl", without="short,long", **options)
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 1
