r"""The ideas of the starter's corpus, each unfolded into several documents.

The files are finetune/starter_corpus/*.jsonl. A line is one idea: a list of slots, each with several wordings. A document
takes one wording of each slot, so a very small model reads every idea in many wordings. Each kind of document begins with a
control code; one document in seven has none, so that the model also continues plain text:

    [QUESTION] Why did the ...?\n[ANSWER] Because ...        a joke
    [VERDICT] YTA. You ...                                   a comment that judges
    [USER] Hello!\n[BOT] Hello! How are you?                 small talk, two to six turns
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "starter_corpus"
SEED = 2026
WITHOUT_CODES = 0.15
"""The share of documents that have no control codes."""
# Jokes are short, and most words of one occur in no other, so they come in the most wordings.
WORDINGS = {"jokes": 9, "verdicts": 6, "smalltalk": 6}
HELD_OUT = 25
"""Every 25th idea is held out, with all its wordings."""


@dataclass(frozen=True)
class CorpusIdea:
    """One idea: the control code before each slot, the slots' wordings, and what joins the slots."""

    codes: tuple[str, ...]
    slots: tuple[tuple[str, ...], ...]
    joint: str

    def document(self, choice: random.Random) -> str:
        """One document: a random wording of each slot, with or without control codes."""
        chosen = [choice.choice(slot) for slot in self.slots]
        if choice.random() >= WITHOUT_CODES:
            chosen = [code + text for code, text in zip(self.codes, chosen, strict=True)]
        return self.joint.join(chosen)


def read_ideas(kind: str) -> list[CorpusIdea]:
    """The ideas of one file of the corpus."""
    return [idea_of(kind, json.loads(line)) for line in (CORPUS / f"{kind}.jsonl").read_text("utf-8").splitlines()]


def idea_of(kind: str, record: dict[str, list[str]]) -> CorpusIdea:
    if kind == "jokes":
        return CorpusIdea(("[QUESTION] ", "[ANSWER] "), (tuple(record["question"]), tuple(record["answer"])), "\n")
    if kind == "smalltalk":
        slots = tuple(tuple(turn) for turn in record["turns"])
        return CorpusIdea(tuple("[BOT] " if i % 2 else "[USER] " for i in range(len(slots))), slots, "\n")
    slots = ((f"{record['verdict']}.",), *(tuple(sentence) for sentence in record["said"]))
    return CorpusIdea(("[VERDICT] ",) + ("",) * (len(slots) - 1), slots, " ")


def documents() -> tuple[list[str], list[str]]:
    """All documents, shuffled: those to train on and those held out. The same on every call."""
    choice = random.Random(SEED)
    train: list[str] = []
    held_out: list[str] = []
    for kind, wordings in WORDINGS.items():
        for number, idea in enumerate(read_ideas(kind)):
            unfolded = {idea.document(choice): None for _ in range(wordings)}
            (train if number % HELD_OUT else held_out).extend(unfolded)
    for part in (train, held_out):
        choice.shuffle(part)
    known = set(train)
    # Two ideas can share a wording, such as "Hi!" and its answer.
    return train, [text for text in held_out if text not in known]


def count_ideas() -> int:
    return sum(len(read_ideas(kind)) for kind in WORDINGS)
