"""`/play`: a text to guess, the guess, and the page of both."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.fake import FakeEngine
from app.engine.profile import Profile
from app.feedback.store import new_id
from tests.conftest import serving

BROWSER = {"Accept": "text/html,application/json;q=0.9"}
OFF = (
    "there is nothing to guess here: set COMPARE to at least one served model and one file of human texts, and FEEDBACK to"
    " the address of a store."
)
ENGINE = FakeEngine(
    " It had a bill to pay.\n[QUESTION]",
    name="ducks",
    profile=Profile(title="Ducks & co", about="Short.", accent="#225522", template="qa"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("play")
    (folder / "people.jsonl").write_text('{"turns": ["Why do ducks fly?", "It is too far to walk."]}', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with serving(ENGINE, feedback=f"sqlite:///{folder}/f.db", compare=f"ducks,{folder}/people.jsonl") as address:
        yield address


def draw(url: str, voter: str = "anna", **fields: Any) -> Any:
    return httpx.post(f"{url}/play", json={"voter": voter} | fields).json()


def guess(url: str, text_id: str, guess: str, voter: str = "anna") -> httpx.Response:
    return httpx.post(f"{url}/play/guesses", json={"id": text_id, "voter": voter, "guess": guess})


def stored(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "f.db")) as connection:
        return connection.execute(query).fetchall()


def test_a_text_does_not_say_who_wrote_it_and_a_guess_does(url: str, folder: Path) -> None:
    found: Counter[str] = Counter()
    for number in range(20):
        text = draw(url, "otto", number=number)
        assert text.keys() == {"id", "question", "text"}
        assert re.fullmatch(r"[\w-]{16}", text["id"])
        told = guess(url, text["id"], "model", "otto").json()
        by_model = text["text"] == "It had a bill to pay."
        author = (
            {"written_by": "model", "name": "ducks"} if by_model else {"written_by": "human", "name": "people.jsonl"}
        )
        assert told == {"id": text["id"], "right": by_model} | author
        found[told["name"]] += 1
    assert set(found) == {"ducks", "people.jsonl"}
    kept = stored(folder, "SELECT guessed, guesses.channel, voter, count(*) FROM guesses WHERE voter = 'otto'")
    assert kept == [("model", "web", "otto", 20)]


def test_nobody_learns_an_author_by_guessing_in_another_name(url: str, folder: Path) -> None:
    """Who first guesses as somebody else and then as oneself would always be right."""
    text = draw(url)["id"]
    reply = guess(url, text, "model", "a name for peeping")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_text")
    assert "was shown to this voter" in reply.json()["error"]["message"]
    # Nor by moving characters between the id and the name.
    moved = draw(url, "an\nna")["id"]
    assert guess(url, f"{moved}\nan", "model", "na").status_code == 404
    right = guess(url, text, "human").json()["right"]
    assert guess(url, text, "model").json()["right"] is not right
    [(kept,)] = stored(folder, "SELECT guessed FROM guesses WHERE voter = 'anna'")
    assert kept == "human"


def test_the_id_of_a_stored_text_is_no_way_to_its_author(url: str, folder: Path) -> None:
    vote = {"vote": "up", "text": "quack", "voter": "anna"}
    stored_id = httpx.post(f"{url}/feedback", json=vote).json()["id"]
    assert guess(url, stored_id, "model").status_code == 404
    assert guess(url, new_id(), "model").status_code == 404


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/play", {}, "voter"),
        ("/play", {"voter": ""}, "voter"),
        ("/play", {"voter": "x" * 65}, "voter"),
        ("/play", {"voter": "a", "number": -1}, "number"),
        ("/play", {"voter": "a", "number": 10**10}, "number"),
        ("/play", {"voter": "a", "number": "1"}, "number"),
        ("/play", {"voter": "a", "model": "ducks"}, "model"),
        ("/play/guesses", {"voter": "a", "guess": "model"}, "id"),
        ("/play/guesses", {"id": "", "voter": "a", "guess": "model"}, "id"),
        ("/play/guesses", {"id": "x" * 23, "voter": "a", "guess": "model"}, "id"),
        ("/play/guesses", {"id": "x", "guess": "model"}, "voter"),
        ("/play/guesses", {"id": "x", "voter": "a"}, "guess"),
        ("/play/guesses", {"id": "x", "voter": "a", "guess": "both"}, "guess"),
    ],
)
def test_a_wrong_field_is_named(url: str, path: str, fields: dict[str, Any], param: str) -> None:
    reply = httpx.post(f"{url}{path}", json=fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_a_store_that_is_down_tells_nothing(tmp_path: Path, folder: Path) -> None:
    with serving(ENGINE, feedback=f"sqlite:///{tmp_path}/no/f.db", compare=f"ducks,{folder}/people.jsonl") as url:
        reply = httpx.post(f"{url}/play", json={"voter": "a"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "store_unavailable")
        (tmp_path / "no").mkdir()
        text = draw(url, "a")
        with closing(sqlite3.connect(tmp_path / "no/f.db")) as other:
            other.execute("DROP TABLE guesses")
        reply = guess(url, text["id"], "model", "a")
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "store_unavailable")


def test_a_model_that_writes_nothing_is_one_sentence(folder: Path) -> None:
    compare = f"silent,{folder}/people.jsonl"
    with serving(FakeEngine("", name="silent"), feedback=f"sqlite:///{folder}/f.db", compare=compare) as url:
        reply = httpx.post(f"{url}/play", json={"voter": "a"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "nothing_written")
    assert reply.json()["error"]["message"] == "model 'silent' wrote nothing: try again."


def test_keys_and_rates_hold_here_too(folder: Path) -> None:
    compare = f"ducks,{folder}/people.jsonl"
    with serving(ENGINE, feedback=f"sqlite:///{folder}/f.db", compare=compare, api_keys="k", rate_limit=3) as url:
        assert httpx.get(f"{url}/play", headers=BROWSER).status_code == 200
        for path in ("/play", "/play/guesses"):
            assert httpx.post(f"{url}{path}", json={}).status_code == 401
        key = {"X-Api-Key": "k"}
        text = httpx.post(f"{url}/play", json={"voter": "a"}, headers=key).json()["id"]
        fields = {"id": text, "voter": "a", "guess": "human"}
        replies = [httpx.post(f"{url}/play/guesses", json=fields, headers=key).status_code for _ in range(3)]
        assert replies == [200, 200, 429]


@pytest.mark.parametrize("changes", [{"feedback": ""}, {"compare": ""}, {"compare": "ducks,other"}])
def test_without_a_game_one_sentence_says_what_to_set(folder: Path, changes: dict[str, str]) -> None:
    settings = {"feedback": f"sqlite:///{folder}/f.db", "compare": f"ducks,{folder}/people.jsonl"} | changes
    token = {} if settings["feedback"] else {"telegram_token": "1:x", "telegram_secret": "s"}
    with serving(ENGINE, FakeEngine(name="other"), **settings, **token) as url:
        for path in ("/play", "/play/guesses"):
            reply = httpx.post(f"{url}{path}", json={"voter": "a"})
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "game_off")
            assert reply.json()["error"]["message"] == OFF
        page = httpx.get(f"{url}/play", headers=BROWSER)
        assert page.status_code == 404
        assert f">{OFF[0].upper()}{OFF[1:]}<" in page.text
        assert "play.js" not in page.text
        assert "needs JavaScript" not in page.text
        assert httpx.get(f"{url}/version").json()["play"] is False


@pytest.mark.parametrize(("path", "up"), [("/play", ""), ("/play/", "../")])
def test_a_browser_gets_the_page(url: str, path: str, up: str) -> None:
    page = httpx.get(f"{url}{path}", headers=BROWSER)
    assert page.status_code == 200
    assert "script" not in page.headers["Content-Security-Policy"].replace("for 'script'", "")
    assert '<a id="home" href="' + (up or "./") + '">Ducks &amp; co</a>' in page.text
    assert '<p id="about" class="note">Short.</p>' in page.text
    assert f'content="{url}/preview.png"' in page.text
    assert '<html data-accent="#225522 ' in page.text
    files = re.findall(r'(?:src|href)="((?:\.\./)?web/[^"]+)"', page.text)
    assert len(files) == 5
    for file in files:
        assert httpx.get(f"{url}{path}".rstrip("/") + "/../" + file.removeprefix("../")).status_code == 200
    assert httpx.get(f"{url}/version").json()["play"] is True
    assert httpx.get(f"{url}/play").json()["error"]["code"] == "method_not_allowed"


def test_a_text_is_not_written_for_somebody_who_has_left(folder: Path) -> None:
    slow = FakeEngine("quack " * 100, seconds_per_token=0.05, name="ducks")
    compare = f"ducks,{folder}/people.jsonl"

    async def leave(url: str) -> None:
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(f"{url}/play", json={"voter": "a"}, timeout=0.2)

    with serving(slow, feedback=f"sqlite:///{folder}/f.db", compare=compare, queue_limit=0) as url:
        asyncio.run(leave(url))
        for _ in range(100):
            if httpx.get(f"{url}/?length=1").status_code == 200:
                break
        else:
            pytest.fail("it is still being written")
