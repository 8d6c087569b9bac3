"""Whatever a file holds: it is read and used, or refused in one sentence; in time, and in bounded memory."""

from __future__ import annotations

import random
import re
import resource
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from app.errors import FatalError
from tests.robustness.file_mutations import mutated
from tests.robustness.readers import Reader, readers

LONGEST_SECONDS = 10
KINDS = (
    "lines of JSON", "lines of JSON in zstandard", "text in gzip", "a table", "Telegram's export", "WhatsApp's export",
    "Discord's export", "X's archive", "a bundle",
    "a bundle of an older version", "a checkpoint", "a Hugging Face folder", "prepared data",
    "an archive of tokens", "a run", "an optimizer's state", "a journal", "options",
    "votes",
)  # fmt: skip
SENTENCE = re.compile(r"[^\n]{1,3000}[.?`)]")


@pytest.fixture(scope="module")
def kinds(checkpoint: Path, bundles: dict[int, Path], data: Path) -> dict[str, Reader]:
    return readers(checkpoint, bundles[8], data)


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{LONGEST_SECONDS} s are over")

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", [*KINDS[:-1], pytest.param(KINDS[-1], marks=pytest.mark.slow)])
def test_a_changed_file_is_used_or_refused_in_one_sentence(
    kind: str,
    kinds: dict[str, Reader],
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    record: Callable[..., None],
) -> None:
    reader = kinds[kind]
    (whole := tmp_path / "whole").mkdir()
    reader.make(whole)
    reader.use(Path(shutil.copytree(whole, tmp_path / "used")))  # Nothing is imported later, when time counts.
    ends: Counter[str] = Counter()
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(rounds(3, 60 if kind == "votes" else 400)):
        chance = random.Random(f"{kind} {seed}")
        folder = Path(shutil.copytree(whole, tmp_path / "changed"))
        name = chance.choice(reader.files)
        (folder / name).write_bytes(mutated((folder / name).read_bytes(), chance))
        began = time.perf_counter()
        ends[outcome(reader, folder, f"{kind}, {name}, seed {seed}")] += 1
        slowest = max(slowest, time.perf_counter() - began)
        shutil.rmtree(folder)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    record(f"{kind}: slowest, s", round(slowest, 2), LONGEST_SECONDS)
    record(f"{kind}: memory, MB more at the peak", round(grown), 500)
    record(f"{kind}: used", ends["used"])
    record(f"{kind}: refused", ends["refused"])


def outcome(reader: Reader, folder: Path, case: str) -> str:
    # Again and again, since a library may swallow an error that is raised in it.
    signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS, 1)
    try:
        reader.use(folder)
    except FatalError as error:
        sentence = str(error)
    except BaseException as error:
        error.add_note(case)
        raise
    else:
        return "used"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert SENTENCE.fullmatch(sentence), f"{case}: {sentence!r}"
    return "refused"


def test_every_kind_is_attacked(kinds: dict[str, Reader]) -> None:
    assert set(kinds) == set(KINDS)
