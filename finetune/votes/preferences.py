"""Ratings as training data: what people like to learn from, and pairs to learn to tell apart by.

liked.jsonl   a text a line, as `prepare` reads it: {"turns": [prompt, text]} for an answer, else {"body": text}
pairs.jsonl   {"prompt", "chosen", "rejected"}: of texts on one prompt, one that is liked more and one that is liked less
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from app.errors import DataError, SettingError
from finetune.folder import refuse_strangers, replace_folder, written_aside
from finetune.votes.stored_votes import Vote, read_votes

FILES = ("liked.jsonl", "pairs.jsonl")


class Rated(msgspec.Struct):
    """A text with its likes less its dislikes."""

    prompt: str
    text: str
    score: int = 0


def ratings(store: str, out: Path, minimum: int = 1) -> None:
    """Write liked texts as a corpus, and pairs of a liked and a less liked one for a ranker.

    Args:
        store: where the ratings are, as in the app's FEEDBACK: sqlite:///PATH or bigquery://PROJECT.DATASET
        out: the folder to write, such as data/liked; what was fetched there before is replaced
        minimum: by how many its likes must outnumber its dislikes for a text to be liked, and one text's another's for a pair
    """
    if minimum < 1:
        raise SettingError(f"--minimum is {minimum}, and should be 1 or more.")
    refuse_strangers(out, (out / "pairs.jsonl").is_file(), "fetched ratings")
    rated = rate(read_votes(store))
    liked = [document(text) for text in rated if text.score >= minimum]
    if not liked:
        raise DataError(f"{store} has no text that is liked by {minimum} more than not: ask for votes, or for fewer.")
    with written_aside(out) as aside:
        write_lines(aside / "liked.jsonl", liked)
        pairs = write_lines(aside / "pairs.jsonl", pairs_of(rated, minimum))
        replace_folder(aside, out, FILES)
    print(f"{out}: {len(rated):,} rated texts, {len(liked):,} liked, {pairs:,} pairs")


def rate(votes: Iterable[Vote]) -> list[Rated]:
    """In the order of their first votes."""
    rated: dict[str, Rated] = {}
    for vote in votes:
        rated.setdefault(vote.text_id, Rated(vote.prompt, vote.text)).score += vote.value
    return list(rated.values())


def document(of: Rated) -> dict[str, Any]:
    """A text that begins with its prompt goes on from it, and stands for itself; any other is an answer to it."""
    if not of.prompt.strip() or of.text.startswith(of.prompt):
        return {"body": of.text}
    return {"turns": [of.prompt, of.text]}


def pairs_of(rated: Iterable[Rated], margin: int) -> Iterator[dict[str, str]]:
    by_prompt: dict[str, list[Rated]] = defaultdict(list)
    for text in rated:
        by_prompt[text.prompt].append(text)
    for prompt, texts in by_prompt.items():
        for one, other in combinations(sorted(texts, key=lambda text: -text.score), 2):
            if one.score - other.score >= margin:
                yield {"prompt": prompt, "chosen": one.text, "rejected": other.text}


def write_lines(path: Path, values: Iterable[Any]) -> int:
    """A line of JSON each. How many."""
    count = 0
    with path.open("wb") as file:
        for value in values:
            file.write(msgspec.json.encode(value) + b"\n")
            count += 1
    return count
