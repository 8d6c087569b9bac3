"""`fetch reddit`: conversations of a subreddit, one for each path down the comments of a post.

PRAW asks Reddit's API, and waits to keep within its limits. The credentials are PRAW's own: praw_client_id,
praw_client_secret and praw_user_agent in the environment, or praw.ini. A post that was read to its end is never asked for
again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from app.errors import DataError, SettingError
from finetune.fetch.journal import Journal, Row, write_rows
from finetune.fetch.row_source import FetchedRows
from finetune.fetch.source_files import SourceText
from finetune.network_errors import network_problem
from finetune.progress_bar import progress_bar

if TYPE_CHECKING:
    from praw import Reddit
    from praw.models import Comment, Submission
    from praw.models.comment_forest import CommentForest

ATTEMPTS = 5
"""Times that a post is asked for while Reddit answers "too many requests"."""
LONGEST_WAIT = 600.0
"""Seconds to wait at most when Reddit asks for a pause."""
Turn = tuple[str, str, int]
"""A text, its author and its score."""


class RedditOptions(msgspec.Struct, frozen=True):
    """Which posts to read, and how to cut their comments into conversations."""

    subreddit: Annotated[str, Meta(description="the subreddit to read, such as AmItheAsshole")]
    sort: Annotated[
        Literal["top", "new", "hot", "controversial"], Meta(description="which posts: top, new, hot, controversial")
    ] = "top"
    time: Annotated[
        Literal["hour", "day", "week", "month", "year", "all"],
        Meta(description="how far back top and controversial go: hour, day, week, month, year, all"),
    ] = "all"
    limit: Annotated[int, Meta(ge=1, description="how many posts; Reddit lists 1000 at most")] = 100
    opening: Annotated[
        Literal["title", "post", "none"],
        Meta(description="the first turn: the post's title, title and text (post), or none of it"),
    ] = "title"
    longest: Annotated[int, Meta(ge=2, description="turns of a conversation at most; it is cut off there")] = 8


def fetch_conversations(sources: SourceText, options: RedditOptions, journal: Journal) -> FetchedRows:
    """Leave the conversations in the journal, resuming after the posts that are there. Raises SettingError or DataError."""
    done: list[str] = journal.state.get("posts", [])
    # Rows beyond this size are of a post that was not read to its end.
    journal.truncate(journal.state.get("size", 0))
    with (
        reddit_errors(options.subreddit),
        journal.adding() as file,
        progress_bar("read", options.limit, " posts") as progress,
    ):
        for post in list_posts(create_client(), options):
            if post.id not in done:
                write_rows(file, read_post(post, options))
                file.flush()
                done.append(post.id)
                journal.keep(posts=done, size=file.tell())
            progress.update()
    return FetchedRows(["id", "turns", "authors", "scores"], {"posts": len(done)})


def create_client() -> Reddit:
    """Raises SettingError without credentials."""
    from praw import Reddit
    from praw.exceptions import MissingRequiredAttributeException

    try:
        return Reddit(check_for_updates=False, check_for_async=False)
    except MissingRequiredAttributeException:
        raise SettingError(
            "Reddit needs credentials: create an app of type script at https://www.reddit.com/prefs/apps, and set "
            "praw_client_id, praw_client_secret and praw_user_agent."
        ) from None


@contextmanager
def reddit_errors(subreddit: str) -> Iterator[None]:
    """Turn PRAW's errors into a SettingError or DataError of one sentence."""
    from prawcore import exceptions

    refused = SettingError("Reddit does not accept praw_client_id and praw_client_secret: check them.")
    try:
        yield
    except (exceptions.NotFound, exceptions.Redirect):
        raise SettingError(f"Reddit has no r/{subreddit}: check the spelling of --param subreddit.") from None
    except exceptions.Forbidden:
        raise SettingError(f"r/{subreddit} is private or closed: name another with --param subreddit.") from None
    except (exceptions.OAuthException, exceptions.InvalidToken):
        raise refused from None
    except exceptions.ResponseException as error:
        status = error.response.status_code
        if status == 401:
            raise refused from None
        raise DataError(f"Reddit answered {status}: try again later; the posts read so far are kept.") from None
    except exceptions.PrawcoreException as error:
        problem = network_problem(error, "Reddit") or f"Reddit cannot be reached ({type(error).__name__}): try again"
        raise DataError(f"{problem}; the posts read so far are kept.") from None


def list_posts(reddit: Reddit, options: RedditOptions) -> Iterator[Submission]:
    list_sorted = getattr(reddit.subreddit(options.subreddit), options.sort)
    period = {"time_filter": options.time} if options.sort in ("top", "controversial") else {}
    found: Iterator[Submission] = list_sorted(limit=options.limit, **period)
    return found


def read_post(post: Submission, options: RedditOptions) -> list[Row]:
    """The conversations below a post. If Reddit answers "too many requests", waits and tries again."""
    from prawcore.exceptions import TooManyRequests

    attempt = 1
    while True:
        try:
            post.comments.replace_more(limit=None)
            return list(conversations_of(post, options))
        except TooManyRequests as error:
            if attempt == ATTEMPTS:
                raise
            time.sleep(min(float(error.retry_after or 2**attempt), LONGEST_WAIT))
            attempt += 1
            post = type(post)(post._reddit, id=post.id)


def conversations_of(post: Submission, options: RedditOptions) -> Iterator[Row]:
    """Each path from the post down to a comment without replies, or as far as a conversation may go."""
    opening = [] if options.opening == "none" else [opening_of(post, whole=options.opening == "post")]
    waiting = [(comment, opening) for comment in reversed(loaded_comments(post.comments))]
    while waiting:
        comment, before = waiting.pop()
        turns = [*before, turn_of(comment)]
        replies = loaded_comments(comment.replies) if len(turns) < options.longest else []
        waiting += [(reply, turns) for reply in reversed(replies)]
        if not replies and len(turns) > 1:
            texts, authors, scores = zip(*turns, strict=True)
            yield {"id": comment.id, "turns": texts, "authors": authors, "scores": scores}


def loaded_comments(forest: CommentForest) -> list[Comment]:
    """The comments of one level, all of which replace_more has loaded. Iterating over the forest could load more."""
    return [forest[number] for number in range(len(forest))]  # type: ignore[misc]


def opening_of(post: Submission, whole: bool) -> Turn:
    text = f"{post.title}\n\n{post.selftext}".strip() if whole else post.title
    return text, author_of(post), post.score


def turn_of(comment: Comment) -> Turn:
    return comment.body, author_of(comment), comment.score


def author_of(entry: Submission | Comment) -> str:
    return entry.author.name if entry.author else "[deleted]"
