"""Votes as training data: liked texts as a corpus, preference pairs for a ranker, and guesses who wrote a text.

liked.jsonl   one text per line, as `prepare` reads it: {"turns": [prompt, text]} for an answer, else {"body": text};
              with {"private": true} where a visitor wrote the prompt
pairs.jsonl   {"prompt", "chosen", "rejected"}: two texts on one prompt, the first liked more; each text in a few pairs only
guesses.jsonl {"prompt", "text", "written_by", "model", "human"}: how many players of /play took a text for a model's and for a
              person's, and who wrote it; empty where nobody played
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from app.errors import DataError
from finetune.folder import replace_folder, written_aside
from finetune.votes.stored_votes import StoredGuess, StoredVote, read_guesses, read_votes

FILES = ("liked.jsonl", "pairs.jsonl", "guesses.jsonl")
PAIRS_PER_TEXT = 4


class ScoredText(msgspec.Struct):
    """A text and its score: likes less dislikes."""

    prompt: str
    text: str
    score: int = 0


class GuessedText(msgspec.Struct):
    """A text, who wrote it, and how many players took it for a model's and for a person's."""

    prompt: str
    text: str
    written_by: str
    model: int = 0
    human: int = 0


class PreferenceCounts(NamedTuple):
    """How many texts have votes, how many of them are liked, how many pairs there are, and how many texts with guesses."""

    texts: int
    liked: int
    pairs: int
    guessed: int = 0


def write_preferences(store: str, out: Path, minimum: int = 1) -> PreferenceCounts:
    """Write liked texts as a corpus, and pairs of a liked and a less liked text for a ranker.

    Args:
        store: where the votes are, as in the app's FEEDBACK: sqlite:///PATH or bigquery://PROJECT.DATASET
        out: the folder to write, such as data/liked; FILES that are there are replaced
        minimum: the score (likes less dislikes) that makes a text liked, and the difference of scores that makes a pair

    Raises SettingError or DataError, as `read_votes` does, and DataError where no text is liked.
    """
    texts = score_texts(read_votes(store))
    liked = [as_document(text) for text in texts if text.score >= minimum]
    if not liked:
        raise DataError(
            f"{store} has no text with {minimum} more likes than dislikes: collect more votes, or lower the minimum."
        )
    with written_aside(out) as aside:
        write_json_lines(aside / "liked.jsonl", liked)
        pairs = write_json_lines(aside / "pairs.jsonl", preference_pairs(texts, minimum))
        guessed = write_json_lines(aside / "guesses.jsonl", count_guesses(read_guesses(store)))
        replace_folder(aside, out, FILES)
    return PreferenceCounts(len(texts), len(liked), pairs, guessed)


def score_texts(votes: Iterable[StoredVote]) -> list[ScoredText]:
    """Texts with their scores, in the order of their first votes."""
    texts: dict[str, ScoredText] = {}
    for vote in votes:
        texts.setdefault(vote.text_id, ScoredText(vote.prompt, vote.text)).score += vote.value
    return list(texts.values())


def count_guesses(guesses: Iterable[StoredGuess]) -> list[GuessedText]:
    """Texts with the guesses at them, in the order of their first guesses."""
    texts: dict[str, GuessedText] = {}
    for guess in guesses:
        text = texts.setdefault(guess.text_id, GuessedText(guess.prompt, guess.text, guess.source))
        if guess.guessed == "model":
            text.model += 1
        else:
            text.human += 1
    return list(texts.values())


def as_document(scored: ScoredText) -> dict[str, Any]:
    """A text that begins with its prompt, or with the white space after it, continues it; any other is an answer to it."""
    if not scored.prompt.strip():
        return {"body": scored.text}
    if scored.text.startswith(scored.prompt):
        return {"body": scored.text, "private": True}
    if scored.text[:1].isspace():
        return {"body": scored.prompt + scored.text, "private": True}
    return {"turns": [scored.prompt, scored.text], "private": True}


def preference_pairs(texts: Iterable[ScoredText], margin: int) -> Iterator[dict[str, str]]:
    """Pairs of texts on one prompt whose scores differ by `margin` or more, those that differ most first.

    A text is in at most PAIRS_PER_TEXT pairs: a thousand texts without a prompt would otherwise make half a million.
    """
    by_prompt: dict[str, list[ScoredText]] = defaultdict(list)
    for text in texts:
        by_prompt[text.prompt].append(text)
    pairs = [pair for candidates in by_prompt.values() for pair in widest_pairs(candidates, margin)]
    for better, worse in sorted(pairs, key=lambda pair: pair[1].score - pair[0].score):
        yield {"prompt": better.prompt, "chosen": better.text, "rejected": worse.text}


def widest_pairs(candidates: Sequence[ScoredText], margin: int) -> Iterator[tuple[ScoredText, ScoredText]]:
    """The best texts with the worst ones: each text takes partners from the other end while both have pairs left."""
    ranked = sorted(candidates, key=lambda text: -text.score)
    left = [PAIRS_PER_TEXT] * len(ranked)
    bottom = len(ranked) - 1
    for top, better in enumerate(ranked):
        while bottom > top and not left[bottom]:
            bottom -= 1
        for other in range(bottom, top, -1):
            if not left[top] or better.score - ranked[other].score < margin:
                break
            if left[other]:
                left[top] -= 1
                left[other] -= 1
                yield better, ranked[other]


def write_json_lines(path: Path, values: Iterable[Any]) -> int:
    """Write one JSON value per line. Returns how many."""
    count = 0
    with path.open("wb") as file:
        for value in values:
            file.write(msgspec.json.encode(value) + b"\n")
            count += 1
    return count
