"""`fetch` runs a query on files: DuckDB returns the rows that BigQuery would, or one sentence says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from app.errors import DataError, SettingError
from tests.finetune.fetch.rows import BODIES, COMMENTS, FIRST, Fetch, comment, lines, manifest_of, write


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


def test_conversations_and_jokes_become_turns(run: Fetch, tmp_path: Path) -> None:
    chain = [comment(n, parent_id="t3_x" if n == 0 else f"t1_c{n - 1}", body=f"It is turn {n}.") for n in range(4)]
    found = run("conversations", write(tmp_path / "a.zst", chain), param=["subreddit=AmItheAsshole", "last=2019_12"])
    assert found == [{"turns": [f"It is turn {n}." for n in range(4)]}]
    post = {"id": "p", "author": "ann", "subreddit": "Jokes", "created_utc": FIRST, "score": 9, "title": "Why is it?"}
    found = run("jokes", write(tmp_path / "b.zst", [post | {"selftext": "It had to be."}]))
    assert found == [{"turns": ["Why is it?", "It had to be."]}]


def test_a_query_may_be_your_own(run: Fetch, tmp_path: Path) -> None:
    query = tmp_path / "mine.sql"
    query.write_text("""\ufeff-- What is it?
-- Parameters:
--   least  INT64  3  the least
-- Tables:
--   notes  project.dataset.notes  text STRING, at INT64
SELECT text AS body, STRUCT(at AS day) AS meta FROM `project.dataset.notes` WHERE at >= @least ORDER BY at
""")
    path = write(tmp_path / "notes.jsonl", [{"text": f"It is note {n}.", "at": n} for n in range(5)])
    assert run(str(query), path) == [{"body": f"It is note {n}.", "meta": {"day": n}} for n in (3, 4)]


def test_corrupt_lines_are_skipped_and_counted(
    run: Fetch, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled = [b'{"id": "c1", "body": "cut', b"no JSON", b"[1, 2]", b'{"other": 1}', b"\x00\x01"]
    path = tmp_path / "RC_2019-08.jsonl"
    path.write_bytes(lines(COMMENTS[:10]) + b"\n".join(spoiled) + b"\n\n" + lines(COMMENTS[10:]))
    assert run("subreddit_comments", path) == BODIES
    assert manifest_of(out)["corrupt"] == len(spoiled)
    assert "5 lines were not rows and were skipped." in capsys.readouterr().out


def test_a_value_of_the_wrong_type_becomes_null(run: Fetch, tmp_path: Path) -> None:
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


def test_a_broken_row_of_a_table_is_skipped_and_counted(run: Fetch, out: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    path.write_text(path.read_text() + "too,few\n")
    assert run("subreddit_comments", path) == BODIES
    assert manifest_of(out)["corrupt"] == 1
    assert "a.csv, line 42: 2 columns, and the first line has 8: " in manifest_of(out)["first_corrupt"]


def test_a_dump_that_is_cut_off_is_used_and_reported(
    run: Fetch, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "RC_2019-08.zst"
    data = b"".join(zstandard.compress(lines([row])) for row in COMMENTS)
    path.write_bytes(data[:-20])
    assert run("subreddit_comments", path) == BODIES
    assert manifest_of(out)["incomplete"] == {str(path): "it is cut off"}
    assert f"{path} was not read to its end: it is cut off. What came before it is kept." in capsys.readouterr().out


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
        ("SELECT 1; SELECT `p.d.t`", "it has 2 statements, and should have one"),
        ("SELECT 'body` FROM `p.d.t`", "Syntax error: "),
    ],
)
def test_an_sql_error_names_the_line_of_the_file(sql: str, sentence: str, run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(f"-- Tables:\n--   t  p.d.t  id STRING, body STRING\n{sql}\n")
    with pytest.raises(DataError) as error:
        run(str(tmp_path / "mine.sql"), write(tmp_path / "a.jsonl"))
    assert str(error.value).startswith(f"{tmp_path / 'mine.sql'}, line ")
    assert sentence in str(error.value)


def test_a_wrong_regular_expression_is_reported(run: Fetch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"subreddit_comments\.sql: .*missing \)"):
        run("subreddit_comments", write(tmp_path / "a.jsonl"), param=["pattern=(YTA"])


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("-- Parameters:\n--   n  INTEGER  1  a number", "line 2: should be `--   name  STRING|INT64|FLOAT64|BOOL"),
        (
            "-- Parameters:\n--   n  INT64  few  a number",
            "line 2: the default of n is few, and should be a whole number.",
        ),
        ("-- Tables:\n--   t  p.d.t", "line 2: should be `--   name  project.dataset.table  column TYPE, …`."),
        ("-- Tables:\n--   t  p.d.t  id STRING", "line 2: the query never reads `p.d.t`, in backticks."),
        (
            "-- Parameters:\n--   n  INT64  1_000  a number",
            "line 2: the default of n is 1_000, and should be a whole number.",
        ),
        (
            "-- Parameters:\n--   n  INT64  9223372036854775808  a number",
            "line 2: the default of n is 9223372036854775808, and should be a whole number.",
        ),
        (
            "-- Parameters:\n--   p  STRING  '\\d'  a pattern",
            "line 2: Syntax error: Illegal escape sequence: \\d: write r'…' for a backslash that means itself.",
        ),
        (
            "-- Parameters:\n--   n  INT64  1  a number\n--   n  INT64  2  another",
            "describes n twice at its top.",
        ),
        (
            "-- Tables:\n--   t  p.d.t  id STRING, price NUMERIC\n-- It reads `p.d.t`.",
            "t.price is NUMERIC, and should be one of STRING, INT64, FLOAT64, BOOL, TIMESTAMP, DATE.",
        ),
        ("-- What?", "has no `-- Tables:` at its top, which list the columns of its tables."),
        (
            "-- Tables:\n--   t  p.d.20*  id STRING\n-- It reads `p.d.20*`.",
            "t is a wildcard table, so it needs the column created_utc, a row's time.",
        ),
    ],
)
def test_an_error_in_the_header_names_its_line(header: str, sentence: str, run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(f"{header}\nSELECT 1 AS body\n")
    with pytest.raises(DataError) as error:
        run(str(tmp_path / "mine.sql"), write(tmp_path / "a.jsonl"))
    assert sentence in str(error.value)


def test_an_array_with_a_null_is_refused_as_on_bigquery(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(
        "-- Tables:\n--   c  p.d.c  id STRING, body STRING\n"
        "SELECT [id, body] AS pair, STRUCT(ARRAY<STRING>[] AS none) AS s FROM `p.d.c`\n"
    )
    path = write(tmp_path / "a.jsonl", [{"id": "a", "body": "x"}])
    assert run(str(tmp_path / "mine.sql"), path) == [{"pair": ["a", "x"], "s": {"none": []}}]
    path = write(tmp_path / "b.jsonl", [{"id": "a", "body": None}])
    with pytest.raises(DataError, match="pair is an array with a NULL in it, which BigQuery does not return"):
        run(str(tmp_path / "mine.sql"), path)


def test_an_error_of_a_row_names_the_place_in_the_query(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(
        "-- Tables:\n--   c  p.d.c  id STRING, score INT64\nSELECT id\nFROM `p.d.c` WHERE 1 / score > 0\n"
    )
    path = write(tmp_path / "a.jsonl", [{"id": "a", "score": 0}])
    with pytest.raises(DataError, match=r"mine\.sql, line 4, column 20: division by zero"):
        run(str(tmp_path / "mine.sql"), path)


def test_numbers_that_are_not_finite_are_refused(run: Fetch, tmp_path: Path) -> None:
    """DuckDB takes NaN for the largest number and equal to itself; BigQuery for neither."""
    (tmp_path / "mine.sql").write_text(
        "-- Tables:\n--   c  p.d.c  id STRING, f FLOAT64\nSELECT id FROM `p.d.c` WHERE f > 0\n"
    )
    (tmp_path / "a.csv").write_text("id,f\na,1\nb,nan\n")
    with pytest.raises(DataError, match="f has a number that is infinite or NaN"):
        run(str(tmp_path / "mine.sql"), tmp_path / "a.csv")


def test_the_suffix_of_a_wildcard_table_is_not_part_of_all_its_columns(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(
        "-- Tables:\n--   c  p.d.20*  id STRING, created_utc INT64\n"
        "SELECT *, _TABLE_SUFFIX AS month FROM `p.d.20*` WHERE _TABLE_SUFFIX = '19_08'\n"
    )
    path = write(tmp_path / "a.jsonl", [{"id": "a", "created_utc": FIRST}])
    assert run(str(tmp_path / "mine.sql"), path) == [{"id": "a", "created_utc": FIRST, "month": "19_08"}]


def test_a_query_that_is_not_utf_8_is_refused(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_bytes(b"-- \xff\nSELECT 1")
    with pytest.raises(DataError, match=r"mine\.sql is not utf-8: convert it"):
        run(str(tmp_path / "mine.sql"), write(tmp_path / "a.jsonl"))


def test_a_parameter_may_be_true_or_false(run: Fetch, tmp_path: Path) -> None:
    query, path = tmp_path / "mine.sql", write(tmp_path / "a.jsonl", COMMENTS[:4])
    query.write_text("""-- Parameters:
--   all  BOOL  true  whether other subreddits count
-- Tables:
--   c  p.d.c  id STRING, subreddit STRING, body STRING
SELECT body FROM `p.d.c` WHERE @all OR subreddit = 'Jokes' ORDER BY id
""")
    assert len(run(str(query), path)) == 4
    assert len(run(str(query), path, param=["all=False"])) == 2
    with pytest.raises(SettingError, match="--param all is 'no', and should be true or false"):
        run(str(query), path, param=["all=no"])


def test_too_little_memory_is_reported(run: Fetch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs more than 1MB of memory: raise --memory"):
        run("subreddit_comments", write(tmp_path / "a.jsonl", COMMENTS * 200), memory="1MB")


def test_a_function_that_is_not_known_to_agree_is_refused(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text("-- Tables:\n--   t  p.d.t  id STRING\nSELECT Shout(id) AS body FROM `p.d.t`\n")
    with pytest.raises(DataError, match=r"mine\.sql, line 3, column 8: the function Shout does not run on local files"):
        run(str(tmp_path / "mine.sql"), write(tmp_path / "a.jsonl"))
