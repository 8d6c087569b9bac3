"""Fixtures for the tests of fetch: a vocabulary, a path for the corpus, and a fetch that returns the corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.commands.fetch import FetchOptions, fetch
from finetune.data.vocabulary import learn_vocabulary
from tests.conftest import TEXTS
from tests.finetune.fetch.rows import Fetch


@pytest.fixture(scope="package")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary(folder, TEXTS, size=300)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "corpora" / "out.jsonl"


@pytest.fixture
def run(out: Path, vocabulary: Path) -> Fetch:
    """Fetch into a file and return its documents."""

    def fetched(query: str, *sources: Path | str, **options: Any) -> list[dict[str, Any]]:
        fetch(
            FetchOptions(
                query, out=out, source=[str(source) for source in sources], **{"vocabulary": vocabulary} | options
            )
        )
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return fetched
