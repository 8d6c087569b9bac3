"""Training on a GPU, measured: the arithmetic, the tables, and cases in processes of their own, tried out on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import CASES, main, measure, selected, start, trains
from benchmarks.gpu_case import Case, document_lengths
from benchmarks.gpu_table import COLUMNS, Result, claims, line, tables

PRODUCT = Case("jax", "", "bfloat16", "product", 0)


def result(case: Case, tokens_per_s: float, tflops: float, peak_gb: float, first_step_s: float) -> Result:
    figures = {"tokens_per_s": tokens_per_s, "tflops": tflops, "peak_gb": peak_gb, "first_step_s": first_step_s}
    return Result(case, figures)


MEASURED = [
    Result(PRODUCT, {"tflops": 800.0}),
    Result(Case("torch", "", "bfloat16", "product", 0), {"tflops": 780.0}),
    result(trains("ours", 8), 300_000, 260, 7, 18),
    result(trains("ours", 32), 400_000, 360, 20, 15),
    result(trains("transformers", 8), 200_000, 170, 6, 30),
    result(trains("transformers", 32), 320_000, 280, 25, 30),
    result(trains("ours", 32, rows="packed"), 350_000, 300, 21, 16),
    result(trains("ours", 16, model="355M"), 150_000, 380, 30, 22),
    Result(trains("ours", 64), {"failed": "out of memory"}),
]


def test_full_rows_are_documents_as_long_as_the_window() -> None:
    assert document_lengths("full", 4000, 1024).tolist() == [1024] * 4


def test_packed_documents_are_short_and_ragged() -> None:
    lengths = document_lengths("packed", 100_000, 1024)
    assert 100_000 <= lengths.sum() < 100_000 + 1024
    assert 50 < np.median(lengths) < 70
    assert lengths.min() < 20
    assert 200 < lengths.max() <= 1024


def test_claims_compare_best_with_best_and_like_with_like() -> None:
    assert {claim.name: (round(claim.measured, 3), claim.holds) for claim in claims(MEASURED)} == {
        "124M, ours / transformers, each at its best batch": (1.25, True),
        "124M, share of the product's rate at the best batch": (0.45, True),
        "355M, share of the product's rate at the best batch": (0.475, False),
        "124M, packed documents / full rows, equal batch": (0.875, True),
        "124M, batch 8 / best batch": (0.75, True),
        "peak memory, ours / transformers, equal batch": (1.167, False),
        "ours, slowest first step, seconds": (22, False),
    }


@pytest.mark.parametrize("missing", [*sorted({each.case.program for each in MEASURED}), None])
def test_a_program_that_was_not_measured_leaves_out_its_claims_only(missing: str | None) -> None:
    found = [each for each in MEASURED if each.case.program != missing]
    named = {claim.name for claim in claims(found)}
    assert named <= {claim.name for claim in claims(MEASURED)}
    assert ("124M, batch 8 / best batch" in named) is (missing != "ours")
    assert len(json.loads(line(found, {}))["cases"]) == len(found)


def test_all_failed_is_a_table_without_claims() -> None:
    failed = [Result(case, {"failed": "out of memory"}) for case in CASES]
    assert not list(claims(failed))
    assert tables(failed).count("out of memory") == len(CASES)


def test_each_case_is_a_row_and_a_failed_one_says_why() -> None:
    rows = tables(MEASURED).partition("\n\n")[0].splitlines()
    assert {row.count("|") for row in rows} == {len(COLUMNS) + 1}
    assert "| ours | 124M | bfloat16 | full | 32 | 400,000 | 360.0 | 45% | 20.0 | 15.0 |" in rows
    assert rows[-1].startswith("| ours | 124M | bfloat16 | full | 64 | out of memory |")


def test_the_line_of_json_has_everything() -> None:
    found = json.loads(line(MEASURED, {"gpu": "H100"}))
    assert (found["benchmark"], found["machine"]["gpu"], found["product_tflops"]) == ("gpu", "H100", 800)
    assert found["cases"][3] == {
        "program": "ours", "model": "124M", "precision": "bfloat16", "rows": "full", "batch": 32,
        "tokens_per_s": 400_000, "tflops": 360, "peak_gb": 20, "first_step_s": 15, "share": 0.45,
    }  # fmt: skip
    assert found["cases"][-1]["failed"] == "out of memory"
    assert len(found["claims"]) == 7


def test_cases_are_chosen_by_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert [case.batch for case in selected(["ours-124M-float32-full-8", "*-packed-32"])] == [32, 8]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cases", "theirs-*"], "--cases theirs-* matches no case. The cases are jax-bfloat16-product, "),
        ([], "nvidia-smi shows no GPU"),
        (["--tiny", "--write"], "leave --write out"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # Even where there is a GPU, its driver's program is not found.
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_a_case_that_fails_loses_nothing(tmp_path: Path) -> None:
    unknown: Any = "unknown"
    failed, product = measure([trains(unknown, 8), PRODUCT], limit=300, tiny=True, work=tmp_path)
    assert failed.figures == {"failed": "KeyError: 'unknown'"}
    assert product.figures["tflops"] > 0


def test_no_case_begins_after_the_limit(tmp_path: Path) -> None:
    for found in measure([PRODUCT, PRODUCT], limit=-1, tiny=True, work=tmp_path):
        assert found.figures["failed"].startswith("not begun")


def test_a_case_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    started = start(PRODUCT, tmp_path / "case", tiny=True)
    assert started.finish(seconds=0.01) == {"failed": "not done after 0 seconds"}
    assert started.process.returncode is not None


def test_a_process_that_dies_is_a_row_with_its_last_words(tmp_path: Path) -> None:
    started = start(PRODUCT, tmp_path / "case", tiny=True)
    started.process.kill()
    started.process.wait()
    (tmp_path / "case/log").write_text("Loading.\nbus error\n\n")
    assert started.finish(seconds=60) == {"failed": "ended with code -9, and said last: bus error"}


@pytest.mark.slow
def test_the_trainer_is_measured_without_tensorflow(tmp_path: Path) -> None:
    """A case's process has TensorFlow blocked, so it would fail if something on its way imported that."""
    (found,) = measure([trains("ours", 8, rows="packed")], limit=300, tiny=True, work=tmp_path)
    assert found.figures["steps"] >= 3
    assert found.figures["tokens_per_s"] > 0
    assert 5 < found.figures["last_loss"] < found.figures["first_loss"] < 7
    assert 0.9 < found.figures["counted_share"] < 1
