"""The game on /play: ten texts, who wrote each, a score to share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.engine.fake import FakeEngine
from app.engine.profile import Profile
from tests.browser.conftest import PHONE, button, fits
from tests.browser.test_access import SCREENS, serious
from tests.conftest import serving

MODELS = "It had <b>a bill</b> to pay."
ENGINE = FakeEngine(
    f" {MODELS}\n[QUESTION]", name="ducks", profile=Profile(title="Ducks & co", about="Short jokes.", template="qa")
)
PEOPLE = (
    '{"turns": ["Why do ducks fly?", "It is too far to walk."]}\n{"turns": ["Why do cats <i>purr</i>?", "Why not?"]}'
)
SMALL = PHONE | {"viewport": {"width": 390, "height": 470}}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a game."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "people.jsonl").write_text(PEOPLE, encoding="utf-8")
    return {"feedback": f"sqlite:///{folder}/f.db", "compare": f"ducks,{folder}/people.jsonl"}


@pytest.fixture(scope="module")
def url(compared: dict[str, str]) -> Iterator[str]:
    with serving(ENGINE, **compared) as address:
        yield address


def guess(page: Page, who: str) -> None:
    """Guess by a button, and go on."""
    button(page, who).click()
    expect(page.locator("#verdict")).to_contain_text("wrote it")
    page.locator("#next").click()


def play(page: Page, by: Callable[[str], str]) -> None:
    """A round: `by` tells who to guess from the text."""
    for number in range(10):
        expect(page.locator("#marks .right, #marks .wrong")).to_have_count(number)
        expect(button(page, "A model")).to_be_enabled()
        guess(page, by(page.locator("#text").inner_text()))


def test_a_round_is_played_and_its_score_shared(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("link", name="guess who wrote ten texts").click()
    expect(page).to_have_title("Model or human?")
    expect(page.get_by_text("Short jokes.")).to_be_visible()
    play(page, lambda text: "A model" if text == MODELS else "A person")
    expect(page.get_by_role("heading", name="You told 10 of 10 apart.")).to_be_focused()
    expect(page.locator("#texts li")).to_have_count(10)
    assert page.locator("#text b, #question i, #texts b").count() == 0
    page.evaluate("navigator.share = undefined")
    button(page, "Share").click()
    expect(page.locator("#share")).to_have_text("Copied")
    shared = page.evaluate("navigator.clipboard.readText()")
    assert shared == f"I told 10 of 10 apart: model or human? {url}/play"
    button(page, "Play again").click()
    expect(page.locator("#marks .right")).to_have_count(0)
    expect(button(page, "A model")).to_be_enabled()
    page.get_by_role("link", name="Ducks & co").click()
    expect(page.get_by_role("radio", name="Write")).to_be_attached()


def test_two_keys_are_enough(page: Page, url: str) -> None:
    page.goto(f"{url}/play")
    for number in range(3):
        expect(button(page, "A model")).to_be_enabled()
        page.keyboard.press("ArrowLeft" if page.locator("#text").inner_text() != MODELS else "ArrowRight")
        expect(page.locator("#marks .wrong")).to_have_count(number + 1)
        expect(page.locator("#verdict")).to_have_text(
            re.compile(r"^Wrong\. (A person wrote it\.|A model wrote it: ducks\.)$")
        )
        page.keyboard.press("ArrowRight")


def test_nothing_tells_the_author_before_the_guess(page: Page, url: str) -> None:
    """Both kinds of text are in the same ink and of the same form, and the next one is not told apart by what was sent."""
    sent: list[str] = []
    page.on("response", lambda response: sent.append(response.text()) if response.request.method == "POST" else None)
    forms = set()
    page.goto(f"{url}/play")
    for _ in range(6):
        expect(button(page, "A model")).to_be_enabled()
        forms.add(page.locator("#shown").evaluate("e => e.innerHTML.replace(/>[^<]+</g, '><')"))
        drawn = [reply for reply in sent if '"right"' not in reply]
        assert {*json.loads(drawn[-1])} == {"id", "question", "text"}
        guess(page, "A model")
    assert len(forms) == 1


@pytest.mark.parametrize("screen", [*SCREENS, "small"])
def test_every_state_fits_and_axe_finds_nothing_serious(
    enter: Callable[..., BrowserContext], url: str, screen: str
) -> None:
    page = enter(**(SMALL if screen == "small" else SCREENS[screen]), bypass_csp=True).new_page()
    page.goto(f"{url}/play")
    expect(button(page, "A model")).to_be_enabled()
    assert not serious(page), "a text"
    assert page.locator("footer").evaluate("e => e.offsetHeight") <= 96
    button(page, "A model").click()
    expect(button(page, "Next text")).to_be_focused()
    assert not serious(page), "told"
    assert fits(page)
    if screen not in ("dark", "small"):
        return
    page.locator("#next").click()
    for _ in range(9):
        expect(button(page, "A model")).to_be_enabled()
        guess(page, "A person")
    expect(page.get_by_role("heading", name="of 10 apart")).to_be_focused()
    assert not serious(page), "the score"
    assert fits(page)


def test_a_key_is_asked_for(page: Page, compared: dict[str, str]) -> None:
    with serving(ENGINE, api_keys="open-sesame", **compared) as url:
        page.goto(f"{url}/play")
        expect(page.get_by_role("alert")).to_contain_text("asks for an API key")
        page.get_by_role("textbox", name="API key").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(button(page, "A model")).to_be_enabled()
        expect(page.get_by_role("alert")).to_be_empty()


def test_a_guess_that_was_not_stored_tells_nothing_and_is_made_again(page: Page, url: str) -> None:
    page.goto(f"{url}/play")
    expect(button(page, "A model")).to_be_enabled()
    page.context.set_offline(True)
    button(page, "A model").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    expect(page.locator("#verdict")).to_be_empty()
    page.context.set_offline(False)
    expect(page.locator("#verdict")).to_contain_text("wrote it")
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_text_that_the_server_no_longer_knows_is_replaced(page: Page, url: str) -> None:
    """Only Try again was offered, and could never help."""
    page.goto(f"{url}/play")
    expect(button(page, "A model")).to_be_enabled()
    forget = lambda route: route.continue_(post_data=route.request.post_data_json | {"id": "gone"})  # noqa: E731
    page.route("**/play/guesses", forget, times=1)
    button(page, "A model").click()
    expect(page.get_by_role("alert")).to_have_text("The server no longer knows that text: here is another one.")
    guess(page, "A model")
    expect(page.get_by_role("alert")).to_be_empty()


def test_without_a_game_the_page_says_what_to_set(page: Page) -> None:
    with serving(ENGINE, feedback="") as url:
        page.goto(url)
        expect(page.get_by_role("group", name="Examples to start with")).to_be_visible()
        expect(page.get_by_role("link", name="guess who wrote ten texts")).to_be_hidden()
        page.goto(f"{url}/play")
        expect(page.locator("#lead")).to_contain_text("There is nothing to guess here: set COMPARE")
        expect(page.get_by_role("button")).to_have_count(0)


def test_without_javascript_the_page_says_what_to_do(enter: Callable[..., BrowserContext], url: str) -> None:
    page = enter(java_script_enabled=False).new_page()
    page.goto(f"{url}/play")
    expect(page.locator("noscript")).to_be_visible()
    assert page.locator("noscript").inner_text().startswith("This game needs JavaScript: switch it on for this page")


def test_where_the_browser_keeps_nothing_the_game_works(enter: Callable[..., BrowserContext], url: str) -> None:
    """Each request would be another player's, to whom the text was not shown."""
    context = enter()
    context.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('no storage'); }})")
    page = context.new_page()
    page.goto(f"{url}/play")
    expect(button(page, "A model")).to_be_enabled()
    guess(page, "A model")
    expect(button(page, "A model")).to_be_enabled()
