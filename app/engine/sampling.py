"""Sampling: from logits to the next token, with one function for each rule.

A rule takes the logits of one row, float32 [n_vocab], and returns logits of the same shape. A token that it rules out gets -inf.
`choose` applies the rules in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Logits = NDArray[np.float32]
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
    seen = prompted | (counts > 0)
    # A factor near zero would overflow.
    factor = np.float32(max(sampling.repetition_penalty, 1e-6))
    repeated = np.where(logits > 0, logits / factor, logits * factor)
    logits = np.where(seen, repeated, logits)
    logits -= np.float32(sampling.presence_penalty) * (counts > 0)
    logits -= np.float32(sampling.frequency_penalty) * counts
    return logits


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Keep the k likeliest tokens, and those that tie with the last of them."""
    if not 0 < k < len(logits):
        return logits
    return np.where(logits >= kth_largest(logits, k), logits, -np.inf).astype(np.float32)


def kth_largest(logits: Logits, k: int) -> np.float32:
    """The k-th largest logit.

    The k-th largest of some blocks' maxima bounds it from below, so only the few values from that bound up need partitioning.
    """
    blocks = 8 * k
    if len(logits) > 4 * blocks:
        maxima = logits[: len(logits) // blocks * blocks].reshape(blocks, -1).max(axis=1)
        logits = logits[logits >= np.partition(maxima, -k)[-k]]
    found: np.float32 = np.partition(logits, -k)[-k]
    return found


def keep_top_p(logits: Logits, p: float) -> Logits:
    """Nucleus sampling: keep the fewest tokens whose probabilities add up to p (Holtzman et al. 2019, arXiv 1904.09751)."""
    if not 0 < p < 1:
        return logits
    weights = softmax(logits)
    # All tokens below this bound add up to less than 1 - p, so they are outside the nucleus and need no sorting.
    likely = np.flatnonzero(weights >= (1 - p) / len(weights))
    order = likely[np.argsort(weights[likely])[::-1]]
    before = np.cumsum(weights[order], dtype=np.float64)
    kept = order[: 1 + int(np.searchsorted(before, p))]
    nucleus = np.full_like(logits, -np.inf)
    nucleus[kept] = logits[kept]
    return nucleus


def keep_min_p(logits: Logits, p: float) -> Logits:
    """Keep the tokens at least p times as likely as the likeliest (Nguyen et al. 2024, arXiv 2407.01082)."""
    if p <= 0:
        return logits
    return np.where(logits >= logits.max() + np.float32(np.log(p)), logits, -np.inf).astype(np.float32)


def keep_typical(logits: Logits, p: float) -> Logits:
    """Locally typical sampling (Meister et al. 2022, arXiv 2202.00666): keep the most typical tokens that add up to p.

    Tokens are ordered by the distance of their surprisal from the entropy of the distribution; the closest is the most typical.
    """
    if not 0 < p < 1:
        return logits
    left = np.flatnonzero(logits > -np.inf)
    surprisal = -log_softmax(logits[left])
    weights = np.exp(-surprisal)
    entropy = np.sum(weights * surprisal)
    order = np.argsort(np.abs(surprisal - entropy), kind="stable")
    count = 1 + int(np.searchsorted(np.cumsum(weights[order], dtype=np.float64), p))
    typical = np.full_like(logits, -np.inf)
    kept = left[order[:count]]
    typical[kept] = logits[kept]
    return typical


def log_softmax(logits: Logits) -> Logits:
    """The natural logarithms of the probabilities, [n_vocab]."""
    logits = logits - logits.max()
    logs: Logits = logits - np.log(np.exp(logits).sum())
    return logs


def softmax(logits: Logits) -> Logits:
    """The probabilities, [n_vocab]."""
    weights: Logits = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


def draw(logits: Logits, random: np.random.Generator) -> int:
    """Draw a token at random, each with its probability."""
    left = np.flatnonzero(logits > -np.inf)
    few = logits[left] if len(left) < len(logits) else logits
    sums = np.cumsum(np.exp(few - logits.max()), dtype=np.float64)
    # Rounding may put the product at the very end of the range, beyond the last token.
    return int(left[min(int(np.searchsorted(sums, random.random() * sums[-1], side="right")), int(np.argmax(sums)))])


def choose(logits: Logits, sampling: Sampling, random: np.random.Generator) -> int:
    """Choose the next token: temperature, top-k, top-p, min-p, typical-p, then a random draw. Penalties come before this."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    # The largest logit is moved to 0 first, so that a division by a temperature near zero does not overflow.
    logits = (logits - logits.max()) / np.float32(max(sampling.temperature, 1e-6))
    logits = keep_min_p(keep_top_p(keep_top_k(logits, sampling.top_k), sampling.top_p), sampling.min_p)
    return draw(keep_typical(logits, sampling.typical_p), random)
