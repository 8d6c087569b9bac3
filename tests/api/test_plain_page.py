"""Pages for browsers without JavaScript: a form that writes, and what a wrong address shows."""

from __future__ import annotations

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from app.engine.profile import Profile
from tests.conftest import serving

HTML = {"Accept": "text/html"}


def test_the_form_writes_on_and_counts_as_a_request() -> None:
    with serving(FakeEngine(), rate_limit=1) as url:
        empty = httpx.get(f"{url}/plain", params={"prefix": "", "utm_source": "a"})
        assert (empty.status_code, "<pre>" in empty.text) == (200, False)
        page = httpx.get(f"{url}/plain", params={"prefix": "One\r\n<b>"})
        assert f'<span class="yours">One\n&lt;b&gt;</span><span class="models">{(SCRIPT * 3)[:100]}</span>' in page.text
        assert "form-action 'self'" in page.headers["content-security-policy"]
        refused = httpx.get(f"{url}/plain", params={"prefix": "One"})
        assert (refused.status_code, "More than 1 requests in a minute" in refused.text) == (429, True)
        assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("params", "status", "sentence"),
    [
        ({"prefix": "a", "length": "3"}, 400, "This form has no field length: /generate may take it."),
        ({"<b>": "3"}, 400, "This form has no field &lt;b&gt;"),
        ({"prefix": "word " * 90}, 400, "the model&#x27;s window holds 64"),
    ],
)
def test_a_refusal_is_a_sentence_on_the_page(params: dict[str, str], status: int, sentence: str) -> None:
    with serving(FakeEngine(n_ctx=64)) as url:
        page = httpx.get(f"{url}/plain", params=params)
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert sentence in page.text


def test_a_key_is_for_the_page_with_javascript() -> None:
    with serving(FakeEngine(), api_keys="key") as url:
        page = httpx.get(f"{url}/plain", params={"prefix": "a"})
    assert (page.status_code, "This server asks for an API key" in page.text) == (401, True)


@pytest.mark.parametrize("path", ["/nothing", "/a/b/c", "/feedback", "/favicon.ico", "/%3Cscript%3E"])
def test_a_wrong_address_is_a_page_for_browsers_and_an_error_object_for_programs(path: str) -> None:
    with serving(FakeEngine(profile=Profile(title="<Ducks>"))) as url:
        page, other = httpx.get(url + path, headers=HTML), httpx.get(url + path)
        home = "../" * (path.count("/") - 1) or "./"
        assert page.status_code == other.status_code == (405 if path == "/feedback" else 404)
        assert page.headers.get("allow") == other.headers.get("allow")
        assert f'<a href="{home}">Write with &lt;Ducks&gt;</a>' in page.text
        assert other.json()["error"]["message"]
        assert httpx.post(url + "/nothing", headers=HTML).json()["error"]["type"] == "not_found_error"
