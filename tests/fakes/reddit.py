"""A fake Reddit on loopback: the routes of its API that PRAW calls, over posts and trees of comments.

    with reddit_server() as fake:
        post = fake.post("p", "What is it?")
        fake.comment("a", post, "It is this.")

`failures` makes paths answer with status codes first; `requests` lists the paths that were asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.loopback import on_loopback

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
        """Status codes that a path answers with before it works."""

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
        """The listing of the replies to a post or comment."""
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


@contextlib.contextmanager
def reddit_server() -> Iterator[Reddit]:
    """The fake, served on loopback."""
    fake = Reddit()

    async def answer(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        found = fake.answer(request.url.path, dict(request.query_params), form)
        headers = {"x-ratelimit-remaining": "500", "x-ratelimit-used": "1", "x-ratelimit-reset": "1"}
        if isinstance(found, int):
            return JSONResponse({"message": "no", "error": found}, found, headers | {"retry-after": "0"})
        return JSONResponse(found, headers=headers)

    application = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    with on_loopback(application) as fake.address:
        yield fake
