"""Conversations from Reddit's API, through PRAW: whole trees of comments, each way down one a row of turns.

The credentials are PRAW's own: praw_client_id, praw_client_secret and praw_user_agent in the environment, or praw.ini. PRAW
keeps to Reddit's limits by waiting. A post that was read to its end is never asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.errors import DataError, SettingError
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.query import Parameter, Value
from finetune.progress_bar import progress_bar

if TYPE_CHECKING:
    from praw import Reddit
    from praw.models import Comment, Submission
    from praw.models.comment_forest import CommentForest

SORTS = ("top", "new", "hot", "controversial")
TIMES = ("hour", "day", "week", "month", "year", "all")
OPENINGS = ("title", "post", "none")
PARAMETERS = (
    Parameter("subreddit", "STRING", None, "the subreddit to read, such as AmItheAsshole"),
    Parameter("sort", "STRING", "top", f"which posts: {', '.join(SORTS)}"),
    Parameter("time", "STRING", "all", f"of the top or controversial posts those of this {', '.join(TIMES)}"),
    Parameter("limit", "INT64", 100, "how many posts; Reddit lists no more than 1000"),
    Parameter("opening", "STRING", "title", "the first turn: the post's title, the whole post, or none of it"),
    Parameter("longest", "INT64", 8, "turns of a conversation at most; it is cut there"),
)
ATTEMPTS = 5
LONGEST_WAIT = 600.0


def fetch_rows(sources: Sequence[str], values: Mapping[str, Value], journal: Journal) -> dict[str, Any]:
    """Leave the conversations of a subreddit in the journal, post by post, and go on after those that are there."""
    if sources:
        raise SettingError("fetch reddit reads no files: leave --source out.")
    for name, known in (("sort", SORTS), ("time", TIMES), ("opening", OPENINGS)):
        if values[name] not in known:
            raise SettingError(f"--param {name} is {values[name]!r}, and should be one of {', '.join(known)}.")
    if int(values["limit"]) < 1 or int(values["longest"]) < 2:
        raise SettingError("--param limit should be 1 or more, and --param longest 2 or more.")
    done: list[str] = journal.state.get("posts", [])
    cut(journal, journal.state.get("size", 0))
    with (
        refusals(str(values["subreddit"])),
        journal.adding() as file,
        progress_bar("read", int(values["limit"]), " posts") as progress,
    ):
        for post in posts(connect(), values):
            if post.id not in done:
                write_rows(file, patiently(post, values))
                file.flush()
                done.append(post.id)
                journal.keep(posts=done, size=file.tell())
            progress.update()
    return {"posts": len(done)}


def cut(journal: Journal, size: int) -> None:
    """Leave out what was written of a post that was not read to its end."""
    if journal.rows.exists():
        with journal.rows.open("rb+") as file:
            file.truncate(size)


def connect() -> Reddit:
    from praw import Reddit
    from praw.exceptions import MissingRequiredAttributeException

    try:
        return Reddit(check_for_updates=False, check_for_async=False)
    except MissingRequiredAttributeException:
        raise SettingError(
            "Reddit needs to know who asks: make an app of type script at https://www.reddit.com/prefs/apps, and set "
            "praw_client_id, praw_client_secret and praw_user_agent."
        ) from None


@contextmanager
def refusals(subreddit: str) -> Iterator[None]:
    """What Reddit says against a request, in one sentence."""
    from prawcore import exceptions

    try:
        yield
    except (exceptions.NotFound, exceptions.Redirect):
        raise SettingError(f"Reddit has no r/{subreddit}: look at the spelling of --param subreddit.") from None
    except exceptions.Forbidden:
        raise SettingError(f"r/{subreddit} is private or closed: name another with --param subreddit.") from None
    except (exceptions.OAuthException, exceptions.InvalidToken):
        raise SettingError("Reddit does not accept praw_client_id and praw_client_secret: look at them.") from None
    except exceptions.ResponseException as error:
        if error.response.status_code == 401:
            raise SettingError("Reddit does not accept praw_client_id and praw_client_secret: look at them.") from None
        raise DataError(
            f"Reddit answered {error.response.status_code}: try again later; the posts read so far are kept."
        ) from None
    except exceptions.PrawcoreException as error:
        raise DataError(
            f"Reddit cannot be reached ({type(error).__name__}): try again; the posts read so far are kept."
        ) from None


def posts(reddit: Reddit, values: Mapping[str, Value]) -> Iterator[Submission]:
    listing = getattr(reddit.subreddit(str(values["subreddit"])), str(values["sort"]))
    timed = {"time_filter": values["time"]} if values["sort"] in ("top", "controversial") else {}
    found: Iterator[Submission] = listing(limit=values["limit"], **timed)
    return found


def patiently(post: Submission, values: Mapping[str, Value]) -> list[Row]:
    """The conversations under a post; when Reddit wants a pause, after that pause."""
    from prawcore.exceptions import TooManyRequests

    for attempt in range(1, ATTEMPTS + 1):
        try:
            post.comments.replace_more(limit=None)
            return list(conversations(post, values))
        except TooManyRequests as error:
            if attempt == ATTEMPTS:
                raise
            time.sleep(min(float(error.retry_after or 2**attempt), LONGEST_WAIT))
            post = type(post)(post._reddit, id=post.id)
    return []


def conversations(post: Submission, values: Mapping[str, Value]) -> Iterator[Row]:
    """Each way from the post down to a comment that nobody answered, or as far as a conversation may go."""
    opening = [] if values["opening"] == "none" else [opening_of(post, whole=values["opening"] == "post")]
    longest = int(values["longest"])
    waiting = [(comment, opening) for comment in reversed(level(post.comments))]
    while waiting:
        comment, before = waiting.pop()
        said = [*before, turn_of(comment)]
        replies = level(comment.replies) if len(said) < longest else []
        waiting += [(reply, said) for reply in reversed(replies)]
        if not replies and len(said) > 1:
            turns, authors, scores = zip(*said, strict=True)
            yield {"id": comment.id, "turns": turns, "authors": authors, "scores": scores}


def level(forest: CommentForest) -> list[Comment]:
    """The comments of one level. What PRAW would have to ask for again is none: all was asked for."""
    return [forest[number] for number in range(len(forest))]  # type: ignore[misc]


Turn = tuple[str, str, int]
"""A text, its author and its score."""


def opening_of(post: Submission, whole: bool) -> Turn:
    text = f"{post.title}\n\n{post.selftext}".strip() if whole else post.title
    return text, name_of(post), post.score


def turn_of(comment: Comment) -> Turn:
    return comment.body, name_of(comment), comment.score


def name_of(said: Submission | Comment) -> str:
    return said.author.name if said.author else "[deleted]"
