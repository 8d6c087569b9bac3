"""Only significant differences are reported, and the verdict is one sentence."""

from __future__ import annotations

import pytest

from finetune.votes.like_rates import rates_by_origin
from finetune.votes.rate_comparisons import compare_all_pairs, verdict
from finetune.votes.stored_votes import StoredVote
from finetune.votes.vote_table import collect_votes
from tests.finetune.votes.polls import votes


def test_a_few_people_with_many_votes_prove_nothing() -> None:
    """The same counts, once by many people, once by a few who always vote alike."""
    for each, told in ((1, True), (20, False)):
        rates = rates_by_origin(collect_votes([*votes("a", 60, 40, each=each), *votes("b", 40, 60, each=each)]))
        [found] = compare_all_pairs(rates)
        assert found.is_significant is told
        assert found.wins == pytest.approx(0.6)
        assert found.low < 0.2 < found.high


def test_verdicts_on_two_texts_side_by_side_count_once() -> None:
    """Each is two votes that cannot agree. Taken for independent, 14 % of polls without a difference reported one."""
    rows = [*votes("a", 58, 42), *votes("b", 42, 58)]
    [alone] = compare_all_pairs(rates_by_origin(collect_votes(rows)))
    # Who likes the one does not like the other.
    pairs = [row._replace(voter=f"{(n if n < 100 else n + 58) % 100}") for n, row in enumerate(rows)]
    [beside] = compare_all_pairs(rates_by_origin(collect_votes(pairs)))
    assert alone.is_significant
    assert not beside.is_significant
    assert beside.low < 0 < alone.low
    assert (alone.needed or 0) * 1.9 < (beside.needed or 0)


def test_required_votes_are_what_the_textbook_says() -> None:
    """50 % against 60 %, at 5 % significance and 80 % power: 387 votes each. Equal rates need none."""
    [found] = compare_all_pairs(rates_by_origin(collect_votes([*votes("a", 120, 80), *votes("b", 100, 100)])))
    assert found.needed is not None
    assert abs(found.needed - 387) <= 2
    [same] = compare_all_pairs(rates_by_origin(collect_votes([*votes("a", 10, 10), *votes("b", 100, 100)])))
    assert (same.needed, same.p) == (None, 1)


def test_more_pairs_need_stronger_evidence() -> None:
    rows = [*votes("a", 60, 40), *votes("b", 45, 55)]
    [alone] = compare_all_pairs(rates_by_origin(collect_votes(rows)))
    among = compare_all_pairs(rates_by_origin(collect_votes([*rows, *votes("c", 52, 48)])))
    assert alone.is_significant
    assert not next(one for one in among if {one.one.name, one.other.name} == {"a", "b"}).is_significant


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [*votes("tiny", 41, 59), *votes("jokes.txt", 63, 37, "human")],
            "Not yet: tiny is liked in 41 % (32–51) of the votes, human texts in 63 % (53–72).",
        ),
        (
            [*votes("tiny", 90, 10), *votes("dull", 1, 99), *votes("jokes.txt", 63, 37, "human")],
            "Yes, and more than people: tiny is liked in 90 % (83–94) of the votes, human texts in 63 % (53–72).",
        ),
        (
            [*votes("tiny", 1500, 1500), *votes("jokes.txt", 1500, 1500, "human")],
            "Yes, as often as people: tiny is liked in 50 % (48–52) of the votes, human texts in 50 % (48–52).",
        ),
        (
            [*votes("tiny", 5, 5), *votes("lucky", 1, 0), *votes("jokes.txt", 6, 4, "human")],
            (
                "It is too early to tell: tiny is liked in 50 % (24–76) of the votes, human texts in 60 % (31–83); "
                "to detect such a difference takes about 390 votes on each."
            ),
        ),
        (
            votes("tiny", 2, 2),
            "Nobody knows yet: tiny is liked in 50 % (15–85) of the votes, and nobody voted on a human text.",
        ),
        (
            [*votes("tiny", 90, 10), *votes("lucky", 1, 0), *votes("dull", 20, 80)],
            (
                "tiny is liked more than dull: in 90 % (83–94) against 20 % (13–29) of the votes (p < 0.001). "
                "Whether people are funnier is not known yet: nobody voted on a human text."
            ),
        ),
        (
            votes("jokes.txt", 2, 2, "human"),
            "Nobody knows yet: there are votes on human texts, liked in 50 % (15–85) of them, and none on a model's texts.",
        ),
    ],
)
def test_the_verdict_in_one_sentence(rows: list[StoredVote], says: str) -> None:
    assert verdict(collect_votes(rows)) == says
