"""Sampling: from logits to the next token, with one function for each rule.

A rule takes the logits of the tokens that are left, float32 [n], and returns the places of those that it keeps, in ascending
order, or None where it is turned off and keeps all. `choose` applies the rules in order.

No rule sorts the whole vocabulary: blocks or a sample of it say where the few tokens are that matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Kept = NDArray[np.intp] | None
# Tokens of a block. A draw looks at the sums of blocks first.
BLOCK = 128
# The most tokens that are sorted. Of more, every n-th makes a sample of this size, and these ranks of it are looked at.
SORTED = 1024
SAMPLE = 512
RANKS = (3, 12, 48, 96, 192, 384)
# The range of each option. /generate, `sample` and `evaluate` accept all of it, OpenAI's routes a part of some.
Temperature = Annotated[float, Meta(ge=0, le=100)]
TopK = Annotated[int, Meta(ge=0, lt=2**31)]
Probability = Annotated[float, Meta(ge=0, le=1)]
TypicalP = Annotated[float, Meta(gt=0, le=1)]
RepetitionPenalty = Annotated[float, Meta(gt=0, le=100)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. 0 turns off top_k, top_p and min_p; 1 turns off typical_p. Temperature 0 is greedy."""

    temperature: Temperature = 0.7
    top_k: TopK = 0
    top_p: Probability = 0.0
    min_p: Probability = 0.0
    typical_p: TypicalP = 1.0
    repetition_penalty: RepetitionPenalty = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0

    @property
    def penalizes(self) -> bool:
        return self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0


def shift(logits: Logits, tokens: Sequence[int], amounts: Sequence[float]) -> Logits:
    """Add `amounts` to the logits of `tokens`; -inf rules a token out."""
    logits = logits.copy()
    logits[list(tokens)] += np.asarray(amounts, np.float32)
    return logits


def penalize(logits: Logits, prompted: NDArray[np.bool_], counts: NDArray[np.int32], sampling: Sampling) -> Logits:
    """Make tokens that occurred before less likely.

    `prompted` marks the tokens of the prompt and `counts` the occurrences in the text, both [n_vocab]. The repetition penalty
    (Keskar et al. 2019, arXiv 1909.05858) divides positive logits and multiplies negative ones, for tokens of prompt and text.
    The presence and frequency penalties, as OpenAI defines them, are for tokens of the text only: the first is subtracted once,
    the second once for each occurrence.
    """
    seen = np.flatnonzero(prompted | (counts > 0))
    few, count = logits[seen], counts[seen]
    # A factor near zero would overflow.
    factor = np.float32(max(sampling.repetition_penalty, 1e-6))
    few = np.where(few > 0, few / factor, few * factor)
    few -= np.float32(sampling.presence_penalty) * (count > 0)
    few -= np.float32(sampling.frequency_penalty) * count
    logits = logits.copy()
    logits[seen] = few
    return logits


def keep_top_k(logits: Logits, k: int) -> Kept:
    """Keep the k likeliest tokens, and those that tie with the last of them."""
    if not 0 < k < len(logits):
        return None
    return np.flatnonzero(logits >= kth_largest(logits, k))


