"""Fixtures of the attacks: how large they are, what they measure, and whom they attack."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.torture import Figure, keep, table
from tests.robustness.service import Service, started

FIGURES = pytest.StashKey[list[Figure]]()
CORES = sorted(os.sched_getaffinity(0))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


@pytest.fixture(scope="session")
def torture(pytestconfig: pytest.Config) -> bool:
    """Whether the attacks have their full size."""
    return bool(pytestconfig.option.torture)


@pytest.fixture
def rounds(torture: bool) -> Callable[[int, int], int]:
    """`rounds(20, 2000)` is 20 in `make test`, and 2,000 in `make torture`."""
    return lambda few, many: many if torture else few


@pytest.fixture
def record(request: pytest.FixtureRequest, torture: bool) -> Iterator[Callable[..., None]]:
    """`record("answers of 5xx", 3, 0)` notes a figure of this test, and the most that it may be if there is a limit.

    At full size, the test fails at its end if a figure is above its limit; all figures are noted before. At a small size nothing
    is compared, since a busy machine would decide: what a test asserts itself must hold at any size.
    """
    found: list[Figure] = []
    attack = request.path.stem.removeprefix("test_").replace("_", " ")

    def note(what: str, value: float, limit: float | None = None) -> None:
        found.append(Figure(attack, what, value, limit))

    yield note
    if torture:
        request.config.stash[FIGURES] += found
        assert [figure for figure in found if figure.limit is not None and figure.value > figure.limit] == []


@pytest.fixture
def serving(torture: bool) -> Callable[..., AbstractContextManager[Service]]:
    """Start the app with settings, as keywords like CONCURRENCY="4". At full size it has a core of its own."""
    return functools.partial(started, CORES[-1] if torture and len(CORES) > 1 else None)


@pytest.fixture(autouse=True, scope="session")
def on_the_other_cores(torture: bool) -> Iterator[None]:
    if torture and len(CORES) > 1:
        os.sched_setaffinity(0, CORES[:-1])
    yield
    os.sched_setaffinity(0, CORES)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    if figures:
        path: Path = keep(figures)
        terminalreporter.write_line(f"{table(figures)}\nwritten to {path}")
