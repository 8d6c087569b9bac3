"""`fetch reddit` reads whole trees of comments through PRAW, from a fake Reddit on loopback."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError, SettingError
from finetune.commands.fetch import FetchOptions, fetch
from tests.fakes.reddit import Reddit, reddit_server
from tests.finetune.fetch.rows import Fetch


def point_praw_at(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through praw.ini, which PRAW reads once per process."""
    (folder / "praw.ini").write_text(f"[DEFAULT]\noauth_url={address}\nreddit_url={address}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setattr("praw.config.Config.CONFIG", None)


@pytest.fixture
def reddit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reddit]:
    with reddit_server() as fake:
        for name, value in (("client_id", "i"), ("client_secret", "s"), ("user_agent", "tests")):
            monkeypatch.setenv(f"praw_{name}", value)
        point_praw_at(fake.address, tmp_path, monkeypatch)
        yield fake


@pytest.fixture
def run(out: Path, vocabulary: Path) -> Fetch:
    def fetched(*param: str, **options: Any) -> list[dict[str, Any]]:
        fetch(FetchOptions("reddit", out=out, param=["subreddit=Talk", *param], **{"vocabulary": vocabulary} | options))
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return fetched


def turns(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [row["turns"] for row in rows]


def test_every_path_down_a_tree_is_a_conversation(reddit: Reddit, run: Fetch) -> None:
    post = reddit.post("p", "What is it?", selftext="I ask you.")
    first = reddit.comment("a", post, "It is this.")
    reddit.comment("b", first, "It is not.")
    reddit.comment("c", reddit.comment("d", first, "So it is."), "And is it?")
    reddit.comment("e", post, "Who is to say?")
    reddit.post("q", "Is nobody there?")
    assert turns(run()) == [
        ["What is it?", "It is this.", "It is not."],
        ["What is it?", "It is this.", "So it is.", "And is it?"],
        ["What is it?", "Who is to say?"],
    ]
    assert turns(run("opening=post"))[2] == ["What is it?\n\nI ask you.", "Who is to say?"]
    assert turns(run("opening=none")) == [["It is this.", "It is not."], ["It is this.", "So it is.", "And is it?"]]
    assert turns(run("longest=2")) == [["What is it?", "It is this."], ["What is it?", "Who is to say?"]]


def test_hidden_comments_are_loaded(reddit: Reddit, run: Fetch) -> None:
    above = post = reddit.post("p", "What is it?")
    for number in range(5):
        reddit.comment(f"w{number}", post, f"It is this, the {number}.")
    for number in range(7):
        above = reddit.comment(f"d{number}", above, f"It is so deep, {number}.")
    found = turns(run("longest=20"))
    assert len(found) == 6
    assert ["What is it?", *(f"It is so deep, {number}." for number in range(7))] in found
    assert any("morechildren" in path for path in reddit.requests)


def test_deleted_comments_and_bots_take_their_replies_with_them(reddit: Reddit, run: Fetch) -> None:
    post = reddit.post("p", "What is it?")
    reddit.comment("b", reddit.comment("a", post, "[deleted]", author="[deleted]"), "What was it?")
    reddit.comment("d", reddit.comment("c", post, "It is mine.", author="AutoModerator"), "Is it a bot?")
    reddit.comment("f", reddit.comment("e", post, "It is this.", author="[deleted]"), "So it is.")
    reddit.comment("h", reddit.comment("g", post, "It is bad.", score=-3), "It is not.")
    assert turns(run()) == [["What is it?", "It is this.", "So it is."]]


def test_a_resumed_fetch_skips_the_posts_it_has(
    reddit: Reddit, run: Fetch, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        reddit.comment(f"c{number}", reddit.post(f"p{number}", f"What is number {number}?"), f"It is number {number}.")
    reddit.failures = {"/comments/p2/": [403]}
    with pytest.raises(SettingError, match="r/Talk is private or closed"):
        run()
    assert not out.exists()
    reddit.requests.clear()
    assert len(run()) == 4
    assert [path for path in reddit.requests if path.startswith("/comments")] == ["/comments/p2/", "/comments/p3/"]


def test_too_many_requests_are_retried_after_a_pause(reddit: Reddit, run: Fetch) -> None:
    reddit.comment("c", reddit.post("p", "What is it?"), "It is this.")
    reddit.failures = {"/comments/p/": [429, 429]}
    assert turns(run()) == [["What is it?", "It is this."]]


def test_a_post_is_given_up_after_five_refusals(reddit: Reddit, run: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    reddit.comment("c", reddit.post("p", "What is it?"), "It is this.")
    reddit.failures = {"/comments/p/": [429] * 99}
    with pytest.raises(DataError, match="Reddit answered 429: try again later; the posts read so far are kept"):
        run()
    assert len(reddit.failures["/comments/p/"]) < 99
    assert all(wait <= 600 for wait in waits)


def test_no_more_posts_than_limit_are_read(reddit: Reddit, run: Fetch) -> None:
    for number in range(5):
        reddit.comment(f"c{number}", reddit.post(f"p{number}", f"What is number {number}?"), f"It is number {number}.")
    assert len(run("limit=3", "sort=new")) == 3


@pytest.mark.parametrize(
    ("failures", "param", "error", "sentence"),
    [
        ({}, "subreddit=Nowhere", SettingError, "Reddit has no r/Nowhere: check the spelling"),
        ({"/api/v1/access_token": [401]}, "sort=top", SettingError, "does not accept praw_client_id"),
        ({"/r/Talk/top": [500] * 9}, "sort=top", DataError, "Reddit answered 500: try again later"),
        ({"/r/Talk/top": [429] * 9}, "sort=top", DataError, "Reddit answered 429: try again later"),
    ],
)
def test_a_refusal_by_reddit_is_one_sentence(
    failures: dict[str, list[int]], param: str, error: type[Exception], sentence: str, reddit: Reddit, out: Path,
    vocabulary: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("time.sleep", lambda _: None)
    reddit.failures = failures
    given = [param] if param.startswith("subreddit") else ["subreddit=Talk", param]
    with pytest.raises(error, match=sentence):
        fetch(FetchOptions("reddit", out=out, param=given, vocabulary=vocabulary))


def test_an_unreachable_reddit_is_reported(
    run: Fetch, reddit: Reddit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    point_praw_at(closed, tmp_path, monkeypatch)
    with pytest.raises(
        DataError, match=r"^127\.0\.0\.1:\d+ cannot be reached \(it refuses .+; the posts read so far are kept\.$"
    ):
        run()


def test_missing_credentials_are_explained(run: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("client_id", "client_secret", "user_agent"):
        monkeypatch.delenv(f"praw_{name}", raising=False)
    with pytest.raises(SettingError, match=r"create an app of type script at https://www.reddit.com/prefs/apps"):
        run()


@pytest.mark.parametrize(
    ("param", "sentence"),
    [
        ("sort=best", "--param sort is 'best', and should be one of top, new, hot, controversial."),
        ("time=ever", "--param time is 'ever', and should be one of hour, day,"),
        ("opening=all", "--param opening is 'all', and should be one of title, post, none."),
        ("limit=0", "--param limit is '0', and should be 1 or more."),
        ("longest=1", "--param longest is '1', and should be 2 or more."),
    ],
)
def test_a_wrong_parameter_is_refused(param: str, sentence: str, run: Fetch) -> None:
    with pytest.raises(SettingError) as error:
        run(param)
    assert sentence in str(error.value)


def test_the_subreddit_is_required(out: Path) -> None:
    with pytest.raises(SettingError, match="fetch reddit needs --param subreddit=…: the subreddit to read, such as"):
        fetch(FetchOptions("reddit", out=out))
