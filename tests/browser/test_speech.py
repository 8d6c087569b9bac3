"""Read aloud, with a voice of the device: word by word marked, to be stopped, and nothing where there is no voice."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from app.engine.fake import FakeEngine
from tests.browser.conftest import button, choose, go, text
from tests.conftest import serving

# Chromium has no voices here. This one says what it is told when `window.next` is called: a word, or the end of a sentence.
VOICES = """
const queue = [];
window.said = [];
window.SpeechSynthesisUtterance = class extends EventTarget { constructor(text) { super(); this.text = text; } };
const voices = ["One", "Two", "Far"].map((name) => ({ name, lang: "en-GB", voiceURI: name, localService: name !== "Far" }));
const synth = new EventTarget();
synth.getVoices = () => window.late ? [] : voices;
synth.speak = (utterance) => queue.push(utterance);
synth.cancel = () => queue.splice(0);
Object.defineProperty(window, "speechSynthesis", { value: synth });
window.tell = (name, charIndex) => queue[0].dispatchEvent(Object.assign(new Event("boundary"), { name, charIndex }));
window.end = () => {
  const one = queue.shift();
  window.said.push([one.text, one.voice.name]);
  one.dispatchEvent(new Event("end"));
};
"""
SPOKEN = "[...(CSS.highlights.get('spoken') ?? [])].map(String)"


def test_it_reads_word_by_word_with_the_chosen_voice(page: Page) -> None:
    page.add_init_script(VOICES)
    with serving(FakeEngine("Yes, we do. ")) as url:
        page.goto(url)
        button(page, "Settings").click()
        voice = page.get_by_role("combobox", name="Voice that reads aloud")
        expect(voice.locator("option")).to_have_text(["One (en-GB)", "Two (en-GB)"])
        voice.select_option("Two")
        page.reload()
        choose(page, "Length", "10")
        go(page, "Do they? ")
        read = button(page, "Read aloud")
        read.click()
        expect(read).to_have_attribute("aria-pressed", "true")
        page.evaluate("tell('word', 3)")
        assert page.evaluate(SPOKEN) == ["they?"]
        page.evaluate("end()")
        page.evaluate("tell('sentence', 0)")
        page.evaluate("tell('word', 5)")
        assert page.evaluate(SPOKEN) == ["we"]
        page.evaluate("end()")
        expect(read).to_have_attribute("aria-pressed", "false")
        assert page.evaluate(SPOKEN) == []
        assert page.evaluate("said") == [["Do they? ", "Two"], ["Yes, we do\u200b", "Two"]]
        assert page.locator("#ink span").count() == 2


def test_it_stops_when_it_is_told_to_or_the_text_changes(page: Page) -> None:
    page.add_init_script(VOICES)
    with serving(FakeEngine()) as url:
        page.goto(url)
        text(page).fill("One. Two.")
        read = page.locator(".aloud")
        for way in ("Read aloud", "typing", "New"):
            read.click()
            expect(read).to_have_attribute("aria-pressed", "true")
            page.evaluate("tell('word', 0)")
            if way == "typing":
                text(page).fill("Three.")
            else:
                button(page, way).click()
            expect(read).to_have_attribute("aria-pressed", "false")
            assert page.evaluate(SPOKEN) == []


def test_without_a_voice_there_is_no_button(page: Page) -> None:
    """Until the browser has found its voices, which it does late."""
    page.add_init_script("window.late = true;" + VOICES)
    with serving(FakeEngine()) as url:
        page.goto(url)
        text(page).fill("One.")
        expect(button(page, "Save image")).to_be_visible()
        expect(button(page, "Read aloud")).to_be_hidden()
        page.evaluate("window.late = false; speechSynthesis.dispatchEvent(new Event('voiceschanged'))")
        expect(button(page, "Read aloud")).to_be_visible()
