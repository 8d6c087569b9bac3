"""Each sampling rule, on logits with a known result, and all of them against a plain implementation that sorts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from app.engine.sampling import (
    Kept,
    Sampling,
    choose,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
    kth_largest,
    largest,
    log_softmax,
    penalize,
    shift,
    softmax,
)

PROBABILITIES = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
LOGITS = np.log(PROBABILITIES).astype(np.float32)


def kept(places: Kept) -> set[int]:
    return set(range(len(LOGITS))) if places is None else set(places.tolist())


def test_top_k_keeps_the_likeliest() -> None:
    assert kept(keep_top_k(LOGITS, 2)) == {1, 3}


@pytest.mark.parametrize("k", [0, 5, 100])
def test_top_k_of_0_or_beyond_the_vocabulary_keeps_all(k: int) -> None:
    assert kept(keep_top_k(LOGITS, k)) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(("p", "expected"), [(0.0, 5), (0.3, 1), (0.5, 2), (0.75, 3), (1.0, 5)])
def test_top_p_keeps_the_fewest_tokens_that_add_up_to_p(p: float, expected: int) -> None:
    assert len(kept(keep_top_p(LOGITS, p))) == expected


def test_min_p_is_relative_to_the_likeliest() -> None:
    assert kept(keep_min_p(LOGITS, 0.3)) == {1, 3, 4}


def test_rules_combine() -> None:
    """Fixed: top_p switched top_k off."""
    sampling = Sampling(temperature=1.0, top_k=3, top_p=0.99, min_p=0.5)
    random = np.random.default_rng(0)
    assert {choose(LOGITS, sampling, random) for _ in range(200)} == {1, 3}


def test_temperature_zero_is_greedy() -> None:
    assert {choose(LOGITS, Sampling(temperature=0), np.random.default_rng(seed)) for seed in range(20)} == {1}


@pytest.mark.parametrize("temperature", [1e-30, 1e-6, 0.01])
def test_a_temperature_near_zero_is_nearly_greedy_and_does_not_overflow(temperature: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        assert choose(LOGITS, Sampling(temperature=temperature), np.random.default_rng(0)) == 1


def test_draws_follow_the_probabilities() -> None:
    random = np.random.default_rng(0)
    counts = np.bincount([draw(LOGITS, random) for _ in range(20000)], minlength=5)
    assert np.abs(counts / 20000 - PROBABILITIES).max() < 0.015


def test_a_token_that_is_ruled_out_is_never_drawn() -> None:
    logits = np.array([-np.inf, 0.0, -np.inf], np.float32)
    random = np.random.default_rng(0)
    assert {draw(logits, random) for _ in range(100)} == {1}


def test_repetition_penalty_lowers_positive_and_negative_logits() -> None:
    logits = np.array([2.0, -2.0, 2.0], np.float32)
    prompted = np.array([True, True, False])
    result = penalize(logits, prompted, np.zeros(3, np.int32), Sampling(repetition_penalty=2.0))
    assert result.tolist() == [1.0, -4.0, 2.0]


def test_presence_and_frequency_penalties_count_the_text_without_its_prompt() -> None:
    logits = np.zeros(3, np.float32)
    prompted = np.array([True, False, False])
    counts = np.array([0, 1, 3], np.int32)
    result = penalize(logits, prompted, counts, Sampling(presence_penalty=0.5, frequency_penalty=0.25))
    assert result.tolist() == [0.0, -0.75, -1.25]


def chosen_plainly(logits: np.ndarray, sampling: Sampling, random: np.random.Generator) -> int:
    """What `choose` should return: every rule sorts all tokens, and the draw adds up all probabilities."""
    logits = (logits - logits.max()) / np.float32(sampling.temperature)
    if 0 < sampling.top_k < len(logits):
        logits = np.where(logits >= np.sort(logits)[-sampling.top_k], logits, -np.inf)
    if 0 < sampling.top_p < 1:
        logits = plain_prefix(logits, -logits, sampling.top_p)
    if sampling.min_p:
        logits = np.where(logits >= logits.max() + np.float32(np.log(sampling.min_p)), logits, -np.inf)
    if 0 < sampling.typical_p < 1:
        weights = softmax(logits).astype(np.float64)
        surprisal = -log_softmax(logits)
        entropy = np.sum(weights[weights > 0] * surprisal[weights > 0])
        logits = plain_prefix(logits, np.abs(surprisal - np.float32(entropy)), sampling.typical_p)
    sums = np.cumsum(np.exp(logits), dtype=np.float64)
    return int(np.searchsorted(sums, random.random() * sums[-1], side="right"))


def plain_prefix(logits: np.ndarray, keys: np.ndarray, p: float) -> np.ndarray:
    """The logits of the first tokens, sorted by key, whose probabilities add up to p; -inf for the others."""
    order = np.argsort(keys, kind="stable")
    sums = np.cumsum(softmax(logits)[order], dtype=np.float64)
    first = order[: 1 + int(np.searchsorted(sums, p))]
    cut = np.full_like(logits, -np.inf)
    cut[first] = logits[first]
    return cut


RULES = [
    Sampling(),
    Sampling(temperature=1.0, top_k=40),
    Sampling(top_p=0.8),
    Sampling(temperature=1.3, top_p=0.95),
    Sampling(min_p=0.05),
    Sampling(typical_p=0.5),
    Sampling(temperature=1.0, typical_p=0.95),
    Sampling(temperature=1.0, top_k=100, top_p=0.9, min_p=0.01, typical_p=0.9),
]


@pytest.mark.parametrize("sampling", RULES)
@pytest.mark.parametrize("size", [5, 300, 1300, 50257])
def test_the_shortcuts_choose_what_sorting_all_tokens_would(sampling: Sampling, size: int) -> None:
    """At sizes around those at which the shortcuts begin: flat and steep, with ties and with tokens that are ruled out.

    Sums of other parts differ in their last digits, so that one choice in very many may differ.
    """
    random = np.random.default_rng(size)
    same = []
    for _ in range(12):
        logits = (random.standard_normal(size) * random.uniform(0.5, 6)).astype(np.float32)
        logits[random.integers(0, size, 1 + size // 1000)] += random.uniform(0, 10)
        logits[random.random(size) < random.choice([0, 0.3])] = -np.inf
        logits[0], logits[1:3] = 1, 2
        seed = int(random.integers(2**32))
        expected = chosen_plainly(logits, sampling, np.random.default_rng(seed))
        same.append(choose(logits, sampling, np.random.default_rng(seed)) == expected)
    assert np.mean(same) >= 11 / 12


def test_the_kth_largest_is_that_of_the_sorted_values() -> None:
    random = np.random.default_rng(1)
    for size in (5, 300, 1300, 50257) * 5:
        values = (random.standard_normal(size) * 3).astype(np.float32)
        values[random.random(size) < 0.3] = -np.inf
        k = int(random.integers(1, min(size, 100)))
        assert kth_largest(values, k) == np.sort(values)[-k]


@pytest.mark.parametrize("size", [5, 300, 50257])
@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_the_largest_are_the_first_of_the_sorted_values(size: int, count: int) -> None:
    """Whole numbers, so that many are equal."""
    values = np.random.default_rng(size).integers(0, 40, size).astype(np.float32)
    assert largest(values, count).tolist() == np.argsort(-values, kind="stable")[:count].tolist()


@pytest.mark.parametrize("keep", [keep_top_p, keep_typical])
def test_many_equal_logits_are_cut_too(keep: Callable[[np.ndarray, float], Kept]) -> None:
    """Where all are equal, no score tells which of them come first."""
    places = keep(np.zeros(50257, np.float32), 0.5)
    assert places is not None
    assert len(places) == pytest.approx(0.5 * 50257, abs=5)
    assert np.array_equal(places, np.arange(len(places)))


def typical_by_definition(probabilities: np.ndarray, p: float) -> set[int]:
    """As Meister et al. 2022 define it: in order of the distance of surprisal and entropy, until the mass is p."""
    information = -np.log(probabilities)
    entropy = (probabilities * information).sum()
    chosen: set[int] = set()
    for token in sorted(range(len(probabilities)), key=lambda token: abs(information[token] - entropy)):
        chosen.add(token)
        if probabilities[[*chosen]].sum() >= p:
            break
    return chosen


@pytest.mark.parametrize("p", [0.05, 0.2, 0.5, 0.9, 0.99])
def test_typical_p_follows_its_definition(p: float) -> None:
    random = np.random.default_rng(2)
    for size in (5, 40, 300):
        logits = (random.standard_normal(size) * 3).astype(np.float32)
        assert kept(keep_typical(logits, p)) == typical_by_definition(softmax(logits).astype(np.float64), p)


def test_typical_p_may_rule_out_the_likeliest_and_readmits_nothing() -> None:
    logits = np.log(np.array([0.4] + [0.06] * 10, np.float32))
    assert 0 not in kept(keep_typical(logits, 0.2))
    logits[1] = -np.inf
    assert 1 not in kept(keep_typical(logits, 0.99))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_typical_p_can_be_switched_off(p: float) -> None:
    assert keep_typical(LOGITS, p) is None


def test_log_softmax_is_the_logarithm_of_the_probabilities() -> None:
    assert np.allclose(log_softmax(LOGITS + 1000), np.log(PROBABILITIES), atol=1e-4)


def test_shift_moves_the_logits_it_names_and_no_others() -> None:
    shifted = shift(LOGITS, [0, 2], [5.0, -np.inf])
    assert (shifted - LOGITS).tolist() == [5.0, 0.0, -np.inf, 0.0, 0.0]
