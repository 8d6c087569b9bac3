"""When the server refuses or is gone, the page says in one sentence why and what to do."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page, expect

from app.engine.fake import SCRIPT, FakeEngine
from tests.browser.conftest import button, choose, finish, go, text
from tests.conftest import serving


def test_a_key_is_asked_for_and_kept_in_this_tab_only(page: Page) -> None:
    with serving(FakeEngine(), api_keys="open-sesame") as url:
        page.goto(url)
        text(page).fill("Why")
        button(page, "Continue").click()
        field = page.get_by_role("textbox", name="API key")
        expect(field).to_be_focused()
        expect(page.get_by_role("alert")).to_have_text("This server needs an API key: enter yours below.")
        field.fill("wrong")
        button(page, "Use this key").click()
        expect(page.get_by_role("alert")).to_have_text(
            "This server does not know this API key: check it and enter it again."
        )
        field.fill("open-sesame")
        page.keyboard.press("Enter")
        expect(field).to_be_hidden()
        expect(text(page)).to_have_value(f"Why{(SCRIPT * 3)[:120]}")
        page.reload()
        go(page, "Why")
        expect(text(page)).to_have_value(f"Why{(SCRIPT * 3)[:120]}")
        assert page.evaluate("sessionStorage.getItem('key')") == '"open-sesame"'
        assert page.evaluate("localStorage.getItem('key')") is None


def test_a_refusal_is_the_servers_own_sentence(page: Page) -> None:
    """Here not even the last turn of the conversation fits into the window."""
    with serving(FakeEngine(n_ctx=64, template="chat")) as url:
        page.goto(url)
        page.get_by_role("radio", name="Chat").check()
        page.get_by_role("textbox", name="Your message").fill("long " * 40)
        with page.expect_response("**/v1/chat/completions") as answer:
            button(page, "Send").click()
        sentence = answer.value.json()["error"]["message"]
        expect(page.get_by_role("alert")).to_contain_text(sentence[1:])
        expect(page.locator("#turns p")).to_have_text(["long " * 40])


def test_a_full_server_can_be_asked_again(page: Page) -> None:
    with serving(FakeEngine(seconds_per_token=0.05), queue_limit=0) as url:
        page.goto(url)
        choose(page, "Length", "10")
        text(page).fill("Why")
        with httpx.stream("GET", f"{url}/?length=4000&stream=true") as another:
            parts = another.iter_bytes()
            next(parts)
            sentence = httpx.get(f"{url}/").json()["error"]["message"]
            button(page, "Continue").click()
            expect(page.get_by_role("alert")).to_contain_text(sentence[1:])
            expect(text(page)).to_have_value("Why")
        while httpx.get(f"{url}/?length=1").status_code == 503:
            pass
        button(page, "Try again").click()
        expect(text(page)).to_have_value(f"Why{SCRIPT[:10]}")
        expect(page.get_by_role("alert")).to_be_empty()


def test_a_server_that_is_gone_is_reported_in_a_sentence(page: Page) -> None:
    with serving(FakeEngine()) as url:
        page.goto(url)
        text(page).fill("Why")
        expect(button(page, "Continue")).to_be_enabled()
    button(page, "Continue").click()
    finish(page)
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(button(page, "Try again")).to_be_visible()
    expect(text(page)).to_have_value("Why")
