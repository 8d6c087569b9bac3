"""Writing and reading, measured: programs in processes of their own, the arithmetic, the tables and the charts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import load, speed_tables
from benchmarks.contenders import CASES, contenders
from benchmarks.load import Window, dollars, percentiles
from benchmarks.peers import PeerMissing, python
from benchmarks.programs.ours import Ours
from benchmarks.programs.worker import Case, measure
from benchmarks.speed import Worker, chosen_by
from benchmarks.speed_charts import CHARTS, THEMES, draw
from benchmarks.speed_figures import graph_bytes, median, ratio, share
from benchmarks.startup import server
from tests.conftest import ROOT

STEPS = [0.0, 0.5, 1.0, 9.0, 9.5]


class Recorded:
    """A program whose steps take half a second, but one that was disturbed."""

    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        self.asked = (rows, prompt, steps)
        return STEPS

    def read(self, prompt: int) -> float:
        return 2.0


def test_a_rate_is_that_of_the_median_step() -> None:
    program = Recorded()
    assert measure(program, Case("write", 8, 128), steps=4) == 16.0
    assert program.asked == (8, 126, 5)
    assert measure(program, Case("read", 1, 512)) == 256.0


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_its_name(case: Case) -> None:
    assert Case.parse(str(case)) == case


def test_this_engine_is_measured(bundles: dict[int, Path]) -> None:
    program = Ours(str(bundles[8]))
    ends = program.write(3, 4, 5)
    assert len(ends) == 5
    assert ends == sorted(ends)
    assert program.read(6) > 0


SPOKEN = """
import json, os, sys
print(json.dumps({"loaded_s": 0}), flush=True)
for line in sys.stdin:
    if line.strip() == "read-16":
        os._exit(3)
    if line.strip() == "read-128":
        continue
    print(json.dumps({"tokens_per_s": 7.5, "peak_mb": 1}), flush=True)
