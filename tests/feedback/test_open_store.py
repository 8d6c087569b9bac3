"""Opening a store: addresses, ids, and nothing imported too early."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import SettingError
from app.feedback import open_store
from app.feedback.store import new_id
from tests.conftest import ROOT


@pytest.mark.parametrize(
    "address", ["feedback.db", "sqlite://", "sqlite:///", "mysql:///x", "bigquery://x", "bigquery:///x.y"]
)
def test_a_wrong_address_is_explained_in_one_sentence(address: str) -> None:
    message = f"FEEDBACK is {address!r}, and should be sqlite:///PATH or bigquery://PROJECT.DATASET."
    with pytest.raises(SettingError, match=rf"^{re.escape(message)}$"):
        open_store(address)


def test_nothing_is_opened_or_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = """
import sys
import app.__main__, app.server
from app.application import create_application
from app.models import load_models
from app.engine.generation_queue import GenerationQueue
from app.settings import Settings

for address in ("sqlite:///feedback.db", "bigquery://project.dataset"):
    settings = Settings(engine="fake", feedback=address)
    create_application(load_models(settings), GenerationQueue(), settings)
print({"sqlite3", "_sqlite3", "google"} & set(sys.modules))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "set()\n"
    assert not any(tmp_path.iterdir())


def test_ids_fit_into_a_button() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[\w-]{16}", one) for one in ids)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "ftp://127.0.0.1", "http://[::1"])
def test_a_proxy_that_bigquery_cannot_use_stops_the_start(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every vote was once answered with 503 instead, and only the log said why."""
    for name in ("https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(
        SettingError, match=r"^ALL_PROXY names .* or set NO_PROXY=bigquery\.googleapis\.com if no proxy is needed\.$"
    ):
        open_store("bigquery://project.dataset")
    open_store("sqlite:///feedback.db")
    monkeypatch.setenv("NO_PROXY", "googleapis.com")
    open_store("bigquery://project.dataset")
