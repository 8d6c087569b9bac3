"""Columns of tables: labels, scores and texts, and what stands where one is missing."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from app.errors import DataError
from tests.finetune.fetch.rows import Fetch


@pytest.mark.parametrize("label", ["", " ", "NaN", "nan", "null", "NULL", "None", "<NA>", "\\N", "NA", "#N/A"])
def test_a_missing_label_is_no_control_code(
    label: str, run: Fetch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty cell once became the control code `None`."""
    (tmp_path / "a.csv").write_text(f"text,label\nIt is one.,{label}\nIt is two.,1.0\n")
    for query, param, code in (("hf-csv", [], "positive"), ("csv", ["body=text", "label=label"], "1.0")):
        found = run(query, tmp_path / "a.csv", param=param)
        assert [row.get("meta") for row in found] == [None, code]
        assert "1 rows have no label, and so no control code." in capsys.readouterr().out


def test_a_missing_score_is_0_and_another_is_a_number(run: Fetch, tmp_path: Path) -> None:
    """NaN passed every --min-score, and NULL stopped the fetch."""
    param = ["body=text", "score=score"]
    (tmp_path / "a.csv").write_text("text,score\nIt is one.,NaN\nIt is two.,NULL\nIt is three.,\nIt is four.,1.0\n")
    assert run("csv", tmp_path / "a.csv", param=param) == [{"body": "It is four."}]
    (tmp_path / "a.csv").write_text("text,score\nIt is one.,1e999\n")
    with pytest.raises(DataError, match=r"a\.csv has the score '1e999', which is no number"):
        run("csv", tmp_path / "a.csv", param=param)


def test_a_parquet_file_may_have_missing_labels_and_texts_as_bytes(run: Fetch, tmp_path: Path) -> None:
    table = pa.table({"text": [b"It is one.", b"It is two."], "label": [float("nan"), 1.0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert [row.get("meta") for row in run("hf-csv", tmp_path / "a.parquet")] == [None, "positive"]
    assert [row["body"] for row in run("hf-csv", tmp_path / "a.parquet")] == ["It is one.", "It is two."]
    parquet.write_table(pa.table({"text": [b"\xff"], "label": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: the column 'text' has bytes that are not utf-8 text"):
        run("hf-csv", tmp_path / "b.parquet")


def test_columns_and_labels_may_have_any_characters(run: Fetch, tmp_path: Path) -> None:
    name = 'it\'s "the" body; DROP TABLE x -- %s \\ *?['
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[name, "n"], ["It is one.", name]])
    assert run("csv", tmp_path / "a.csv", param=[f"body={name}", "label=n"]) == [{"body": "It is one.", "meta": name}]
