"""Each sampling rule, on logits with a known result."""

from __future__ import annotations

import numpy as np
import pytest

from app.engine.sampling import (
    Sampling,
    choose,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
    kth_largest,
    log_softmax,
    penalize,
    shift,
    softmax,
)

PROBABILITIES = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
LOGITS = np.log(PROBABILITIES).astype(np.float32)


def kept(logits: np.ndarray) -> set[int]:
    return set(np.flatnonzero(np.isfinite(logits)))


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


def test_shortcuts_equal_sorting_the_whole_vocabulary() -> None:
    """At sizes around those at which the shortcuts begin, with ties and with tokens that are ruled out."""
    random = np.random.default_rng(1)
    for size in (5, 300, 1300, 50257) * 20:
        logits = (random.standard_normal(size) * random.uniform(0.5, 8)).astype(np.float32)
        logits[random.random(size) < 0.3] = -np.inf
        logits[0] = 1
        k = int(random.integers(1, min(size, 100)))
        assert kth_largest(logits, k) == np.sort(logits)[-k]
        p = random.uniform(0.05, 0.95)
        ordered = np.sort(logits)[::-1]
        count = 1 + int(np.searchsorted(np.cumsum(softmax(ordered), dtype=np.float64), p))
        nucleus = np.sort(keep_top_p(logits, p))[::-1]
        assert np.isfinite(nucleus).sum() == pytest.approx(count, abs=1)
        assert np.array_equal(nucleus[: count - 1], ordered[: count - 1])


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
    assert keep_typical(LOGITS, p) is LOGITS


def test_log_softmax_is_the_logarithm_of_the_probabilities() -> None:
    assert np.allclose(log_softmax(LOGITS + 1000), np.log(PROBABILITIES), atol=1e-4)


def test_shift_moves_the_logits_it_names_and_no_others() -> None:
    shifted = shift(LOGITS, [0, 2], [5.0, -np.inf])
    assert (shifted - LOGITS).tolist() == [5.0, 0.0, -np.inf, 0.0, 0.0]
