"""Votes become a corpus of liked texts and pairs for a ranker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from finetune.commands.prepare import prepare
from finetune.votes.preferences import PreferenceCounts, ScoredText, as_document, write_preferences
from tests.finetune.votes.polls import fill, votes


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
        '{"turns": ["Why?", "Because."]}', '{"body": "Why? Oh well."}', '{"body": "A text of its own."}',
    }  # fmt: skip
    pairs = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    assert [(pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs] == [
        ("Why?", "Because.", "Why? Oh well."), ("Why?", "Because.", "So what."), ("Why?", "Because.", "No."),
        ("Why?", "Why? Oh well.", "So what."), ("Why?", "Why? Oh well.", "No."), ("Why?", "So what.", "No."),
    ]  # fmt: skip
    prepare([str(out / "liked.jsonl")], tmp_path / "prepared", vocabulary=checkpoint, template="qa", near_duplicates=0)
    write_preferences(address, out, minimum=3)
    assert (out / "liked.jsonl").read_text() == '{"turns":["Why?","Because."]}\n'
    assert len((out / "pairs.jsonl").read_text().splitlines()) == 3
    with pytest.raises(SettingError, match=r"--param minimum is '0', and should be 1 or more"):
        fetch(FetchOptions("ratings", out, source=[address], param=["minimum=0"]))
    with pytest.raises(DataError, match="has no text with 4 more likes than dislikes"):
        write_preferences(address, out, minimum=4)


@pytest.mark.parametrize(
    ("prompt", "text", "document"),
    [
        ("Why?", "Because.", {"turns": ["Why?", "Because."]}),
        ("Why did", " the duck stop?", {"body": "Why did the duck stop?"}),
        ("[QUESTION] Why?\n[ANSWER]", " Because.", {"body": "[QUESTION] Why?\n[ANSWER] Because."}),
        ("Why did", "Why did the duck stop?", {"body": "Why did the duck stop?"}),
        (" ", " Because.", {"body": " Because."}),
    ],
)
def test_a_text_that_goes_on_after_its_prompt_is_no_turn(prompt: str, text: str, document: dict[str, object]) -> None:
    """What the page wrote after a beginning was an answer to it, and was trained with two tags in a row."""
    assert as_document(ScoredText(prompt, text)) == document
