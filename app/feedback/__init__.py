"""Votes, guesses and the texts they are about, stored in a SQLite file or in BigQuery."""

from __future__ import annotations

import os
import re

from app.errors import SettingError
from app.feedback.store import Store
from app.network import check_proxy
from app.settings import FEEDBACK_ADDRESS

BIGQUERY = "https://bigquery.googleapis.com"


def open_store(address: str, name: str = "FEEDBACK") -> Store:
    """The store at `sqlite:///PATH` or `bigquery://PROJECT.DATASET`. `name` is the setting that holds the address.

    Opens no file and no connection, and imports no database library: the first call to the store does. Raises SettingError.
    """
    match = re.fullmatch(FEEDBACK_ADDRESS, address)
    if match is None:
        raise SettingError(f"{name} is {address!r}, and should be sqlite:///PATH or bigquery://PROJECT.DATASET.")
    if match["path"]:
        from app.feedback.sqlite_store import SqliteStore

        return SqliteStore(match["path"])
    check_proxy(os.environ.get("BIGQUERY_EMULATOR_HOST") or BIGQUERY, "requests")
    from app.feedback.bigquery_store import BigQueryStore

    return BigQueryStore(match["project"], match["dataset"])
