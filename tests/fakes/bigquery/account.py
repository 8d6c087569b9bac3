"""Google's stand-in: a fake BigQuery on loopback, and an account that may use it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.bigquery import BigQuery, bigquery

ADDRESS = "bigquery://jokes-1.ratings"


@contextlib.contextmanager
def google(folder: Path) -> Iterator[BigQuery]:
    """A fake BigQuery. Environment variables lead Google's own client to it and give the client an account."""
    account = {
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "secret",
        "refresh_token": "never used",
        "token": "token",
        "expiry": "2999-01-01T00:00:00Z",
    }
    (folder / "account.json").write_text(json.dumps(account))
    with bigquery() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", fake.address)
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "account.json"))
        yield fake
