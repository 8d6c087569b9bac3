"""From logits to the next token: one function a rule, applied in the order of `choose`.

All rules take one row of logits, float32 [n_vocab], and return logits of the same shape in which what is ruled out is -inf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Logits = NDArray[np.float32]
# The range of each option: /generate, `sample` and `evaluate` accept all of it, OpenAI's routes partly less.
Temperature = Annotated[float, Meta(ge=0, le=100)]
TopK = Annotated[int, Meta(ge=0, lt=2**31)]
Probability = Annotated[float, Meta(ge=0, le=1)]
TypicalP = Annotated[float, Meta(gt=0, le=1)]
RepetitionPenalty = Annotated[float, Meta(gt=0, le=100)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen. Zero switches top_k, top_p and min_p off, 1 typical_p; temperature 0 takes the likeliest."""

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
    """Add so much to the logits of these tokens; -inf rules them out."""
    logits = logits.copy()
    logits[list(tokens)] += np.asarray(amounts, np.float32)
    return logits


def penalize(logits: Logits, prompted: NDArray[np.bool_], counts: NDArray[np.int32], sampling: Sampling) -> Logits:
    """Make what was said less likely.

    The repetition penalty (Keskar et al. 2019, arXiv 1909.05858) divides positive logits and multiplies negative ones,
    for tokens of the prompt and of the text; the presence and frequency penalties, as OpenAI defines them, are
    subtracted once and once per occurrence, for tokens of the text alone.
    """
    said = prompted | (counts > 0)
    factor = np.float32(sampling.repetition_penalty)
    repeated = np.where(logits > 0, logits / factor, logits * factor)
    logits = np.where(said, repeated, logits)
    logits -= np.float32(sampling.presence_penalty) * (counts > 0)
    logits -= np.float32(sampling.frequency_penalty) * counts
    return logits


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Keep the k likeliest (and what ties with the last of them)."""
    if not 0 < k < len(logits):
        return logits
    return np.where(logits >= kth_largest(logits, k), logits, -np.inf).astype(np.float32)


def kth_largest(logits: Logits, k: int) -> np.float32:
    """The k-th largest. The k-th largest of some blocks' maxima is not above it, and few are not below that."""
    blocks = 8 * k
    if len(logits) > 4 * blocks:
        maxima = logits[: len(logits) // blocks * blocks].reshape(blocks, -1).max(axis=1)
        logits = logits[logits >= np.partition(maxima, -k)[-k]]
    found: np.float32 = np.partition(logits, -k)[-k]
    return found


def keep_top_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest tokens whose probabilities add up to p: the nucleus (Holtzman et al. 2019, arXiv 1904.09751)."""
    if not 0 < p < 1:
        return logits
    weights = softmax(logits)
    # All those below this add up to less than 1 - p, so none of them is in the nucleus and they need not be sorted.
    likely = np.flatnonzero(weights >= (1 - p) / len(weights))
    order = likely[np.argsort(weights[likely])[::-1]]
    before = np.cumsum(weights[order], dtype=np.float64)
    kept = order[: 1 + int(np.searchsorted(before, p))]
    nucleus = np.full_like(logits, -np.inf)
    nucleus[kept] = logits[kept]
    return nucleus


def keep_min_p(logits: Logits, p: float) -> Logits:
    """Keep what is at least p times as likely as the likeliest (Nguyen et al. 2024, arXiv 2407.01082)."""
    if p <= 0:
        return logits
    return np.where(logits >= logits.max() + np.float32(np.log(p)), logits, -np.inf).astype(np.float32)


def keep_typical(logits: Logits, p: float) -> Logits:
    """Keep what adds up to p, beginning with what is as surprising as the next token is on average.

    Locally typical sampling (Meister et al. 2022, arXiv 2202.00666): on average means the entropy of the distribution.
    """
    if not 0 < p < 1:
        return logits
    left = np.flatnonzero(logits > -np.inf)
    surprise = -log_softmax(logits[left])
    weights = np.exp(-surprise)
    order = np.argsort(np.abs(surprise - np.sum(weights * surprise)), kind="stable")
    count = 1 + int(np.searchsorted(np.cumsum(weights[order], dtype=np.float64), p))
    typical = np.full_like(logits, -np.inf)
    kept = left[order[:count]]
    typical[kept] = logits[kept]
    return typical


def log_softmax(logits: Logits) -> Logits:
    """Natural logarithms of the probabilities that the logits stand for."""
    logits = logits - logits.max()
    logs: Logits = logits - np.log(np.exp(logits).sum())
    return logs


def softmax(logits: Logits) -> Logits:
    weights: Logits = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


def draw(logits: Logits, random: np.random.Generator) -> int:
    """Draw a token with the probabilities that the logits stand for."""
    left = np.flatnonzero(logits > -np.inf)
    few = logits[left] if len(left) < len(logits) else logits
    sums = np.cumsum(np.exp(few - logits.max()), dtype=np.float64)
    # Rounding may put the product at the very end of the range, where no token is.
    return int(left[min(int(np.searchsorted(sums, random.random() * sums[-1], side="right")), int(np.argmax(sums)))])


def choose(logits: Logits, sampling: Sampling, random: np.random.Generator) -> int:
    """Pick the next token: temperature, then top-k, top-p, min-p and typical-p, then chance. Penalties come before."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    # A temperature near zero must not overflow: the likeliest is moved to 0 before the division.
    logits = (logits - logits.max()) / np.float32(max(sampling.temperature, 1e-6))
    logits = keep_min_p(keep_top_p(keep_top_k(logits, sampling.top_k), sampling.top_p), sampling.min_p)
    return draw(keep_typical(logits, sampling.typical_p), random)
