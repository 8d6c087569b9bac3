"""How long until the first word of a reply, in the first turn of a chat and in the fifth?

`python -m benchmarks.chat` starts `python -m app` with a bundle of 124M's shape in 8 bits, pinned to one core. It has
conversations of five turns over `/v1/chat/completions`, streamed; each turn has a message of 32 tokens and a reply of 48.
Conversations that reuse the KV cache alternate with conversations that send a seed, whose prompts are read from the beginning
in every turn. The medians are reported.
"""

from __future__ import annotations

import http.client
import json
import random
import shutil
import statistics
import time
from pathlib import Path

from app.engine.bundle import open_bundle
from app.engine.tokenizer import Tokenizer
from benchmarks.startup import server
from benchmarks.subject import bundle, report

CONVERSATIONS = 15
TURNS = 5
SAID, REPLIED = 32, 48
# Random weights write random bytes, and these become other tokens when they are sent back. So every reply repeats this word.
WORD = "ab"


def say(port: int, messages: list[dict[str, str]], word: int, seed: int | None) -> tuple[float, str]:
    """Ask for the next turn. Returns the milliseconds until its first word, and the whole reply."""
    asked = {"messages": messages, "max_tokens": REPLIED, "stream": True, "logit_bias": {str(word): 100}}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    began = time.perf_counter()
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(asked | ({} if seed is None else {"seed": seed})).encode()
    )
    reply, first, text = connection.getresponse(), 0.0, ""
    for line in reply:
        if line.startswith(b"data: {"):
            delta = json.loads(line[6:])["choices"][0]["delta"].get("content")
            if delta:
                first = first or time.perf_counter() - began
                text += delta
    connection.close()
    return 1000 * first, text


def talk(port: int, word: int, seed: int | None) -> list[float]:
    """Milliseconds until the first word of each turn's reply."""
    messages: list[dict[str, str]] = []
    times = []
    for _ in range(TURNS):
        said = "".join(chr(97 + number) * 2 for number in random.choices(range(2, 26), k=SAID))
        messages.append({"role": "user", "content": said})
        milliseconds, reply = say(port, messages, word, seed)
        messages.append({"role": "assistant", "content": reply})
        times.append(milliseconds)
    return times


def chat_bundle() -> Path:
    """The same model with a chat template."""
    made = bundle(8)
    folder = made.with_name(f"{made.name}-chat")
    if not folder.exists():
        shutil.copytree(made, folder)
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"template": "chat"}))
    return folder


def main() -> None:
    folder = chat_bundle()
    tokenizer = Tokenizer.from_file(open_bundle(folder).tokenizer)
    (word,) = tokenizer.encode(WORD)
    assert tokenizer.encode(WORD * REPLIED) == [word] * REPLIED
    kept, anew = [], []
    with server(folder) as (_, port, _):
        for seed in range(CONVERSATIONS):
            kept.append(talk(port, word, None))
            anew.append(talk(port, word, seed))
    medians = {
        name: [round(statistics.median(turn), 1) for turn in zip(*times, strict=True)]
        for name, times in {"kept": kept, "anew": anew}.items()
    }
    report(
        "chat",
        {
            "tokens said and replied in a turn": [SAID, REPLIED],
            "to the first word, ms, by turn": medians["kept"],
            "the same, read anew at every turn": medians["anew"],
            "fifth turn against first": round(medians["kept"][-1] / medians["kept"][0], 2),
            "fifth turn against first, read anew": round(medians["anew"][-1] / medians["anew"][0], 2),
        },
    )


if __name__ == "__main__":
    main()
