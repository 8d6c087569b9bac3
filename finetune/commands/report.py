"""`report`: are we funny yet? Whether people like a model's texts as often as people's, and whether they can tell them apart.

    python -m finetune report --store sqlite:///feedback.db --out reports/ratings

Writes report.html for people. For programs it writes report.json with the same figures, and votes.csv and guesses.csv with every
vote and every guess of `/play`, each with its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.errors import DataError
from finetune.folder import refuse_overwriting, replace_folder, written_aside
from finetune.votes.like_rates import LikeRate, most_liked_texts, rates_by_origin
from finetune.votes.rate_comparisons import verdict
from finetune.votes.report_summary import summary
from finetune.votes.stored_votes import StoredGuess, StoredVote, read_guesses, read_votes
from finetune.votes.told_apart import collect_guesses, guesses_by_author, guesses_verdict
from finetune.votes.vote_table import collect_votes
from finetune.votes.votes_csv import read_texts, write_through
from finetune.votes.votes_page import render

FILES = ("report.html", "report.json", "votes.csv", "guesses.csv")


def report(*, store: str = "sqlite:///feedback.db", out: Path = Path("reports/ratings")) -> None:
    """Say whether people like a model's texts as often as people's, and whether they can tell them apart.

    Args:
        store: where the votes are, as in the app's FEEDBACK: sqlite:///PATH or bigquery://PROJECT.DATASET
        out: the report's folder; an older report there is replaced
    """
    refuse_overwriting(out, (out / "votes.csv").is_file(), "a report")
    with written_aside(out) as aside:
        votes = collect_votes(write_through(read_votes(store), aside / "votes.csv", StoredVote))
        guesses = collect_guesses(write_through(read_guesses(store), aside / "guesses.csv", StoredGuess))
        if not len(votes) and not len(guesses):
            raise DataError(f"{store} has no votes yet: ask for some.")
        texts = read_texts(aside / "votes.csv", {text_id for text_id, _, _ in most_liked_texts(votes)})
        (aside / "report.html").write_text(render(votes, guesses, store, texts), encoding="utf-8")
        (aside / "report.json").write_bytes(summary(votes, guesses, store))
        replace_folder(aside, out, FILES)
    if len(votes):
        print(as_table(rates_by_origin(votes), "votes", "liked"))
        print(verdict(votes))
    if len(guesses):
        print(as_table([author.recognized for author in guesses_by_author(guesses)], "guesses", "recognized"))
        print(guesses_verdict(guesses))
    print(f"{out}/report.html")


def as_table(rates: Sequence[LikeRate], counted: str, share: str) -> str:
    """`counted` is what the rates count, `share` what they are the share of."""
    title = "written by"
    width = max(len(title), *(len(rate.name) for rate in rates))
    head = f"{title:<{width}}  source  {'texts':>7} {'people':>7} {counted:>7}  {share}"
    rows = [
        f"{rate.name:<{width}}  {rate.source:<6}  {rate.texts:>7,} {rate.people:>7,} {rate.votes:>7,}  {rate}"
        for rate in rates
    ]
    return "\n".join([head, *rows])
