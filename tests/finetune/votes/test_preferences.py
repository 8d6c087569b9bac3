"""Votes become a corpus of liked texts and pairs for a ranker."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from finetune.commands.prepare import prepare
from finetune.votes.preferences import PreferenceCounts, ScoredText, as_document, preference_pairs, write_preferences
from tests.finetune.votes.polls import fill, fill_guesses, guesses, votes


def test_ratings_become_a_corpus_and_pairs(checkpoint: Path, tmp_path: Path) -> None:
    rows = [
        vote._replace(text_id=text, text=text, prompt=prompt)
        for text, prompt, ups, downs in (
            ("Because.", "Why?", 3, 0), ("So what.", "Why?", 1, 1), ("No.", "Why?", 0, 2),
            ("Why? Oh well.", "Why?", 1, 0), ("A text of its own.", "", 2, 1),
        )
        for vote in votes(text, ups, downs)
    ]  # fmt: skip
    address = fill(f"sqlite:///{tmp_path}/feedback.db", rows)
    out = tmp_path / "data" / "liked"
    assert write_preferences(address, out) == PreferenceCounts(texts=5, liked=3, pairs=6)
    liked = [json.loads(line) for line in (out / "liked.jsonl").read_text().splitlines()]
    assert {json.dumps(one) for one in liked} == {
        '{"turns": ["Why?", "Because."], "private": true}', '{"body": "Why? Oh well.", "private": true}',
        '{"body": "A text of its own."}',
    }  # fmt: skip
    pairs = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    assert [(pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs] == [
        ("Why?", "Because.", "No."), ("Why?", "Because.", "So what."), ("Why?", "Why? Oh well.", "No."),
        ("Why?", "Because.", "Why? Oh well."), ("Why?", "So what.", "No."), ("Why?", "Why? Oh well.", "So what."),
    ]  # fmt: skip
    prepare(
        [str(out / "liked.jsonl")], out=tmp_path / "prepared", vocabulary=checkpoint, template="qa", near_duplicates=0
    )
    write_preferences(address, out, minimum=3)
    assert (out / "liked.jsonl").read_text() == '{"turns":["Why?","Because."],"private":true}\n'
    assert len((out / "pairs.jsonl").read_text().splitlines()) == 3
    with pytest.raises(SettingError, match=r"--param minimum is '0', and should be 1 or more"):
        fetch(FetchOptions("ratings", out=out, source=[address], param=["minimum=0"]))
    with pytest.raises(DataError, match="has no text with 4 more likes than dislikes"):
        write_preferences(address, out, minimum=4)


def test_guesses_come_with_the_ratings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = fill(f"sqlite:///{tmp_path}/feedback.db", votes("tiny", 1, 0))
    rows = guesses(model=(1, 0), human=(20, 2))
    fill_guesses(address, [*rows, rows[0]._replace(voter="another", guessed="human")])
    fetch(FetchOptions("ratings", out=tmp_path / "liked", source=[address]))
    assert capsys.readouterr().out.endswith(" 1 texts with votes, 1 liked, 0 pairs, 11 texts with guesses\n")
    found = [json.loads(line) for line in (tmp_path / "liked/guesses.jsonl").read_text().splitlines()]
    assert found.pop() == {"prompt": "", "text": "text 0", "written_by": "model", "model": 1, "human": 1}
    assert (sum(one["human"] for one in found), sum(one["model"] for one in found)) == (20, 2)


PRIVATE = {"private": True}


@pytest.mark.parametrize(
    ("prompt", "text", "document"),
    [
        ("Why?", "Because.", {"turns": ["Why?", "Because."]} | PRIVATE),
        ("Why did", " the duck stop?", {"body": "Why did the duck stop?"} | PRIVATE),
        ("[QUESTION] Why?\n[ANSWER]", " Because.", {"body": "[QUESTION] Why?\n[ANSWER] Because."} | PRIVATE),
        ("Why did", "Why did the duck stop?", {"body": "Why did the duck stop?"} | PRIVATE),
        (" ", " Because.", {"body": " Because."}),
    ],
)
def test_a_text_that_goes_on_after_its_prompt_is_no_turn(prompt: str, text: str, document: dict[str, object]) -> None:
    """What the page wrote after a beginning was an answer to it, and was trained with two tags in a row.

    What a visitor wrote is private: it would be a beginning that the page offers to everybody.
    """
    assert as_document(ScoredText(prompt, text)) == document


@pytest.mark.parametrize(("liked", "disliked"), [(1500, 1500), (100, 2900), (2900, 100), (3000, 0)])
def test_many_texts_without_a_prompt_make_a_few_pairs_each(liked: int, disliked: int) -> None:
    """3,000 such texts once made four million pairs."""
    texts = [ScoredText("", f"{n}", 1 if n < liked else -1) for n in range(liked + disliked)]
    pairs = list(preference_pairs(texts, margin=1))
    assert len(pairs) == 4 * min(liked, disliked)
    assert {pair["prompt"] for pair in pairs} <= {""}
    for side in ("chosen", "rejected"):
        counts = Counter(pair[side] for pair in pairs)
        assert not counts or max(counts.values()) <= 4
        assert len(counts) in (0, min(liked, disliked))
    assert len({tuple(pair.values()) for pair in pairs}) == len(pairs)


@given(
    scores=st.lists(st.tuples(st.sampled_from(["", "Why?", "[SPORT]"]), st.integers(-9, 9)), max_size=40),
    margin=st.integers(1, 3),
)
def test_pairs_are_of_one_prompt_and_bounded_and_the_widest_come_first(
    scores: list[tuple[str, int]], margin: int
) -> None:
    texts = {str(n): ScoredText(prompt, str(n), score) for n, (prompt, score) in enumerate(scores)}
    pairs = [(texts[pair["chosen"]], texts[pair["rejected"]]) for pair in preference_pairs(texts.values(), margin)]
    widths = [better.score - worse.score for better, worse in pairs]
    assert widths == sorted(widths, reverse=True)
    assert all(width >= margin for width in widths)
    assert all(better.prompt == worse.prompt for better, worse in pairs)
    assert max(Counter(text.text for pair in pairs for text in pair).values(), default=0) <= 4
    for prompt in {prompt for prompt, _ in scores}:
        on_prompt = [score for other, score in scores if other == prompt]
        possible = sum(one - other >= margin for one, other in permutations(on_prompt, 2))
        made = sum(better.prompt == prompt for better, _ in pairs)
        assert made == possible or (made < possible and len(on_prompt) > 5)
        assert made or not possible
