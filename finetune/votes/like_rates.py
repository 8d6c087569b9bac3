"""How often texts are liked, how sure that is, and whether one origin is liked more than another.

A person's votes resemble each other, and so do the votes on one text: thirty of them can tell as little as five. What they
are worth is counted as Rao and Scott do (https://doi.org/10.2307/2532311): by how much the share of likes varies from
person to person, and from text to text, beyond what chance alone explains. The lesser of the two is taken for the number of
votes in everything that follows. That people and texts were chosen at random is assumed; that some people voted on both of
two origins is not made use of, which errs on the side of doubt. In 300 simulated polls of no difference at all, at most 3 %
told one; the intervals held the true share 95 times of 100 with fifty people and more, 90 times with ten (2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.votes.stored_votes import Vote

SURE = 0.05
"""A difference that chance makes less often than this is one."""
POWER = 0.8
"""How often as many votes as are said to be needed would be enough."""
CLOSE = 0.05
"""Shares that differ by less than this, and surely so, are as good as the same."""
BEST = 10
TITLES = {"model": "all models", "human": "human texts"}
Flags = NDArray[np.bool_]


class Origin(NamedTuple):
    """What texts come from: a model's name, or that of a file of human texts."""

    source: str
    generated_by: str


@dataclass(frozen=True)
class Votes:
    """Columns of all votes; people, texts and origins by number."""

    origins: list[Origin]
    text_ids: list[str]
    origin: NDArray[np.int32]
    text: NDArray[np.int32]
    voter: NDArray[np.int32]
    up: Flags
    day: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.up)

    def of(self, name: Origin) -> Flags:
        flags: Flags = np.equal(self.origin, self.origins.index(name))
        return flags

    def by(self, source: str) -> Flags:
        numbers = [number for number, origin in enumerate(self.origins) if origin.source == source]
        flags: Flags = np.isin(self.origin, np.array(numbers, np.int32))
        return flags


@dataclass(frozen=True, kw_only=True)
class Share:
    """Of so many votes, by so many people on so many texts, the likes; worth so many independent votes; the 95 % interval."""

    name: str
    source: str
    texts: int
    people: int
    votes: int
    up: int
    worth: float
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.up / self.votes

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % ({100 * self.low:.0f}–{100 * self.high:.0f})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two origins. `wins`: how often one's text is liked and the other's is not, ties shared; `low` and `high` of the difference.

    `needed` is how many votes on each it takes to tell a difference like this one; none where there is none.
    """

    one: Share
    other: Share
    wins: float
    low: float
    high: float
    p: float
    needed: int | None

    @property
    def told(self) -> bool:
        return self.p < SURE


def collect(rows: Iterable[Vote]) -> Votes:
    origins: dict[Origin, int] = {}
    texts: dict[str, int] = {}
    voters: dict[str, int] = {}
    numbers = [
        (
            origins.setdefault(Origin(row.source, row.generated_by), len(origins)),
            texts.setdefault(row.text_id, len(texts)),
            voters.setdefault(row.voter, len(voters)),
            row.value,
            row.at.date().toordinal(),
        )
        for row in rows
    ]
    table = np.array(numbers, np.int32).reshape(-1, 5)
    # Day 719163 of Python's calendar is NumPy's day 0, the first of 1970.
    days = (table[:, 4] - 719163).astype("datetime64[D]")
    return Votes(list(origins), list(texts), table[:, 0], table[:, 1], table[:, 2], table[:, 3] > 0, days)


def measure(votes: Votes, chosen: Flags, name: str, source: str) -> Share:
    """The share of likes among the chosen votes, of which there is one at least."""
    from statsmodels.stats.proportion import proportion_confint

    up, people, texts = votes.up[chosen], votes.voter[chosen], votes.text[chosen]
    worth = min(independent(up, people), independent(up, texts))
    low, high = proportion_confint(up.mean() * worth, worth, method="wilson")
    return Share(
        name=name,
        source=source,
        texts=len(np.unique(texts)),
        people=len(np.unique(people)),
        votes=len(up),
        up=int(up.sum()),
        worth=worth,
        low=float(low),
        high=float(high),
    )


def independent(up: Flags, groups: NDArray[np.int32]) -> float:
    """How many independent votes these are worth, when those of one group resemble each other."""
    _, group = np.unique(groups, return_inverse=True)
    sizes, likes = np.bincount(group), np.bincount(group, weights=up)
    share, count = up.mean(), len(sizes)
    if count == 1 or share in (0, 1):
        # Nothing to see a likeness by, so the worst is taken: that all of a group say the same.
        return float(count)
    observed = count / (count - 1) * ((likes - share * sizes) ** 2).sum()
    by_chance = share * (1 - share) * len(up) ** 2 / (len(up) - 1)
    return float(len(up) * min(1, by_chance / observed)) if observed else float(len(up))


def by_origin(votes: Votes) -> list[Share]:
    """Best first."""
    shares = [measure(votes, votes.of(origin), origin.generated_by, origin.source) for origin in votes.origins]
    return sorted(shares, key=lambda share: (-share.value, share.name))


def by_source(votes: Votes) -> dict[str, Share]:
    """All models together and all human texts together, where there are votes on them."""
    chosen = {source: votes.by(source) for source in TITLES}
    return {source: measure(votes, flags, TITLES[source], source) for source, flags in chosen.items() if flags.any()}


def by_time(votes: Votes) -> tuple[str, dict[str, dict[np.datetime64, Share]]]:
    """Each source's share by day, or by week once there are more than a month of days; and which of the two."""
    unit = "day" if np.ptp(votes.day).astype(int) <= 31 else "week"
    # NumPy's weeks begin on Thursdays, as 1970 did; ours on Mondays.
    spans = votes.day if unit == "day" else (votes.day + 3).astype("datetime64[W]").astype("datetime64[D]") - 3
    shares = {}
    for source, title in TITLES.items():
        chosen = votes.by(source)
        found = np.unique(spans[chosen])
        shares[source] = {span: measure(votes, chosen & (spans == span), title, source) for span in found}
    return unit, shares


