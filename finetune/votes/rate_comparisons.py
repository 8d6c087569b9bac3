"""Whether like rates differ: Fisher's exact test, Holm's correction, Newcombe's interval.

Tests and intervals use effective sample sizes. Some people vote on both origins of a pair. Where they like the one because
they do not like the other, as of two texts side by side, these votes say less, and the sizes are smaller. Where they like both or
neither, the tests ignore it, so they may miss a real difference but rarely report a false one: in 300 simulated polls without any
difference, at most 3 % did (2026-11-21), and with nothing but texts side by side at most 6 % of 150 (2026-11-27).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from finetune.votes.like_rates import LikeRate, rates_by_origin, rates_by_source
from finetune.votes.vote_table import VoteTable

SIGNIFICANCE = 0.05
POWER = 0.8
"""How often the number of votes that is said to be needed would be enough."""
EQUIVALENCE = 0.05
"""Two rates count as equal if the interval of their difference is within this."""


@dataclass(frozen=True, kw_only=True)
class RateComparison:
    """Two like rates. `low` and `high` are the 95 % interval of their difference, `p` the corrected p-value.

    wins: how often a text of the first is liked and one of the second is not; ties count half
    needed: how many votes on each it takes to detect a difference like this one; None if there is none
    """

    one: LikeRate
    other: LikeRate
    wins: float
    low: float
    high: float
    p: float
    needed: int | None

    @property
    def is_significant(self) -> bool:
        return self.p < SIGNIFICANCE


def compare_rates(pairs: Sequence[tuple[LikeRate, LikeRate]]) -> list[RateComparison]:
    """Compare each pair. The p-values are corrected for the number of pairs (Holm)."""
    from statsmodels.stats.multitest import multipletests

    if not pairs:
        return []
    p_values = multipletests([fisher_p_value(*pair) for pair in pairs], method="holm")[1]
    return [compare_pair(*pair, float(p)) for pair, p in zip(pairs, p_values, strict=True)]


def fisher_p_value(one: LikeRate, other: LikeRate) -> float:
    from scipy.stats import fisher_exact

    rates = (one, other)
    sizes = sizes_of_pair(one, other)
    table = [[round(x.value * size), round((1 - x.value) * size)] for x, size in zip(rates, sizes, strict=True)]
    return float(fisher_exact(table).pvalue)


def sizes_of_pair(one: LikeRate, other: LikeRate) -> tuple[float, float]:
    """The effective sample sizes, smaller where votes of the same people on both are opposed."""
    apart = (one.by_person**2).sum() + (other.by_person**2).sum()
    together = ((one.by_person - other.by_person) ** 2).sum()
    worth = float(min(1, apart / together)) if together else 1.0
    return one.effective_votes * worth, other.effective_votes * worth


def compare_pair(one: LikeRate, other: LikeRate, p: float) -> RateComparison:
    from statsmodels.stats.proportion import confint_proportions_2indep

    sizes = sizes_of_pair(one, other)
    counts = [count for x, size in zip((one, other), sizes, strict=True) for count in (x.value * size, size)]
    low, high = confint_proportions_2indep(*counts, method="newcomb")
    return RateComparison(
        one=one,
        other=other,
        wins=0.5 + (one.value - other.value) / 2,
        low=float(low),
        high=float(high),
        p=p,
        needed=required_votes(one, other),
    )


def compare_all_pairs(rates: Sequence[LikeRate]) -> list[RateComparison]:
    return compare_rates(list(combinations(rates, 2)))


def required_votes(one: LikeRate, other: LikeRate) -> int | None:
    """Votes on each that detect this difference with a probability of POWER, at the present design effects."""
    from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

    difference = one.value - other.value
    if not difference:
        return None
    count = samplesize_proportions_2indep_onetail(
        difference, other.value, POWER, alpha=SIGNIFICANCE, alternative="two-sided"
    )
    sizes = sizes_of_pair(one, other)
    return int(np.ceil(count * max(x.votes / size for x, size in zip((one, other), sizes, strict=True))))


def verdict(votes: VoteTable) -> str:
    """Are we funny yet? The model with the highest lower end of its interval against all human texts; without, against others."""
    models = sorted((rate for rate in rates_by_origin(votes) if rate.source == "model"), key=lambda rate: -rate.low)
    human = rates_by_source(votes).get("human")
    if not models:
        return (
            f"Nobody knows yet: there are votes on human texts, liked in {human} of them, and none on a model's texts."
        )
    if human is None and (known := among_models(models)):
        return f"{known} Whether people are funnier is not known yet: nobody voted on a human text."
    if human is None:
        return f"Nobody knows yet: {models[0].name} is liked in {models[0]} of the votes, and nobody voted on a human text."
    best = compare_rates([(model, human) for model in models])[0]
    return verdict_on(best)


def among_models(models: Sequence[LikeRate]) -> str:
    """Which model people like more than another, if that is certain. The first of them is the best."""
    best = models[0]
    pairs = [
        found
        for found in compare_all_pairs(models)
        if found.one is best and found.is_significant and best.value > found.other.value
    ]
    if not pairs:
        return ""
    found = pairs[0]
    p = "< 0.001" if found.p < 0.001 else f"= {found.p:.3f}"
    return f"{found.one.name} is liked more than {found.other.name}: in {found.one} against {found.other} of the votes (p {p})."


def verdict_on(found: RateComparison) -> str:
    """The sentence on one model against human texts."""
    figures = f"{found.one.name} is liked in {found.one} of the votes, human texts in {found.other}"
    if found.is_significant and found.one.value < found.other.value:
        return f"Not yet: {figures}."
    if found.is_significant:
        return f"Yes, and more than people: {figures}."
    if found.low > -EQUIVALENCE and found.high < EQUIVALENCE:
        return f"Yes, as often as people: {figures}."
    advice = f"; to detect such a difference takes about {roughly(found.needed)} votes on each" if found.needed else ""
    return f"It is too early to tell: {figures}{advice}."


def roughly(count: int) -> str:
    """To two digits."""
    return f"{float(f'{count:.2g}'):,.0f}"
