"""`fetch` turns tables, film reviews and JSON lines into documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError, SettingError
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data, texts_of
from tests.finetune.fetch.rows import Fetch, manifest_of, write


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


def test_numeric_labels_of_hugging_face_get_names(run: Fetch, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text('text,label\n"It is good,\nand I like it.",1\nIt is bad.,0\n')
    assert run("hf-csv", path) == [
        {"body": "It is good,\nand I like it.", "meta": "positive"},
        {"body": "It is bad.", "meta": "negative"},
    ]
    assert run("hf-csv", path, param=["names=bad,good"])[0]["meta"] == "good"
    assert [row["meta"] for row in run("hf-csv", path, param=["names=0,1"])] == ["1", "0"]
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
def test_an_export_of_bigquery_is_cleaned(name: str, run: Fetch, out: Path, tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "author": ["ann", "AutoModerator"][n % 2], "body": f"It is {n}."} for n in range(6)]
    (tmp_path / "exported").mkdir()
    path = write(tmp_path / "exported" / name, rows)
    path.with_suffix(".lines").unlink(missing_ok=True)
    assert run("jsonl", tmp_path / "exported") == [{"body": f"It is {n}."} for n in (0, 2, 4)]
    assert manifest_of(out)["dropped"] == {"bot": 3}


def test_a_file_without_the_expected_columns_is_refused(run: Fetch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl has no line that is a JSON object with any of id, author,"):
        run("subreddit_comments", write(tmp_path / "a.jsonl", [{"x": 1}]))
    with pytest.raises(DataError, match=r"a\.csv has no column 'id' in its first line, which has 'x'"):
        run("subreddit_comments", write(tmp_path / "a.csv", [{"x": 1}]))
    with pytest.raises(DataError, match=r"a\.csv has no column 'Joke' in its first line, which has 'x'\."):
        run("csv", tmp_path / "a.csv", param=["body=Joke"])
    with pytest.raises(DataError, match=r"b\.jsonl has no line that is \{\"body\": \"…\"\} or \{\"turns\""):
        run("jsonl", write(tmp_path / "b.jsonl", [{"x": 1}]))
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"a\.parquet"):
        run("subreddit_comments", tmp_path / "a.parquet")


def test_documents_may_have_different_fields(run: Fetch, out: Path, vocabulary: Path, tmp_path: Path) -> None:
    """The columns were once taken from the first line, so a control code that appeared later was lost.

    A text among conversations once became a conversation of one turn, which `prepare` tagged as a question.
    """
    rows: list[dict[str, Any]] = [{"body": "It is one."}, {"body": "It is two.", "meta": "b"}]
    found = run("jsonl", write(tmp_path / "a.jsonl", rows))
    assert [row.get("meta") for row in found] == [None, "b"]
    rows = [{"body": "It is one."}, {"turns": ["Is it two?", "It is two."]}]
    assert run("jsonl", write(tmp_path / "b.jsonl", rows)) == [
        {"body": "It is one.", "turns": None},
        {"body": None, "turns": ["Is it two?", "It is two."]},
    ]
    prepare([str(out)], out=tmp_path / "data", vocabulary=vocabulary, template="qa", near_duplicates=0, validation=0)
    assert list(texts_of(open_data(tmp_path / "data"), "train")) == [
        "It is one.",
        "[QUESTION] Is it two?\n[ANSWER] It is two.",
    ]


def test_columns_may_have_any_name(run: Fetch, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('"the ""text""",n\nIt is good.,1\n')
    assert run("csv", tmp_path / "a.csv", param=['body=the "text"']) == [{"body": "It is good."}]


def test_data_that_cannot_be_used_is_refused(run: Fetch, out: Path, tmp_path: Path) -> None:
    """Each message names the file and what is wrong in it. Lines that are no documents are counted."""
    (tmp_path / "a.csv").write_text("text,stars\nIt is good.,many\n")
    with pytest.raises(DataError, match=r"a\.csv has the score 'many', which is no number"):
        run("csv", tmp_path / "a.csv", param=["body=text", "score=stars"])
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    for query, param in (("csv", ["body=text"]), ("jsonl", [])):
        with pytest.raises(DataError, match=r"b\.parquet cannot be read: "):
            run(query, tmp_path / "b.parquet", param=param)
    (tmp_path / "c.jsonl").write_bytes(b'{"body": "It is good."}\nno JSON\n{"body": 5}\n{"turns": []}\n')
    assert run("jsonl", tmp_path / "c.jsonl") == [{"body": "It is good."}]
    assert (manifest_of(out)["lines"], manifest_of(out)["corrupt"]) == (4, 3)
    with pytest.raises(SettingError, match="fetch jsonl reads files: name them with --source"):
        run("jsonl")


def test_reviews_have_to_be_in_the_folder_that_stanford_gives_out(run: Fetch, tmp_path: Path) -> None:
    for name in ("pos", "neg"):
        (tmp_path / "aclImdb/train" / name).mkdir(parents=True)
    (tmp_path / "aclImdb/train/pos/0_7.txt").write_bytes(b"\xff")
    with pytest.raises(
        DataError, match=r"0_7\.txt is not utf-8 on line 1 \(byte 0\): convert it, or give --encoding cp1252"
    ):
        run("aclImdb", tmp_path / "aclImdb")
    with pytest.raises(SettingError, match="fetch aclImdb reads one folder: name it with --source aclImdb"):
        run("aclImdb", tmp_path / "aclImdb", tmp_path)


def test_a_damaged_file_of_documents_is_used_and_reported(run: Fetch, out: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", [{"body": f"It is {n}."} for n in range(3)])
    path.write_bytes(path.read_bytes() + b"damage")
    assert len(run("jsonl", path)) == 3
    assert "it is damaged" in manifest_of(out)["incomplete"][str(path)]
