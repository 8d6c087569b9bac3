"""The columns of a table that hold its text are found by their names, and a question and its answer are two turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import DataError
from finetune.__main__ import main
from finetune.data.prepared import open_data
from finetune.data.table_columns import find_columns
from finetune.data.tables import open_table


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("ID,Question,Answer", ["Question", "Answer"]),
        ("answer,id,question", ["question", "answer"]),
        ("setup,punchline,score", ["setup", "punchline"]),
        ("instruction,input,output", ["instruction", "output"]),
        ("ID,Joke", ["Joke"]),
        ("id,created_utc,full_text,lang", ["full_text"]),
        ("question,answer,body", ["body"]),
        ("Frage,Antwort", None),
        ("title,selftext", None),
        ('1,"A text, as it is."', None),
    ],
)
def test_the_columns_are_found_by_their_names(header: str, names: list[str] | None) -> None:
    """Of a table with the columns ID, Question and Answer nothing was read unless somebody named a column."""
    table = open_table("a.csv", [header + "\n"], [])
    if names is None:
        with pytest.raises(DataError, match="no name says which holds the text: choose with --column: "):
            find_columns(table, [])
    else:
        assert find_columns(table, []).names == names


@pytest.mark.parametrize(
    ("table", "options", "text", "said"),
    [
        ("ID,Question,Answer\n1,Why?,So.\n", [], "[QUESTION] Why?\n[ANSWER] So.", "Read Question and Answer, as turns, of a"),
        ("q,a,x\nWhy?,So.,\n", ["--column", "q", "--column", "a"], "[QUESTION] Why?\n[ANSWER] So.", ""),
        ("prompt,response\nHi,Hello\n", ["--template", "chat"], "Hi<|endoftext|>Hello", "Read prompt and response, as turns,"),
        ("id,joke\n1,Ha.\n", [], "Ha.", "Read the column joke of a.csv; --column chooses another."),
        ("id,text\n1,Ha.\n", [], "Ha.", ""),
    ],
)  # fmt: skip
def test_what_was_chosen_is_said(
    table: str,
    options: list[str],
    text: str,
    said: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(table)
    assert main(["prepare", "a.csv", "--out", "data", "--vocabulary", str(checkpoint), *options]) == 0
    printed = capsys.readouterr().out
    assert said in printed
    assert ("--column" in printed) == bool(said)
    data = open_data(Path("data"))
    assert data.tokenizer.decode(data.train.tokens.tolist()).removesuffix("<|endoftext|>") == text


def test_a_row_without_an_answer_is_left_out(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer\nWhy?,\nWhy not?,So.\n")
    options = ["--out", str(tmp_path / "data"), "--vocabulary", str(checkpoint)]
    assert main(["prepare", str(tmp_path / "a.csv"), *options]) == 0
    description = open_data(tmp_path / "data").description
    assert (description.documents["train"], description.dropped["empty"]) == (1, 1)
