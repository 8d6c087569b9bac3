"""`POST /feedback`: votes from web pages."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.fake import FakeEngine
from app.feedback import open_store
from app.feedback.store import ShownText, Tally
from tests.conftest import process, serving

SECRET = "what nobody should read in a log"


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/feedback.db"


@pytest.fixture
def url(address: str) -> Iterator[str]:
    with serving(FakeEngine(), feedback=address) as served:
        yield f"{served}/feedback"


def tallies(address: str) -> list[Tally]:
    async def main() -> list[Tally]:
        store = open_store(address)
        try:
            return await store.tally()
        finally:
            await store.close()

    return asyncio.run(main())


def kept(address: str, text_id: str) -> ShownText:
    async def main() -> ShownText:
        store = open_store(address)
        try:
            found = await store.text(text_id)
        finally:
            await store.close()
        assert found is not None
        return found

    return asyncio.run(main())


def test_a_vote_is_kept_with_its_text(url: str, address: str) -> None:
    ask = {"vote": "up", "text": "Because 👍🏽 <b>", "prefix": "Why?", "model": "fake", "voter": "anna"}
    reply = httpx.post(url, json=ask)
    assert (reply.status_code, reply.json()["vote"]) == (200, "up")
    assert tallies(address) == [Tally("fake", "model", 1, 1, 0)]
    text = kept(address, reply.json()["id"])
    assert (text.text, text.prompt, text.generated_by, text.channel) == ("Because 👍🏽 <b>", "Why?", "fake", "web")


def test_the_id_is_that_of_model_prefix_and_text(url: str) -> None:
    def id_of(**ask: str) -> str:
        return str(httpx.post(url, json={"vote": "up"} | ask).json()["id"])

    first = id_of(text="ab", prefix="c")
    assert first == id_of(text="ab", prefix="c", voter="anna", model="fake")
    assert len({first, id_of(text="a", prefix="bc"), id_of(text="c", prefix="ab"), id_of(text="ab")}) == 4
    assert len(first) == 22


def test_a_vote_is_on_the_model_that_is_named(address: str) -> None:
    with serving(FakeEngine(name="one"), FakeEngine(name="two"), feedback=address) as url:
        for model in ({}, {"model": "two"}):
            httpx.post(f"{url}/feedback", json={"vote": "up", "text": "a"} | model)
    assert tallies(address) == [Tally("one", "model", 1, 1, 0), Tally("two", "model", 1, 1, 0)]


def test_a_vote_can_be_changed(url: str, address: str) -> None:
    for vote in ("up", "down", "up", "down"):
        assert httpx.post(url, json={"vote": vote, "text": "a", "voter": "anna"}).json()["vote"] == vote
    httpx.post(url, json={"vote": "down", "text": "a", "voter": "otto"})
    assert tallies(address) == [Tally("fake", "model", 1, 0, 2)]


def test_voters_without_a_name_share_one_vote_per_text(url: str, address: str) -> None:
    for text in ("a", "a", "b"):
        httpx.post(url, json={"vote": "up", "text": text})
    assert tallies(address) == [Tally("fake", "model", 2, 2, 0)]


def test_many_at_once_are_counted_exactly(url: str, address: str) -> None:
    def ask(number: int) -> int:
        vote = "up" if number % 3 else "down"
        return httpx.post(url, json={"vote": vote, "text": "a", "voter": str(number)}).status_code

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(ask, range(90))) == {200}
    assert tallies(address) == [Tally("fake", "model", 1, 60, 30)]


@pytest.mark.parametrize(
    ("ask", "status", "param", "says"),
    [
        ({"text": "a"}, 400, "vote", "vote is missing: add it."),
        ({"vote": "up"}, 400, "text", "text is missing: add it."),
        ({}, 400, "vote", "vote is missing: add it."),
        ({"vote": "sideways", "text": "a"}, 400, "vote", 'vote is "sideways": expected "up" or "down".'),
        ({"vote": 1, "text": "a"}, 400, "vote", 'vote is 1: expected "up" or "down".'),
        ({"vote": "up", "text": ""}, 400, "text", 'text is "": expected `str` of length >= 1.'),
        ({"vote": "up", "text": "x" * 100_001}, 400, "text", "expected `str` of length <= 100000."),
        ({"vote": "up", "text": "\ud83d"}, 400, "text", "half a character"),
        ({"vote": "up", "text": "a", "voter": ""}, 400, "voter", "expected `str` of length >= 1."),
        ({"vote": "up", "text": "a", "voter": "x" * 65}, 400, "voter", "expected `str` of length <= 64."),
        ({"vote": "up", "text": "a", "prefix": 5}, 400, "prefix", "prefix is 5: expected `str`."),
        ({"vote": "up", "text": "a", "score": 5}, 400, "score", "score is not a field of this request"),
        ({"vote": "up", "text": "a", "model": "gpt-5"}, 404, "model", "'fake' is"),
        ({"vote": "up", "text": "x" * 300_000}, 413, None, "larger than"),
    ],
)
def test_a_wrong_field_is_named(
    url: str, address: str, ask: dict[str, Any], status: int, param: str | None, says: str
) -> None:
    reply = httpx.post(url, content=json.dumps(ask))
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (status, param)
    assert says in error["message"]
    assert tallies(address) == []


def test_a_body_that_is_no_object_is_refused_with_an_example(url: str) -> None:
    for body in (b"[1]", b"{", b"vote=up"):
        assert '{"vote": "up", "text": "…"}' in httpx.post(url, content=body).json()["error"]["message"]
    assert httpx.post(f"{url}?vote=up", json={"vote": "up", "text": "a"}).json()["error"]["param"] == "vote"


def test_only_posts_are_accepted(url: str) -> None:
    reply = httpx.get(url)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST, OPTIONS")


def test_pages_of_other_origins_may_vote(url: str) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert httpx.options(url, headers=asked).headers["access-control-allow-origin"] == "*"
    assert httpx.post(url, json={"vote": "up", "text": "a"}).headers["access-control-allow-origin"] == "*"


def test_without_a_store_it_says_so() -> None:
    with serving(FakeEngine(), feedback="") as url:
        reply = httpx.post(f"{url}/feedback", json={"vote": "up", "text": "a"})
    assert reply.status_code == 404
    assert "FEEDBACK" in reply.json()["error"]["message"]


def test_a_store_that_is_down_is_reported_and_no_vote_acknowledged(tmp_path: Path) -> None:
    with serving(FakeEngine(), feedback=f"sqlite:///{tmp_path}") as url:
        reply = httpx.post(f"{url}/feedback", json={"vote": "up", "text": "a"})
        assert httpx.get(f"{url}/?length=3").status_code == 200
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "10")
    assert reply.json()["error"]["code"] == "store_unavailable"
    assert str(tmp_path) not in reply.text


def test_neither_text_nor_voter_is_in_the_log(tmp_path: Path) -> None:
    """The store is opened with the first vote, and closed with the server."""
    with process(ENGINE="fake", LOG_LEVEL="debug", FEEDBACK=f"sqlite:///{tmp_path}/feedback.db") as (child, url):
        assert not any(tmp_path.iterdir())
        ask = {"vote": "up", "text": SECRET, "prefix": SECRET, "voter": SECRET}
        assert httpx.post(f"{url}/feedback", json=ask).status_code == 200
        assert httpx.post(f"{url}/feedback", json=ask | {"vote": SECRET}).status_code == 400
        child.send_signal(signal.SIGTERM)
        printed = child.communicate(timeout=20)[0]
    assert "POST /feedback 200" in printed
    assert "nobody" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["feedback.db"]
