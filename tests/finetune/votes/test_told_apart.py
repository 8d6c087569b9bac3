"""What is told apart does not depend on the mix of texts, nor on what people lean to, and many guesses of one person are few."""

from __future__ import annotations

import pytest

from finetune.votes.told_apart import collect_guesses, guesses_by_author, guesses_verdict, told_apart
from tests.finetune.votes.polls import guesses


def test_who_always_says_the_same_tells_nothing_apart() -> None:
    """Of these texts, 80 % are a model's, so that who always says so is right in 80 % of the guesses."""
    found = told_apart(collect_guesses(guesses(model=(80, 0), human=(0, 20))))
    assert found is not None
    assert (found.value, found.guesses, found.people) == (0.5, 100, 10)
    assert found.low < 0.25
    assert found.high > 0.75


def test_independent_guesses_have_wilsons_interval() -> None:
    """Against published figures for Wilson's interval of 8 in 10: each guess is another person's, at another text."""
    rows = [row._replace(voter=row.text_id, text=row.text_id) for row in guesses(model=(40, 10), human=(40, 10))]
    found = told_apart(collect_guesses(rows))
    assert found is not None
    assert (found.value, found.people) == (0.8, 100)
    assert (found.low, found.high) == pytest.approx((0.7112, 0.8666), abs=2e-3)


def test_guesses_of_a_few_people_prove_nothing() -> None:
    """Half of the people are always right, the others always wrong, at texts of their own."""
    rows = [
        row._replace(voter=str(n % 4), guessed=row.source if n % 4 < 3 else "neither", text=row.text_id)
        for n, row in enumerate(guesses(model=(100, 0), human=(100, 0)))
    ]
    found = told_apart(collect_guesses(rows))
    assert found is not None
    assert found.value == 0.75
    assert found.low < 0.4
    assert str(found) == "75 % of 200 guesses, 26–96"


def test_each_author_is_told_apart_from_the_other_kind() -> None:
    rows = guesses(model=(30, 10), human=(20, 20))
    rows += [row._replace(generated_by="dull", text=f"dull {row.text}") for row in rows[:30]]
    found = {author.recognized.name: author for author in guesses_by_author(collect_guesses(rows))}
    told = {name: author.told_apart.value for name, author in found.items() if author.told_apart}
    assert told["tiny"] == pytest.approx((0.75 + 0.5) / 2)
    assert told["dull"] == pytest.approx((found["dull"].recognized.value + 0.5) / 2)
    assert set(told) == {"tiny", "dull", "jokes.txt"}


@pytest.mark.parametrize(
    ("model", "human", "said"),
    [
        ((150, 50), (150, 50), "People can tell: told apart in 75 % of 400 guesses, 71–79, by 40 people; by"),
        ((50, 150), (50, 150), "People take one for the other: told apart in 25 % of 400 guesses, 21–29, by 40"),
        ((5, 4), (5, 6), "Nobody can tell yet: told apart in 51 % of 20 guesses, "),
        ((0, 0), (2, 1), "Nobody knows yet whether people can tell: all 3 guesses are at human texts."),
    ],
)
def test_the_verdict_on_guesses(model: tuple[int, int], human: tuple[int, int], said: str) -> None:
    assert guesses_verdict(collect_guesses(guesses(model, human))).startswith(said)
