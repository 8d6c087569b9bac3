"""report.json of `report`: its figures for programs. Shares and the ends of their 95 % intervals are from 0 to 1."""

from __future__ import annotations

from typing import Any

import msgspec

from finetune.votes.like_rates import LikeRate, rates_by_origin
from finetune.votes.rate_comparisons import verdict
from finetune.votes.told_apart import ToldApart, guesses_by_author, guesses_verdict, told_apart
from finetune.votes.vote_table import VoteTable


def summary(votes: VoteTable, guesses: VoteTable, store: str) -> bytes:
    """The content of report.json: {"store", "votes", "guesses"}, each of the last two null if there are none."""
    content = {
        "store": store,
        "votes": votes_summary(votes) if len(votes) else None,
        "guesses": guesses_summary(guesses) if len(guesses) else None,
    }
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"


def votes_summary(votes: VoteTable) -> dict[str, Any]:
    rates = [shares(rate, "votes", "liked") for rate in rates_by_origin(votes)]
    return {"verdict": verdict(votes), "written_by": rates}


def guesses_summary(guesses: VoteTable) -> dict[str, Any]:
    authors = [
        shares(author.recognized, "guesses", "recognized") | {"told_apart": as_shares(author.told_apart)}
        for author in guesses_by_author(guesses)
    ]
    return {
        "verdict": guesses_verdict(guesses),
        "told_apart": as_shares(told_apart(guesses)),
        "written_by": authors,
    }


def shares(rate: LikeRate, counted: str, share: str) -> dict[str, Any]:
    """A rate by the names of what it counts and of what it is the share."""
    return {
        "name": rate.name,
        "source": rate.source,
        "texts": rate.texts,
        "people": rate.people,
        counted: rate.votes,
        f"effective_{counted}": rate.effective_votes,
        share: {"share": rate.value, "low": rate.low, "high": rate.high},
    }


def as_shares(found: ToldApart | None) -> dict[str, Any] | None:
    if found is None:
        return None
    interval = {"share": found.value, "low": found.low, "high": found.high}
    return interval | {"guesses": found.guesses, "people": found.people}
