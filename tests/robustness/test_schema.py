"""The app does what /openapi.json says, for data that fit the description and for data that do not: schemathesis asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.conftest import ROOT
from tests.robustness.everything import everything_on
from tests.robustness.service import Service

# In a run of all checks, a check of ours stands for this one, which knows no reasons.
LEFT_OUT = "positive_data_acceptance"
HOOKS = "tests.robustness.schema_checks"


def test_schema(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
    tmp_path: Path,
) -> None:
    """All routes, all checks. At full size also the library's own list of cases for each field: its phase "coverage"."""
    with serving(**everything_on(tmp_path)) as service:
        ended = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--checks", "all",
             "--exclude-checks", LEFT_OUT, "--phases", "fuzzing" if rounds(1, 2) == 1 else "examples,coverage,fuzzing",
             "--mode", "all", "--max-examples", str(rounds(1, 150)), "--seed", "1", "--continue-on-failure",
             "--report", "json", "--report-json-path", str(tmp_path / "report.json")],
            env=os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    record("routes and methods asked", report["operations"]["tested"])
    record("requests of schemathesis", report["test_cases"]["generated"])
    record("answers that are not as described", report["test_cases"]["unique_failures"], 0)
