"""Who votes on the page inside Telegram: only whom Telegram has signed for."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.telegram_user import MAX_AGE, user_of
from app.engine.fake import FakeEngine
from app.errors import RequestError
from app.feedback.pseudonym import pseudonym
from tests.conftest import serving
from tests.fakes.bot_api import TOKEN
from tests.fakes.init_data import init_data
from tests.fakes.telegram import SECRET

VOTE = {"vote": "up", "text": "Because.", "voter": "somebody"}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with serving(
        FakeEngine(), feedback=f"sqlite:///{tmp_path}/f.db", telegram_token=TOKEN, telegram_secret=SECRET
    ) as served:
        yield served


def vote(url: str, data: str) -> httpx.Response:
    return httpx.post(f"{url}/feedback", json=VOTE, headers={"X-Telegram-Init-Data": data})


def test_a_vote_is_that_of_the_person_whom_telegram_names(url: str, tmp_path: Path) -> None:
    """The pseudonym is the one of their votes in chats, so nobody votes twice on a text."""
    assert vote(url, init_data(7)).status_code == 200
    assert vote(url, init_data(7, age=MAX_AGE - 60, chat_type="private")).status_code == 200
    with closing(sqlite3.connect(tmp_path / "f.db")) as connection:
        assert connection.execute("SELECT voter FROM votes").fetchall() == [(pseudonym(TOKEN.encode(), 7),)]


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (init_data(7, age=MAX_AGE + 60), 403, "more than a day old: open the page from the chat again"),
        (init_data(7, age=-3600), 403, "more than a day old"),
        (init_data(7, token="1:other"), 403, "not signed for this bot: open the page from its chat"),
        (init_data(7).replace("id%22%3A+7", "id%22%3A+8"), 403, "not signed for this bot"),
        (init_data(7) + "&start_param=x", 403, "not signed for this bot"),
        (init_data(7) + "&auth_date=1", 400, "is not what Telegram gives to a page"),
        (init_data(7, user="{}"), 400, "names no person and date"),
        (init_data(7, auth_date="today"), 400, "names no person and date"),
        ("", 400, "is not what Telegram gives to a page"),
        ("hash=x", 400, "is not what Telegram gives to a page"),
    ],
)  # fmt: skip
def test_what_telegram_has_not_signed_is_refused_and_nothing_stored(
    url: str, tmp_path: Path, data: str, status: int, said: str
) -> None:
    reply = vote(url, data)
    assert (reply.status_code, said in reply.json()["error"]["message"]) == (status, True)
    assert not (tmp_path / "f.db").exists()


def test_without_a_bot_the_data_means_nothing(tmp_path: Path) -> None:
    with serving(FakeEngine(), feedback=f"sqlite:///{tmp_path}/f.db") as url:
        reply = vote(url, init_data(7))
        assert (reply.status_code, "this service has no bot" in reply.json()["error"]["message"]) == (400, True)


def test_telegrams_pages_may_frame_the_page_where_there_is_a_bot(url: str) -> None:
    with serving(FakeEngine()) as other:
        policies = [
            httpx.get(f"{address}{path}", headers={"Accept": "text/html"}).headers["content-security-policy"]
            for address in (url, other)
            for path in ("/", "/play")
        ]
    assert ["frame-ancestors https://*.telegram.org;" in policy for policy in policies] == [True, True, False, False]
    assert ["frame-ancestors 'none'" in policy for policy in policies] == [False, False, True, True]


@given(data=st.text(), name=st.sampled_from(["user", "auth_date", "query_id", "signature", "hash"]), value=st.text())
def test_no_other_data_passes(data: str, name: str, value: str) -> None:
    fields = dict(parse_qsl(init_data(7)))
    changed = {**fields, name: value}
    for each in (data, *([urlencode(changed, errors="surrogatepass")] if changed != fields else [])):
        with pytest.raises(RequestError):
            user_of(each, TOKEN, time.time())
