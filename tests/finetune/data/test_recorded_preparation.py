"""Preparing gives the files that it gave when these hashes were recorded, whatever the kind of input."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from app.engine.tokenizer import END_OF_TEXT, Tokenizer, byte_characters
from app.engine.vocabulary_files import BytePairs, write_byte_pairs
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data

SPECIMENS = (
    "the The THE duck's we'll don't isn't road, bill? (pay) it. “Yes” — no… 1984 3.14 $5 a_b snake_case state-of-the-art "
    "http://example.org/?q=1 naïve Straße ŒUVRE İstanbul ﬁne Ⅻ 你好 世界 ありがとう 한국어 привет ΣΊΣΥΦΟΣ שלום مرحبا "
    "हिन्दी 😂 👍🏽 e\u0301 \u00a0 \u3000 \u180e \u200b \x1c \x85 \u2028 <|endoftext|> [tag] {json} \\ \" ' ` ~ ^"
)
SAID = SPECIMENS.split(" ")
SPACES = [" "] * 12 + ["  ", "   ", "\n", "\n\n", " \n", "\n ", "\t", " \t ", "\u00a0", " \u00a0", "\u3000 "]
COMMON = [" the", " duck", " don", "'t", " 19", "\n\n", "  ", " bill", "word", "ing", "你", "…", " “", " no"]


def vocabulary(folder: Path) -> Path:
    """A vocabulary that depends on no library's way to learn one: the bytes, and what leads to a few common pieces."""
    alphabet = byte_characters()
    ids = {character: number for number, character in enumerate(sorted(alphabet))}
    merges: list[tuple[str, str]] = []
    for piece in COMMON:
        spelled = [alphabet[byte] for byte in piece.encode()]
        for at in range(1, len(spelled)):
            left, right = "".join(spelled[:at]), spelled[at]
            if left + right not in ids:
                merges.append((left, right))
                ids[left + right] = len(ids)
    folder.mkdir()
    write_byte_pairs(BytePairs(ids | {END_OF_TEXT: len(ids)}, merges), folder)
    return folder


def texts(count: int, most: int, seed: int) -> Iterator[str]:
    """Texts of up to `most` words; of ten, one repeats an earlier one, and one does so with a word more or in capitals."""
    chance = random.Random(seed)
    earlier = ["first"]
    for number in range(count):
        words = [chance.choice(SAID) if chance.random() < 0.3 else f"word{number % 7}{chance.randrange(900)}"]
        words += [f"w{chance.randrange(2000)}" if chance.random() < 0.5 else chance.choice(SAID) for _ in range(most)]
        said = "".join(word + chance.choice(SPACES) for word in words[: chance.randrange(most)])
        kind = chance.random()
        if kind < 0.2:
            said = chance.choice(earlier)
            said = said if kind < 0.1 else f"{said} more" if kind < 0.15 else said.upper()
        earlier.append(said)
        yield said


def write_comments(path: Path) -> None:
    chance = random.Random(5)
    metas: list[Any] = [None, None, None, "code", {"score": 5, "funny": True, "of": "r/jokes"}]
    said = list(texts(1500, 40, seed=1))
    lines = [{"body": text, "meta": chance.choice(metas)} for text in said[:900]]
    lines += [
        {"turns": said[at : at + 1 + at % 4], "meta": chance.choice(metas)} for at in range(900, len(said) - 4, 2)
    ]
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")


def write_inputs(folder: Path, tokenizer: Tokenizer) -> None:
    write_comments(folder / "comments.jsonl")
    cells = [text.replace('"', '""') for text in texts(5200, 8, seed=2)]
    (folder / "jokes.csv").write_bytes(
        ("id,text\r\n" + "".join(f'{n},"{cell}"\r\n' for n, cell in enumerate(cells))).encode()
    )
    marked = "".join(f"<|startoftext|>{text}<|endoftext|>\n" for text in texts(200, 80, seed=3))
    (folder / "marked.txt.gz").write_bytes(gzip.compress(marked.encode("utf-16")))
    # One paragraph is longer than a document may be, and is cut.
    (folder / "long.txt").write_bytes("\n\n".join([*texts(40, 200, seed=4), " ".join(texts(300, 90, seed=6))]).encode())
    archived = "".join(f"<|startoftext|>{text}<|endoftext|>" for text in texts(80, 30, seed=7))
    np.savez_compressed(folder / "old.npz", np.array(tokenizer.encode(archived)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    write_inputs(folder, Tokenizer.from_gpt2(vocabulary(folder / "vocabulary")))
    return folder


@pytest.mark.parametrize(
    ("names", "encoding", "options", "recorded"),
    [
        ("comments.jsonl", "utf-8", {}, "b61f38a7363d5786"),
        ("comments.jsonl", "utf-8", {"template": "chat", "near_duplicates": 0.6}, "52192c0abf775327"),
        ("comments.jsonl", "utf-8", {"template": "qa", "near_duplicates": 0, "min_tokens": 40}, "dc787c77e830c5ab"),
        ("comments.jsonl jokes.csv long.txt old.npz", "utf-8", {"validation": 0.3}, "3c6656332c6f8b5f"),
        ("long.txt jokes.csv", "utf-8", {"vocabulary_size": 400, "near_duplicates": 0.7}, "64a01c4a8e2286be"),
        ("long.txt", "utf-8", {"split": "blank_lines"}, "a6d5c75a35cab2a6"),
        ("marked.txt.gz", "utf-16", {}, "515c65cdfa5552d4"),
    ],
)
def test_the_same_files_as_ever(
    names: str, encoding: str, options: dict[str, Any], recorded: str, folder: Path, tmp_path: Path
) -> None:
    """The files' bytes, and of the description all but the paths and hashes, the date, the versions and whether it is private.

    A faster way to prepare must give the same tokens, roles, duplicates and validation split.
    """
    given = dict[str, Any](vocabulary=folder / "vocabulary", encoding=encoding) | options
    prepare([str(folder / name) for name in names.split()], out=tmp_path / "data", **given)
    description = msgspec.to_builtins(open_data(tmp_path / "data").description)
    left_out = ("sources", "options", "made", "private", "files_sha256")
    facts = {name: description[name] for name in description if name not in left_out}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in sorted((tmp_path / "data").iterdir()):
        if path.name != "description.json":
            digest.update(path.name.encode() + path.read_bytes())
    assert digest.hexdigest()[:16] == recorded, facts
