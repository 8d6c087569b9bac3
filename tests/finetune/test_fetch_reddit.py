"""`fetch reddit` reads whole trees of comments through PRAW, from a Reddit of our own on loopback."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import DataError, SettingError
from finetune.commands.fetch import fetch
from finetune.data.vocabulary import learn_vocabulary
from tests.conftest import TEXTS

Fetch = Callable[..., list[dict[str, Any]]]
Thing = dict[str, Any]


class Reddit:
    """A subreddit of posts, each a tree of comments, behind the routes of Reddit's API that PRAW asks.

    Replies beyond the first two of each comment are behind "load more", as Reddit hides them; chains deeper than four
    behind "continue this thread".
    """

    def __init__(self) -> None:
        self.address = ""
        self.posts: list[Thing] = []
        self.comments: dict[str, Thing] = {}
        self.requests: list[str] = []
        self.failures: dict[str, list[int]] = {}
        """Status codes that a path answers with first."""

    def post(self, number: str, title: str, **more: Any) -> str:
        usual = {"title": title, "selftext": "", "author": "ann", "score": 10, "subreddit": "Talk", "num_comments": 1}
        self.posts.append({"id": number, "name": f"t3_{number}"} | usual | more)
        return f"t3_{number}"

    def comment(self, number: str, parent: str, body: str, author: str = "bob", score: int = 3) -> str:
        link = parent if parent.startswith("t3_") else self.comments[parent]["link_id"]
        self.comments[f"t1_{number}"] = {
            "id": number, "name": f"t1_{number}", "parent_id": parent, "link_id": link, "body": body, "author": author,
            "score": score, "subreddit": "Talk",
        }  # fmt: skip
        return f"t1_{number}"

    def tree(self, parent: str, depth: int = 0) -> Any:
        """The listing of what answers a post or comment."""
        below = [name for name, comment in self.comments.items() if comment["parent_id"] == parent]
        if not below:
            return ""
        if depth == 4:
            children = [more(parent, [])]
        else:
            children = [self.thing(name, depth) for name in below[:2]]
            if below[2:]:
                children.append(more(parent, [name.removeprefix("t1_") for name in below[2:]]))
        return {"kind": "Listing", "data": {"children": children, "after": None, "before": None}}

    def thing(self, name: str, depth: int) -> Thing:
        return {"kind": "t1", "data": self.comments[name] | {"replies": self.tree(name, depth + 1)}}

    def answer(self, path: str, query: dict[str, str], form: dict[str, str]) -> Any:
        self.requests.append(path)
        if waiting := self.failures.get(path):
            return waiting.pop(0)
        parts = path.strip("/").split("/")
        if parts[-1] == "access_token":
            return {"access_token": "t", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
        if parts[0] == "r":
            if parts[1] != "Talk":
                return 404
            first = int(query.get("count", 0))
            shown = self.posts[first : first + int(query.get("limit", 100))]
            children = [{"kind": "t3", "data": post} for post in shown]
            return {"kind": "Listing", "data": {"children": children, "after": None, "before": None}}
        if parts[-1] == "morechildren":
            names = [f"t1_{number}" for number in form["children"].split(",")]
            return {"json": {"errors": [], "data": {"things": [self.thing(name, 3) for name in names]}}}
        if parts[0] == "comments":
            post = next(post for post in self.posts if post["id"] == parts[1])
            there = {"kind": "Listing", "data": {"children": [{"kind": "t3", "data": post}], "after": None}}
            if len(parts) > 3:  # One comment and what is below it.
                below = {"kind": "Listing", "data": {"children": [self.thing(f"t1_{parts[3]}", 0)], "after": None}}
                return [there, below]
            nobody = {"kind": "Listing", "data": {"children": [], "after": None}}
            return [there, self.tree(post["name"]) or nobody]
        return 501


def more(parent: str, children: list[str]) -> Thing:
    """`load more`, or without children `continue this thread`."""
    data = {"count": len(children), "name": "t1__", "id": "_", "parent_id": parent, "depth": 1, "children": children}
    return {"kind": "more", "data": data}


def point_praw_at(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a praw.ini, which PRAW reads once in a process."""
    (folder / "praw.ini").write_text(f"[DEFAULT]\noauth_url={address}\nreddit_url={address}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setattr("praw.config.Config.CONFIG", None)


@pytest.fixture
def reddit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reddit]:
    fake = Reddit()

    async def answer(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        found = fake.answer(request.url.path, dict(request.query_params), form)
        headers = {"x-ratelimit-remaining": "500", "x-ratelimit-used": "1", "x-ratelimit-reset": "1"}
        if isinstance(found, int):
            return JSONResponse({"message": "no", "error": found}, found, headers | {"retry-after": "0"})
        return JSONResponse(found, headers=headers)

    application = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        fake.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for name, value in (("client_id", "i"), ("client_secret", "s"), ("user_agent", "tests")):
            monkeypatch.setenv(f"praw_{name}", value)
        point_praw_at(fake.address, tmp_path, monkeypatch)
        yield fake
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary(folder, TEXTS, size=300)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def run(out: Path, vocabulary: Path) -> Fetch:
    def fetched(*param: str, **options: Any) -> list[dict[str, Any]]:
        fetch("reddit", out, param=["subreddit=Talk", *param], **{"vocabulary": vocabulary} | options)
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return fetched


def turns(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [row["turns"] for row in rows]


def test_every_way_down_a_tree_is_a_conversation(reddit: Reddit, run: Fetch) -> None:
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


def test_what_reddit_hides_is_asked_for(reddit: Reddit, run: Fetch) -> None:
    above = post = reddit.post("p", "What is it?")
    for number in range(5):
        reddit.comment(f"w{number}", post, f"It is this, the {number}.")
    for number in range(7):
        above = reddit.comment(f"d{number}", above, f"It is so deep, {number}.")
    found = turns(run("longest=20"))
    assert len(found) == 6
    assert ["What is it?", *(f"It is so deep, {number}." for number in range(7))] in found
    assert any("morechildren" in path for path in reddit.requests)


def test_deleted_comments_and_bots_take_their_replies_along(reddit: Reddit, run: Fetch) -> None:
    post = reddit.post("p", "What is it?")
    reddit.comment("b", reddit.comment("a", post, "[deleted]", author="[deleted]"), "What was it?")
    reddit.comment("d", reddit.comment("c", post, "It is mine.", author="AutoModerator"), "Is it a bot?")
    reddit.comment("f", reddit.comment("e", post, "It is this.", author="[deleted]"), "So it is.")
    reddit.comment("h", reddit.comment("g", post, "It is bad.", score=-3), "It is not.")
    assert turns(run()) == [["What is it?", "It is this.", "So it is."]]


def test_a_post_that_was_read_is_not_asked_for_again(
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


def test_when_reddit_wants_a_pause_it_gets_one(reddit: Reddit, run: Fetch) -> None:
    reddit.comment("c", reddit.post("p", "What is it?"), "It is this.")
    reddit.failures = {"/comments/p/": [429, 429]}
    assert turns(run()) == [["What is it?", "It is this."]]


def test_only_so_many_posts_are_read(reddit: Reddit, run: Fetch) -> None:
    for number in range(5):
        reddit.comment(f"c{number}", reddit.post(f"p{number}", f"What is number {number}?"), f"It is number {number}.")
    assert len(run("limit=3", "sort=new")) == 3


@pytest.mark.parametrize(
    ("failures", "param", "error", "sentence"),
    [
        ({}, "subreddit=Nowhere", SettingError, "Reddit has no r/Nowhere: look at the spelling"),
        ({"/api/v1/access_token": [401]}, "sort=top", SettingError, "does not accept praw_client_id"),
        ({"/r/Talk/top": [500] * 9}, "sort=top", DataError, "Reddit answered 500: try again later"),
        ({"/r/Talk/top": [429] * 9}, "sort=top", DataError, "Reddit answered 429: try again later"),
    ],
)
def test_what_reddit_refuses_is_one_sentence(
    failures: dict[str, list[int]], param: str, error: type[Exception], sentence: str, reddit: Reddit, out: Path,
    vocabulary: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("time.sleep", lambda _: None)
    reddit.failures = failures
    given = [param] if param.startswith("subreddit") else ["subreddit=Talk", param]
    with pytest.raises(error, match=sentence):
        fetch("reddit", out, param=given, vocabulary=vocabulary)


def test_a_reddit_that_is_not_there_is_said(
    run: Fetch, reddit: Reddit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    point_praw_at(closed, tmp_path, monkeypatch)
    with pytest.raises(DataError, match="Reddit cannot be reached"):
        run()


def test_without_credentials_it_says_how_to_get_them(run: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("client_id", "client_secret", "user_agent"):
        monkeypatch.delenv(f"praw_{name}", raising=False)
    with pytest.raises(SettingError, match=r"make an app of type script at https://www.reddit.com/prefs/apps"):
        run()


@pytest.mark.parametrize(
    ("param", "sentence"),
    [
        ("sort=best", "--param sort is 'best', and should be one of top, new, hot, controversial."),
        ("time=ever", "--param time is 'ever', and should be one of hour, day,"),
        ("opening=all", "--param opening is 'all', and should be one of title, post, none."),
        ("limit=0", "--param limit should be 1 or more, and --param longest 2 or more."),
    ],
)
def test_a_wrong_parameter_is_refused(param: str, sentence: str, run: Fetch) -> None:
    with pytest.raises(SettingError) as error:
        run(param)
    assert sentence in str(error.value)
