"""`report`: are we funny yet? Which texts people like, a model's or people's, and how sure that is.

    python -m finetune report --store sqlite:///feedback.db --out reports/ratings

Writes report.html for people, and votes.csv with every vote and its text for programs.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from app.errors import DataError
from finetune.folder import refuse_strangers, replace_folder, written_aside
from finetune.votes.like_rates import Share, best_texts, by_origin, collect, verdict
from finetune.votes.stored_votes import Vote, read_votes
from finetune.votes.votes_page import render

FILES = ("report.html", "votes.csv")


def report(store: str = "sqlite:///feedback.db", out: Path = Path("reports/ratings")) -> None:
    """Say whether people like a model's texts as often as people's.

    Args:
        store: where the ratings are, as in the app's FEEDBACK: sqlite:///PATH or bigquery://PROJECT.DATASET
        out: the report's folder; an older report there is replaced
    """
    refuse_strangers(out, (out / "votes.csv").is_file(), "a report")
    with written_aside(out) as aside:
        votes = collect(written(read_votes(store), aside / "votes.csv"))
        if not len(votes):
            raise DataError(f"{store} has no votes yet: ask for some.")
        texts = read_texts(aside / "votes.csv", {text_id for text_id, _, _ in best_texts(votes)})
        (aside / "report.html").write_text(render(votes, store, texts), encoding="utf-8")
        replace_folder(aside, out, FILES)
    print(table(by_origin(votes)))
    print(f"{verdict(votes)}\n{out}/report.html")


def written(votes: Iterable[Vote], path: Path) -> Iterator[Vote]:
    """The same votes, each in the file once it is taken."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(Vote._fields)
        for vote in votes:
            rows.writerow(vote._replace(at=vote.at.isoformat()))  # type: ignore[arg-type]  # Written as text.
            yield vote


def read_texts(path: Path, text_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The prompt and the text of each."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["text_id"]: (row["prompt"], row["text"]) for row in csv.DictReader(file) if row["text_id"] in text_ids
        }


def table(shares: list[Share]) -> str:
    title = "written by"
    width = max(len(title), *(len(share.name) for share in shares))
    head = f"{title:<{width}}  source  {'texts':>7} {'people':>7} {'votes':>7}  liked"
    rows = [f"{of.name:<{width}}  {of.source:<6}  {of.texts:>7,} {of.people:>7,} {of.votes:>7,}  {of}" for of in shares]
    return "\n".join([head, *rows])
