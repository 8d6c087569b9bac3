"""How long after a pause until the page shows what the model would write there?

`python -m benchmarks.ghost` starts `python -m app` with a bundle of 124M's shape in 8 bits, pinned to the last core, and opens
the page in Chromium. It types a few words at the end of a text of 300 words (400 tokens), pauses, and waits for the ghost text,
thirty times. It needs .venv/browser. Where the machine has other work, `chrt -f 1` before it keeps that out of the figures.

Times are from the end of the pause, 450 ms after the last key, to when the first words of the ghost stand in the page, which
measures them itself. The first pause is reported apart: there the text was pasted, and the model reads all of it.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import statistics
import zlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from app.engine.tokenizer import END_OF_TEXT, Tokenizer, byte_characters
from benchmarks.startup import server
from benchmarks.subject import bundle, report

PAUSES = 30
WORDS, TYPED = 300, 5
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PAUSE = 450
"""Milliseconds without a key, after which the page asks: see ghost.js."""
# Notes how long after the last key the first words of a suggestion have been drawn.
WATCH = """() => {
  window.times = [];
  document.getElementById("text").addEventListener("input", () => (window.typed = performance.now()));
  new MutationObserver(() => {
    // A suggestion that is shortened by what is typed was there before.
    if (!window.typed || performance.now() - window.typed < 400 || !document.querySelector(".ghost")?.textContent.trim()) return;
    window.times.push(performance.now() - window.typed);
    window.typed = 0;
  }).observe(document.getElementById("ink"), { childList: true });
}"""


def word_bundle() -> Path:
    """The same model with a vocabulary whose tokens are words, since the page shows whole words only."""
    made = bundle(8)
    folder = made.with_name(f"{made.name}-words")
    if not folder.exists():
        shutil.copytree(made, folder)
        write_words(folder / "tokenizer.json")
        content = (folder / "tokenizer.json").read_bytes()
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["crc32"]["tokenizer.json"] = f"{zlib.crc32(content):08x}"
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write_words(path: Path) -> None:
    """50,000 words of up to four letters, each with the space before it."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    space = byte_characters()[32]
    merges = list(itertools.islice(merged(space), 50_000))
    tokens = [*byte_characters(), *("".join(pair) for pair in merges), END_OF_TEXT]
    model = models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    Tokenizer(tokenizer).save(path)


def merged(space: str) -> Iterator[tuple[str, str]]:
    for length in range(4):
        for start in itertools.product(LETTERS, repeat=length):
            for letter in LETTERS:
                yield space + "".join(start), letter


def words(count: int, chance: random.Random) -> str:
    """Words, of which every third has two tokens, as in English."""
    lengths = (3, 3, 5)
    return "".join(f" {''.join(chance.choices(LETTERS, k=lengths[number % 3]))}" for number in range(count))


def measure(page: Page, chance: random.Random) -> list[float]:
    """Milliseconds until the ghost text, for each pause."""
    field = page.locator("#text")
    field.fill(words(WORDS, chance).strip())
    for number in range(PAUSES + 1):
        if number:
            page.keyboard.type(words(TYPED, chance), delay=80)
        while page.evaluate("window.times.length") <= number:
            page.wait_for_timeout(50)
    times: list[float] = page.evaluate("window.times")
    return [milliseconds - PAUSE for milliseconds in times]


def main() -> None:
    folder = word_bundle()
    browser = shutil.which("chromium")
    with server(folder, FEEDBACK="") as (_, port, _), sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"]).new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#go:enabled")
        page.evaluate(WATCH)
        first, *times = measure(page, random.Random(7))
    cuts = statistics.quantiles(times, n=20)
    report(
        "ghost",
        {
            "words of the text at first, typed before each pause": [WORDS, TYPED],
            "pauses": PAUSES,
            "to the first words of the ghost, ms: median": round(statistics.median(times)),
            "the same: 95th percentile": round(cuts[-1]),
            "the same: longest": round(max(times)),
            "the same, after a text was pasted": round(first),
        },
    )


if __name__ == "__main__":
    main()
