"""The app does what /openapi.json says, for data that fit the description and for data that do not: schemathesis asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.robustness.everything import everything_on
from tests.robustness.service import Service

# In a run of all checks, a check of ours stands for this one, which knows no reasons.
LEFT_OUT = "positive_data_acceptance"
CONFIG = Path(__file__).parent / "schemathesis.toml"
HOOKS = "tests.robustness.schema_checks"


# One of each kind, for a small size.
A_FEW = r"^/(feedback|play|tokenize|info|api/show|v1/models.*)$"
# For these, the library's list of cases for each field has no end: they have too many fields that may be null.
TOO_MANY_FIELDS = r"^/(completions?|v1/chat/completions)$"


def test_schema(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
    torture: bool,
    tmp_path: Path,
) -> None:
    """All checks. At full size also all routes, and the list of cases: the library's phases "examples" and "coverage"."""
    runs = [["--phases", "fuzzing", "--max-examples", str(rounds(1, 100))]]
    if not torture:
        runs[0] += ["--include-path-regex", A_FEW]
    else:
        runs.append(["--phases", "examples,coverage", "--exclude-path-regex", TOO_MANY_FIELDS])
    with serving(**everything_on(tmp_path)) as service:
        reports = [report(service, options, tmp_path) for options in runs]
    record("routes and methods asked", reports[0]["operations"]["tested"])
    record("requests of schemathesis", sum(each["test_cases"]["generated"] for each in reports))
    record("answers that are not as described", sum(each["test_cases"]["unique_failures"] for each in reports), 0)
    assert [each["failures"] + each["errors"] for each in reports if each["exit_code"]] == []


def report(service: Service, options: list[str], folder: Path) -> Any:
    """What a run of schemathesis found. The words are on standard output, which pytest shows if the test fails."""
    path = folder / "report.json"
    ended = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{service.url}/openapi.json",
         "--checks", "all",
         "--exclude-checks", LEFT_OUT, "--mode", "all", "--seed", "1", "--continue-on-failure", "--report", "json",
         "--report-json-path", str(path), *options],
        env=os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    sys.stdout.write(ended.stdout)
    return json.loads(path.read_text(encoding="utf-8"))
