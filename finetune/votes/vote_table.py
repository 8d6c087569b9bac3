"""All votes as columns, with people, texts and origins by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.votes.stored_votes import StoredVote

Flags = NDArray[np.bool_]
UNIX_EPOCH = 719163
"""1 January 1970 as Python counts days."""


class Origin(NamedTuple):
    """Where texts come from: a model's name, or the name of a file of human texts."""

    source: str
    generated_by: str


@dataclass(frozen=True)
class VoteTable:
    """Columns [votes]. `origin` and `text` are indices into `origins` and `text_ids`; `up` is whether the vote is a like."""

    origins: list[Origin]
    text_ids: list[str]
    origin: NDArray[np.int32]
    text: NDArray[np.int32]
    voter: NDArray[np.int32]
    up: Flags
    day: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.up)

    def is_from(self, origin: Origin) -> Flags:
        flags: Flags = np.equal(self.origin, self.origins.index(origin))
        return flags

    def is_source(self, source: str) -> Flags:
        """Which votes are on texts of any model, or on any human texts."""
        numbers = [number for number, origin in enumerate(self.origins) if origin.source == source]
        flags: Flags = np.isin(self.origin, np.array(numbers, np.int32))
        return flags


def collect_votes(votes: Iterable[StoredVote]) -> VoteTable:
    origins: dict[Origin, int] = {}
    texts: dict[str, int] = {}
    voters: dict[str, int] = {}
    rows = [
        (
            origins.setdefault(Origin(vote.source, vote.generated_by), len(origins)),
            texts.setdefault(vote.text_id, len(texts)),
            voters.setdefault(vote.voter, len(voters)),
            vote.value,
            vote.at.date().toordinal(),
        )
        for vote in votes
    ]
    table = np.array(rows, np.int32).reshape(-1, 5)
    days = (table[:, 4] - UNIX_EPOCH).astype("datetime64[D]")
    return VoteTable(list(origins), list(texts), table[:, 0], table[:, 1], table[:, 2], table[:, 3] > 0, days)
