"""`report`: are we funny yet? Whether people like a model's texts as often as people's.

    python -m finetune report --store sqlite:///feedback.db --out reports/ratings

Writes report.html for people, and votes.csv with every vote and its text for programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.errors import DataError
from finetune.folder import refuse_overwriting, replace_folder, written_aside
from finetune.votes.like_rates import LikeRate, most_liked_texts, rates_by_origin
from finetune.votes.rate_comparisons import verdict
from finetune.votes.stored_votes import read_votes
from finetune.votes.vote_table import collect_votes
from finetune.votes.votes_csv import read_texts, write_through
from finetune.votes.votes_page import render

FILES = ("report.html", "votes.csv")


def report(*, store: str = "sqlite:///feedback.db", out: Path = Path("reports/ratings")) -> None:
    """Say whether people like a model's texts as often as people's.

    Args:
        store: where the votes are, as in the app's FEEDBACK: sqlite:///PATH or bigquery://PROJECT.DATASET
        out: the report's folder; an older report there is replaced
    """
    refuse_overwriting(out, (out / "votes.csv").is_file(), "a report")
    with written_aside(out) as aside:
        votes = collect_votes(write_through(read_votes(store), aside / "votes.csv"))
        if not len(votes):
            raise DataError(f"{store} has no votes yet: ask for some.")
        texts = read_texts(aside / "votes.csv", {text_id for text_id, _, _ in most_liked_texts(votes)})
        (aside / "report.html").write_text(render(votes, store, texts), encoding="utf-8")
        replace_folder(aside, out, FILES)
    print(as_table(rates_by_origin(votes)))
    print(f"{verdict(votes)}\n{out}/report.html")


def as_table(rates: Sequence[LikeRate]) -> str:
    title = "written by"
    width = max(len(title), *(len(rate.name) for rate in rates))
    head = f"{title:<{width}}  source  {'texts':>7} {'people':>7} {'votes':>7}  liked"
    rows = [
        f"{rate.name:<{width}}  {rate.source:<6}  {rate.texts:>7,} {rate.people:>7,} {rate.votes:>7,}  {rate}"
        for rate in rates
    ]
    return "\n".join([head, *rows])
