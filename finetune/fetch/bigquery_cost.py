"""What a query on BigQuery costs, by the estimate of a dry run."""

from __future__ import annotations

from typing import NamedTuple

DOLLARS_PER_TIB = 6.25
"""On-demand price in the US; the first TiB of each month is free. Source: cloud.google.com/bigquery/pricing."""
TIB = 2**40
MINIMUM_PER_TABLE = 10 * 2**20
"""Bytes that BigQuery bills for each table at least."""


class CostEstimate(NamedTuple):
    """What a dry run says of a query: the bytes that it reads, and in how many tables."""

    bytes_read: int
    tables: int

    @property
    def dollars(self) -> float:
        return self.bytes_read / TIB * DOLLARS_PER_TIB

    @property
    def billing_limit(self) -> int:
        """The most bytes that may be billed. BigQuery refuses a job that would exceed its limit."""
        return self.bytes_read + MINIMUM_PER_TABLE * max(1, self.tables)