def compare(pairs: Sequence[tuple[Share, Share]]) -> list[Comparison]:
    """Each pair by Fisher's exact test; the chances of error are Holm's, for that many pairs at once."""
    from scipy.stats import fisher_exact
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import confint_proportions_2indep

    if not pairs:
        return []
    tables = [[[round(of.value * of.worth), round((1 - of.value) * of.worth)] for of in pair] for pair in pairs]
    chances = multipletests([fisher_exact(table).pvalue for table in tables], method="holm")[1]
    comparisons = []
    for (one, other), p in zip(pairs, chances, strict=True):
        parts = one.value * one.worth, one.worth, other.value * other.worth, other.worth
        low, high = confint_proportions_2indep(*parts, method="newcomb")
        wins = 0.5 + (one.value - other.value) / 2
        needed = votes_needed(one, other)
        found = Comparison(one=one, other=other, wins=wins, low=float(low), high=float(high), p=float(p), needed=needed)
        comparisons.append(found)
    return comparisons


def all_pairs(shares: Sequence[Share]) -> list[Comparison]:
    return compare(list(combinations(shares, 2)))


def votes_needed(one: Share, other: Share) -> int | None:
    """On each of two, if votes go on being worth what they were."""
    from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

    difference = one.value - other.value
    if not difference:
        return None
    count = samplesize_proportions_2indep_onetail(difference, other.value, POWER, alpha=SURE, alternative="two-sided")
    return int(np.ceil(count * max(one.votes / one.worth, other.votes / other.worth)))


def best_texts(votes: Votes) -> list[tuple[str, int, int]]:
    """The id, likes and votes of the texts that surely are liked most."""
    from statsmodels.stats.proportion import proportion_confint

    ups = np.bincount(votes.text, weights=votes.up).astype(int)
    counts = np.bincount(votes.text)
    lows = proportion_confint(ups, counts, method="wilson")[0]
    order = [int(number) for number in np.argsort(-lows, kind="stable")[:BEST] if ups[number]]
    return [(votes.text_ids[number], int(ups[number]), int(counts[number])) for number in order]


def verdict(votes: Votes) -> str:
    """Are we funny yet? The model that surely is liked most, against all human texts."""
    models = sorted((share for share in by_origin(votes) if share.source == "model"), key=lambda share: -share.low)
    human = by_source(votes).get("human")
    if not models and human:
        return f"Nobody knows yet: there are votes on human texts, liked in {human} of them, and on no model's."
    if human is None:
        return f"Nobody knows yet: {models[0].name} is liked in {models[0]} of the votes, and nobody voted on a human text."
    found = compare([(model, human) for model in models])[0]
    figures = f"{found.one.name} is liked in {found.one} of the votes, human texts in {human}"
    if found.told and found.one.value < human.value:
        return f"Not yet: {figures}."
    if found.told:
        return f"Yes, and more than people: {figures}."
    if found.low > -CLOSE and found.high < CLOSE:
        return f"Yes, as often as people: {figures}."
    needed = (
        f"; to tell a difference like this takes about {roughly(found.needed)} votes on each" if found.needed else ""
    )
    return f"It cannot be told yet: {figures}{needed}."


def roughly(count: int) -> str:
    """To two digits."""
    return f"{float(f'{count:.2g}'):,.0f}"
