"""Access control: API keys, the rate limit of each client, request ids."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.routing import Route

from app.api.page import BrowserRoute
from app.application import create_application
from app.engine.fake import FakeEngine
from app.engine.generation_queue import GenerationQueue
from app.errors import SettingError
from app.models import Models
from app.settings import Settings, read_settings
from tests.conftest import run_module, serving

OTHER_ROUTES = {"/telegram", "/web/{version}/{name}"}
PAGE = {"/plain", "/preview.png", "/manifest.webmanifest", "/worker.js"}
OPEN = PAGE | {"/health", "/version", "/openapi.json", "/docs", "/docs/{name}"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(), api_keys="alpha, beta") as address:
        yield address


def routes() -> list[Route]:
    """All routes but Telegram's, which has a secret of its own, the pages for browsers, and their files, which have a version."""
    access = create_application(Models([FakeEngine()]), GenerationQueue(), Settings(engine="fake", feedback=""))
    every = [route for route in access._app.routes if isinstance(route, Route)]  # type: ignore[attr-defined]
    return [route for route in every if route.path not in OTHER_ROUTES and not isinstance(route, BrowserRoute)]


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.path)
def test_every_route_asks_for_a_key_except_the_open_ones(url: str, route: Route) -> None:
    methods = (route.methods or set()) - {"OPTIONS"}
    address = url + re.sub(r"{.+}", "swagger-ui.css" if "docs" in route.path else "fake", route.path)
    statuses = {httpx.request(method, address).status_code for method in methods}
    if route.path in OPEN:
        assert statuses == {200}
    else:
        assert statuses == {401}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer alpha"},
        {"authorization": "bearer beta"},
        {"X-Api-Key": "beta"},
        {"X-Api-Key": "alpha", "Authorization": "Bearer none"},
    ],
)
def test_a_key_may_come_either_way(url: str, headers: dict[str, str]) -> None:
    assert httpx.get(f"{url}/?length=1", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "alpha"}, {"Authorization": "Basic alpha"}, {"Authorization": "Bearer"}, {"X-Api-Key": "Alpha"},
     {"X-Api-Key": "alpha,beta"}, {"X-Api-Key": "alph"}, {"X-Api-Key": "alphaa"}, {"Authorization": "Bearer älpha"},
     {"X-Api-Key": ""}],
)  # fmt: skip
def test_anything_else_is_a_401(url: str, headers: dict[str, str]) -> None:
    reply = httpx.get(f"{url}/?length=1", headers={name.encode(): value.encode() for name, value in headers.items()})
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["code"]) == (401, "authentication_error", "invalid_api_key")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.headers["access-control-allow-origin"] == "*"


def test_preflight_requests_need_no_key(url: str) -> None:
    """Browsers send them without one."""
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert httpx.options(f"{url}/v1/completions", headers=asked).status_code == 204
    assert httpx.options(url).status_code == 204


def test_without_keys_any_key_will_do() -> None:
    with serving(FakeEngine()) as address:
        assert httpx.get(f"{address}/?length=1", headers={"Authorization": "Bearer none"}).status_code == 200


@pytest.mark.parametrize("keys", [",", "a,,b", " ", "a b", "schlüssel"])
def test_impossible_keys_stop_the_start_and_are_not_shown(keys: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({"API_KEYS": keys})
    assert repr(keys) not in str(caught.value)
    if keys == "schlüssel":
        ended = run_module("app", ENGINE="fake", API_KEYS=keys)
        assert (ended.returncode, ended.stderr.count("\n"), keys in ended.stderr) == (2, 1, False)


def test_each_key_is_counted_and_only_for_routes_that_cost() -> None:
    with serving(FakeEngine(), api_keys="a,b", rate_limit=2) as url:
        statuses = [httpx.get(f"{url}/?length=1", headers={"X-Api-Key": key}).status_code for key in "aaabba"]
        assert statuses == [200, 200, 429, 200, 200, 429]
        assert httpx.get(f"{url}/v1/models", headers={"X-Api-Key": "a"}).status_code == 200
        assert httpx.get(f"{url}/health").status_code == 200


@pytest.mark.parametrize(("on_cloud_run", "statuses"), [(True, [200, 200, 429]), (False, [200, 429, 429])])
def test_forwarded_addresses_count_on_cloud_run_only(
    monkeypatch: pytest.MonkeyPatch, on_cloud_run: bool, statuses: list[int]
) -> None:
    """Elsewhere a client could write X-Forwarded-For itself; on Cloud Run only the last address is the front end's."""
    if on_cloud_run:
        monkeypatch.setenv("K_SERVICE", "jokes")
    else:
        monkeypatch.delenv("K_SERVICE", raising=False)
    with serving(FakeEngine(), rate_limit=1) as url:
        forwarded = ["1.1.1.1, 2.2.2.2", "1.1.1.1, 3.3.3.3", "9.9.9.9,2.2.2.2"]
        found = [httpx.get(f"{url}/?length=1", headers={"X-Forwarded-For": each}).status_code for each in forwarded]
    assert found == statuses


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-1.2:3_X", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("é", False)]
)
def test_every_answer_has_an_id(url: str, sent: str, kept: bool) -> None:
    for path in ("/health", "/nothing", "/"):
        reply = httpx.get(url + path, headers={b"X-Request-Id": sent.encode()})
        assert (reply.headers["x-request-id"] == sent) is kept
    assert len(httpx.get(f"{url}/health").headers["x-request-id"]) == 32
