"""Texts that were shown and the votes on them: kept in SQLite, or in BigQuery where a container forgets its disk."""

from __future__ import annotations

import re

from app.errors import SettingError
from app.feedback.store import Store
from app.settings import FEEDBACK_ADDRESS


def open_store(address: str, name: str = "FEEDBACK") -> Store:
    """The store at `sqlite:///PATH` or `bigquery://PROJECT.DATASET`. Nothing is opened, or imported for it, before its first use.

    Raises SettingError, which calls the address `name`.
    """
    match = re.fullmatch(FEEDBACK_ADDRESS, address)
    if match is None:
        raise SettingError(f"{name} is {address!r}, and should be sqlite:///PATH or bigquery://PROJECT.DATASET.")
    if match["path"]:
        from app.feedback.sqlite_store import SqliteStore

        return SqliteStore(match["path"])
    from app.feedback.bigquery_store import BigQueryStore

    return BigQueryStore(match["project"], match["dataset"])