def kth_largest(values: Logits, k: int) -> np.float32:
    """The k-th largest value.

    The k-th largest of some blocks' maxima bounds it from below, so only the few values from that bound up need partitioning.
    """
    blocks = 8 * k
    if len(values) > 4 * blocks:
        # Blocks are columns, which is how a processor compares many at once.
        maxima = values[: len(values) // blocks * blocks].reshape(-1, blocks).max(axis=0)
        values = values[values >= np.partition(maxima, -k)[-k]]
    found: np.float32 = np.partition(values, -k)[-k]
    return found


def largest(values: Logits, count: int) -> NDArray[np.intp]:
    """The places of the `count` largest values, or of all, in descending order; the first of equals comes first."""
    if not count:
        return np.empty(0, np.intp)
    bound = kth_largest(values, min(count, len(values)))
    places = np.flatnonzero(values >= bound)
    return places[np.argsort(-values[places], kind="stable")][:count]


def keep_top_p(logits: Logits, p: float) -> Kept:
    """Nucleus sampling: keep the fewest tokens whose probabilities add up to p (Holtzman et al. 2019, arXiv 1904.09751)."""
    if not 0 < p < 1:
        return None
    weights = softmax(logits)
    # All tokens below this bound add up to less than 1 - p, so they are outside the nucleus.
    likely = np.flatnonzero(weights >= (1 - p) / len(weights))
    return likely[heaviest(logits[likely], weights[likely], p)]


def keep_min_p(logits: Logits, p: float) -> Kept:
    """Keep the tokens at least p times as likely as the likeliest (Nguyen et al. 2024, arXiv 2407.01082)."""
    if p <= 0:
        return None
    return np.flatnonzero(logits >= logits.max() + np.float32(np.log(p)))


def keep_typical(logits: Logits, p: float) -> Kept:
    """Locally typical sampling (Meister et al. 2022, arXiv 2202.00666): keep the most typical tokens that add up to p.

    Tokens are ordered by the distance of their surprisal from the entropy of the distribution; the closest is the most typical.
    """
    if not 0 < p < 1:
        return None
    left = np.flatnonzero(logits > -np.inf) if logits.min() == -np.inf else None
    logs = log_softmax(logits if left is None else logits[left])
    weights = np.exp(logs)
    distances = logs - np.sum(weights * logs)
    typical = heaviest(np.negative(np.abs(distances, out=distances), out=distances), weights, p)
    return typical if left is None else left[typical]


def heaviest(scores: Logits, weights: Logits, p: float) -> NDArray[np.intp]:
    """The places of the fewest tokens, those with the largest scores, whose weights add up to p. The first of equals comes first.

    Only the tokens around the last of them are sorted: those above are all in, and those below all out.
    """
    places, inside, mass = np.arange(len(scores)), [np.empty(0, np.intp)], 0.0
    while len(scores) > SORTED:
        lowest, highest, above = bracket(scores, weights, p - mass)
        around = np.flatnonzero((scores >= lowest) & (scores < highest))
        if len(around) == len(scores):
            break
        inside.append(places[np.flatnonzero(scores >= highest)])
        places, scores, weights, mass = places[around], scores[around], weights[around], mass + above
    order = np.argsort(-scores, kind="stable")
    reached = mass + np.cumsum(weights[order], dtype=np.float64)
    last = places[order[: 1 + int(np.searchsorted(reached, p))]]
    return np.sort(np.concatenate([*inside, last]))


def bracket(scores: Logits, weights: Logits, p: float) -> tuple[float, float, float]:
    """Two scores: the weights from the first one up add up to p, those from the second one up do not. Returns their sum too."""
    sample = np.sort(scores[:: len(scores) // SAMPLE])
    highest, above = np.inf, 0.0
    for rank in RANKS:
        lowest = float(sample[-rank])
        reached = float(weights[np.flatnonzero(scores >= lowest)].sum(dtype=np.float64))
        if reached >= p:
            return lowest, highest, above
        highest, above = lowest, reached
    return -np.inf, highest, above


def log_softmax(logits: Logits) -> Logits:
    """The natural logarithms of the probabilities, [n_vocab]."""
    logs: Logits = logits - logits.max()
    logs -= np.log(np.exp(logs).sum())
    return logs


def softmax(logits: Logits) -> Logits:
    """The probabilities, [n_vocab]."""
    weights = exponentials(logits)
    weights /= weights.sum()
    return weights


def exponentials(logits: Logits) -> Logits:
    """What the probabilities are in proportion to; 1 for the likeliest token."""
    weights: Logits = logits - logits.max()
    # In place here and elsewhere: new memory for the whole vocabulary costs more time than the computing.
    return np.exp(weights, out=weights)


def draw(logits: Logits, random: np.random.Generator) -> int:
    """Draw a token at random, each with its probability: first the block that it is in, then the token."""
    weights = exponentials(logits)
    whole = len(weights) // BLOCK * BLOCK
    blocks = weights[:whole].reshape(-1, BLOCK).sum(axis=1, dtype=np.float64)
    ends = np.cumsum(np.append(blocks, weights[whole:].sum(dtype=np.float64)))
    target = random.random() * ends[-1]
    block = first_beyond(ends, target)
    before = ends[block - 1] if block else 0.0
    inside = before + np.cumsum(weights[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64)
    return block * BLOCK + first_beyond(inside, target)


def first_beyond(sums: NDArray[np.float64], target: float) -> int:
    """The first of ascending sums that is larger than the target; the last to grow, where rounding has put it at the end."""
    return min(int(np.searchsorted(sums, target, side="right")), int(np.argmax(sums)))


def choose(logits: Logits, sampling: Sampling, random: np.random.Generator) -> int:
    """Choose the next token: temperature, top-k, top-p, min-p, typical-p, then a random draw. Penalties come before this."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    # The largest logit is moved to 0 first, so that a division by a temperature near zero does not overflow.
    logits = logits - logits.max()
    logits /= np.float32(max(sampling.temperature, 1e-6))
    tokens: Kept = None
    for keep in (
        partial(keep_top_k, k=sampling.top_k),
        partial(keep_top_p, p=sampling.top_p),
        partial(keep_min_p, p=sampling.min_p),
        partial(keep_typical, p=sampling.typical_p),
    ):
        kept = keep(logits)
        if kept is not None:
            logits, tokens = logits[kept], kept if tokens is None else tokens[kept]
    drawn = draw(logits, random)
    return drawn if tokens is None else int(tokens[drawn])
