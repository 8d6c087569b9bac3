"""How often people tell models' texts from human ones, and whether more often than by chance.

The figure is the balanced accuracy: the mean of two shares, of models' texts that were taken for a model's and of human texts
that were taken for a person's. Chance is 50 % then, whatever the mix of texts and whichever answer people lean to.

The guesses of one person resemble each other, and so do the guesses at one text. The variance is the linearized one, clustered
by people and by texts at once (https://doi.org/10.1198/jbes.2010.07136), and Wilson's interval has the effective sample size that
belongs to it. In simulated games the intervals held the true share 92 to 97 times of 100, and 91 times
with only ten human texts (2026-11-27).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.votes.like_rates import LikeRate, rates_by_origin
from finetune.votes.stored_votes import StoredGuess, StoredVote
from finetune.votes.vote_table import Origin, VoteTable, collect_votes

CHANCE = 0.5


@dataclass(frozen=True, kw_only=True)
class ToldApart:
    """The share told apart, with the ends of its 95 % interval (Wilson), and the counts that it is from.

    It is of one author's texts and all texts of the other source, or of all texts: then name and source are empty.
    """

    name: str
    source: str
    value: float
    low: float
    high: float
    guesses: int
    people: int

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % of {self.guesses:,} guesses, {100 * self.low:.0f}–{100 * self.high:.0f}"


@dataclass(frozen=True, kw_only=True)
class AuthorGuesses:
    """The guesses at one author's texts.

    recognized: how often they were right, as a rate whose "votes" are guesses and whose "up" are right ones
    told_apart: from all texts of the other source; None if there are no guesses at those
    """

    recognized: LikeRate
    told_apart: ToldApart | None


def collect_guesses(guesses: Iterable[StoredGuess]) -> VoteTable:
    """The guesses as a table in which a right guess is "up"."""
    return collect_votes(
        StoredVote(*guess[:4], 1 if guess.guessed == guess.source else -1, *guess[5:]) for guess in guesses
    )


def told_apart(guesses: VoteTable, author: Origin | None = None) -> ToldApart | None:
    """The share told apart, of all texts or of one author's from all of the other source. None if there is only one source."""
    from statsmodels.stats.proportion import proportion_confint

    chosen = np.ones(len(guesses), np.bool_)
    if author is not None:
        chosen = guesses.is_from(author) | ~guesses.is_source(author.source)
    right, is_model = guesses.up[chosen].astype(float), guesses.is_source("model")[chosen]
    if is_model.all() or not is_model.any():
        return None
    of_models, of_people = right[is_model], right[~is_model]
    value = float(of_models.mean() + of_people.mean()) / 2
    shares = np.where(is_model, of_models.mean(), of_people.mean())
    influence = (right - shares) / np.where(is_model, 2 * len(of_models), 2 * len(of_people))
    people, texts = guesses.voter[chosen], guesses.text[chosen]
    effective = effective_guesses(value, influence, people, texts)
    low, high = proportion_confint(value * effective, effective, method="wilson")
    return ToldApart(
        name=author.generated_by if author else "",
        source=author.source if author else "",
        value=value,
        low=float(low),
        high=float(high),
        guesses=len(right),
        people=len(np.unique(people)),
    )


def effective_guesses(
    value: float, influence: NDArray[np.float64], people: NDArray[np.int32], texts: NDArray[np.int32]
) -> float:
    """How many independent guesses these are worth. `influence` [guesses] is what each adds to the error of `value`."""
    fewest = min(len(np.unique(people)), len(np.unique(texts)))
    by_people, by_texts = clustered_variance(influence, people), clustered_variance(influence, texts)
    # What both count, since nobody guesses twice at a text, is the variance without clusters.
    variance = max(by_people, by_texts, by_people + by_texts - float((influence**2).sum()))
    if fewest == 1 or not variance:
        # The data cannot show how alike the guesses of a cluster are, so the worst is assumed: one guess per cluster.
        return float(fewest)
    return min(float(len(influence)), value * (1 - value) / variance)


def clustered_variance(influence: NDArray[np.float64], clusters: NDArray[np.int32]) -> float:
    _, cluster = np.unique(clusters, return_inverse=True)
    sums = np.bincount(cluster, weights=influence)
    return float(len(sums) / max(1, len(sums) - 1) * (sums**2).sum())


def guesses_by_author(guesses: VoteTable) -> list[AuthorGuesses]:
    """The guesses at the texts of each model and each file of human texts, in the order of `rates_by_origin`."""
    return [
        AuthorGuesses(recognized=rate, told_apart=told_apart(guesses, Origin(rate.source, rate.name)))
        for rate in rates_by_origin(guesses)
    ]


def guesses_verdict(guesses: VoteTable) -> str:
    """Whether people can tell, in one sentence. There must be at least one guess."""
    found = told_apart(guesses)
    if found is None:
        kind = "models'" if guesses.is_source("model").any() else "human"
        return f"Nobody knows yet whether people can tell: all {len(guesses):,} guesses are at {kind} texts."
    said = "Nobody can tell yet"
    if found.low > CHANCE:
        said = "People can tell"
    elif found.high < CHANCE:
        said = "People take one for the other"
    people = "1 person" if found.people == 1 else f"{found.people:,} people"
    return f"{said}: told apart in {found}, by {people}; by chance it would be 50 %."
