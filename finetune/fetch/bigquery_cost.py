"""What a query on BigQuery costs: the estimate of a dry run, the budget, and a person's consent."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from app.errors import SettingError

DOLLARS_PER_TIB = 6.25
"""On-demand price in the US; the first TiB of each month is free. Source: cloud.google.com/bigquery/pricing."""
TIB = 2**40
MINIMUM_PER_TABLE = 10 * 2**20
"""Bytes that BigQuery bills for each table at least."""


@dataclass(frozen=True)
class BillingOptions:
    """Who pays for a query, where it runs, and how much it may cost.

    `project` and `location` are Google's names, by default those of the environment. `budget` is in dollars; `yes` agrees to
    the cost without being asked.
    """

    project: str | None = None
    location: str | None = None
    budget: float = 1.0
    yes: bool = False


@dataclass(frozen=True)
class CostEstimate:
    """What a dry run says: the bytes that a query reads, in so many tables."""

    bytes_read: int
    tables: int

    @property
    def dollars(self) -> float:
        return self.bytes_read / TIB * DOLLARS_PER_TIB

    @property
    def billing_limit(self) -> int:
        """The most bytes that can be billed for it; BigQuery refuses a job that would exceed this."""
        return self.bytes_read + MINIMUM_PER_TABLE * max(1, self.tables)

    def __str__(self) -> str:
        return f"{self.bytes_read / 1e9:,.2f} GB, ${self.dollars:,.2f} at ${DOLLARS_PER_TIB} a TiB"


def agree(query: str, estimate: CostEstimate, options: BillingOptions) -> None:
    """Show the cost and, without --yes, ask for consent. Raises SettingError if it is refused or over the budget."""
    if estimate.dollars > options.budget:
        raise SettingError(
            f"{query} would read {estimate}, and --budget is ${options.budget:,.2f}: nothing was billed. "
            "Ask for fewer months, or raise --budget."
        )
    print(f"{query} reads {estimate}; the first TiB of a month is free.")
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise SettingError("nobody is there to agree to that cost: add --yes.")
    if input("Run it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise SettingError("nothing was run, and nothing billed.")