"""


def test_a_case_that_fails_loses_nothing_else() -> None:
    worker = Worker("spoken", [sys.executable, "-c", SPOKEN])
    try:
        assert worker.measure(Case("write", 1, 128))["tokens_per_s"] == 7.5
        assert "ended with code 3" in worker.measure(Case("read", 1, 16))["failed"]
        assert worker.measure(Case("write", 2, 128))["tokens_per_s"] == 7.5
        assert worker.measure(Case("read", 1, 128), seconds=0.1)["failed"] == "not done after 0 seconds"
        assert worker.measure(Case("write", 4, 128))["tokens_per_s"] == 7.5
    finally:
        worker.stop()


def test_a_peer_that_is_not_here_says_how_to_make_it() -> None:
    with pytest.raises(PeerMissing, match=r"run `python -m benchmarks\.peers nobody`"):
        python("nobody")


def test_every_contender_has_a_name_and_cases() -> None:
    everybody = list(contenders())
    assert len({contender.name for contender in everybody}) == len(everybody)
    assert all(any(map(contender.takes, CASES)) for contender in everybody)


def test_a_pattern_that_matches_nothing_names_what_there_is() -> None:
    assert chosen_by(["8*"], ["8 bits", "4 bits"]) == ["8 bits"]
    with pytest.raises(SystemExit, match=r"error: 2\* matches none of 8 bits, 4 bits\."):
        chosen_by(["2*"], ["8 bits", "4 bits"])


# The arithmetic.


def test_ratios_are_of_the_same_round() -> None:
    assert ratio([10.0, 100.0, None, 30.0], [5.0, 50.0, 1.0]) == 2.0
    assert ratio([1.0], [None]) is None
    assert median([None, 1.0, 3.0]) == 2.0


def test_a_share_is_what_was_read_of_what_can_be_read() -> None:
    program = {"cases": {"write-128x8": [400.0]}, "step_mb": {"write-128x8": 200.0}}
    assert share(program, "write-128x8", 20.0) == pytest.approx(0.5)
    assert share(program | {"cases": {}}, "write-128x8", 20.0) is None


def test_tables_of_which_a_row_is_looked_up_are_not_read(bundles: dict[int, Path]) -> None:
    exact = graph_bytes(bundles[32] / "model.onnx")
    assert 0 < graph_bytes(bundles[8] / "model.onnx") < exact
    assert exact <= (bundles[32] / "model.onnx.data").stat().st_size + (bundles[32] / "model.onnx").stat().st_size


def test_the_figures_of_a_window_are_of_what_arrived_within_it() -> None:
    window = Window(asked=[(0.5, 1.5), (9.0, 12.0)], tokens=[[1.5, 1.6, 1.8], [0.2, 12.0]])
    assert load.figures(window, 1.0, 11.0, 5.0) == {
        "tokens_per_s": 0.3,
        "tokens_per_processor_s": 0.6,
        "dollars_per_million": pytest.approx(dollars(0.6), abs=1e-3),
        "first_ms": {"p50": 1000.0, "p99": 1000.0},
        "gap_ms": {"p50": 150.0, "p99": 200.0},
    }
    assert percentiles([]) is None
    assert dollars(25.25) == pytest.approx(1.0)


def test_clients_talk_to_the_app(bundles: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "WARM", 0.0)
    monkeypatch.setattr(load, "PROMPT", (1, 2))
    monkeypatch.setattr(load, "WRITTEN", (2, 4))
    with server(bundles[8]) as (pid, port, seconds):
        assert seconds > 0
        figures = load.measure(pid, port, 97, 2, 0.3)
        refused = load.measure(pid, port, 10**6, 1, 0.1)
    assert set(figures) == {"tokens_per_s", "tokens_per_processor_s", "dollars_per_million", "first_ms", "gap_ms"}
    assert "10000" in refused["failed"]


# What is made of the figures.


def program(*rates: float | None) -> dict[str, Any]:
    cases = {f"write-{depth}x{rows}": list(rates) for depth in (128, 900) for rows in (1, 8)}
    steps = dict.fromkeys([f"write-{depth}x{rows}" for depth in (128, 900) for rows in (1, 2, 4, 8, 16)], 124.0)
    return {"files_mb": 131.6, "peak_mb": 300, "step_mb": steps, "cases": cases | {"read-512": list(rates)}}


WINDOW = {
    "tokens_per_s": 100.0,
    "tokens_per_processor_s": 100.0,
    "dollars_per_million": 0.2525,
    "first_ms": {"p50": 20.0, "p99": 40.0},
    "gap_ms": {"p50": 10.0, "p99": 15.0},
}
RESULTS: dict[str, Any] = {
    "speed": {
        "machine": {"cpu": "Some CPU", "cores": 2, "instructions": ["avx2"], "date": "2026-11-27"},
        "rounds": [{"load": [1.0, 2.0], "gb_per_s": 12.4}, {"load": [0.5, 1.0], "gb_per_s": 12.4}],
        "served": dict.fromkeys(map(str, CASES), "8 bits"),
        "programs": {
            "8 bits before": program(50.0, 100.0),
            "8 bits": program(60.0, 110.0),
            "CTranslate2 int8": program(None, 55.0),
        },
    },
    "load": {"servers": {"8 rows": {"1": [WINDOW], "8": [{"failed": "it did not answer"}, WINDOW]}}},
    "startup": {"benchmark": "startup", "start to first answer, now, s": 0.5, "files, MB": {"now": 300, "before": 131}},
}


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, result in RESULTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    monkeypatch.setattr(speed_tables, "RESULTS", tmp_path)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("writing-128", "| **8 bits** | 85 (85 %) | – | – | 85 (11 %) | – |"),
        ("reading", "| CTranslate2 int8 | – | – | 55 | – |"),
        ("ratios", "| `read-512` | 1.15 | – | – | 8 bits | 2.00 |"),
        ("memory", "| 8 bits before | 300 MB | 132 MB |"),
        ("load", "| 8 | 8 rows | 100 | 100 | 0.25 | 20 | 40 | 10 | 15 |"),
        ("startup", "| start to first answer, now, s | 0.5 |"),
    ],
)
def test_a_table_says_what_was_measured_and_what_was_not(name: str, line: str) -> None:
    lines = speed_tables.figures(name).splitlines()
    assert line in lines
    assert len({row.count("|") for row in lines}) == 1


@pytest.mark.usefixtures("recorded")
def test_the_machine_is_a_sentence() -> None:
    assert "One core reads 12.4 GB/s. The machine's load was 0.5 to 2.0." in speed_tables.figures("machine")


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(("name", "theme"), [*zip(CHARTS, THEMES, strict=True)])
def test_a_chart_is_drawn_though_figures_are_missing(tmp_path: Path, name: str, theme: str) -> None:
    assert draw(name, theme, CHARTS[name], tmp_path).read_bytes().startswith(b"\x89PNG")


def test_what_is_published_makes_every_table() -> None:
    assert (ROOT / "benchmarks" / "results" / "speed.json").exists()
    for name in speed_tables.TABLES:
        assert speed_tables.figures(name)
