"""Conversations: the messages of a chat as turns of a person and the model in alternation.

Messages of one side that follow one another are one turn, a line each. A pause of hours begins a new conversation, and so does
the next question when a conversation is as long as a model remembers. A conversation begins with a person and ends with the
model: what the model says first, and what nobody answers, is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from finetune.data.chats.sent_message import Chat

PAUSE = 4 * 3600
"""Seconds without a message that end a conversation."""
LONGEST = 3000
"""Characters after which the next question begins a new conversation: about what GPT-2's window holds."""
TOGETHER = 300
"""Seconds within which messages of one person belong together, where the answers are missing."""
UNANSWERED = "unanswered"


class ChatTurn(NamedTuple):
    by_model: bool
    lines: list[str]


def conversations(chat: Chat, model: Collection[str], counts: Counter[str]) -> Iterator[list[str]]:
    """The turns of each conversation. Those in which the model answers nothing are counted in `counts`."""
    turns: list[ChatTurn] = []
    last, size = 0.0, 0
    for author, text, at in chat:
        by_model = author in model
        begins = bool(turns) and (turns[-1].by_model, by_model) == (True, False)
        if at - last > PAUSE or (begins and size > LONGEST):
            yield from alternating_turns(turns, counts)
            turns, size = [], 0
        if not turns or turns[-1].by_model != by_model:
            turns.append(ChatTurn(by_model, []))
        turns[-1].lines.append(text)
        last, size = at, size + len(text)
    yield from alternating_turns(turns, counts)


def alternating_turns(turns: list[ChatTurn], counts: Counter[str]) -> Iterator[list[str]]:
    """The turns from the first of a person to the last of the model, if there are any."""
    first = bool(turns) and turns[0].by_model
    last = len(turns) - (bool(turns) and not turns[-1].by_model)
    if first < last:
        yield ["\n".join(turn.lines) for turn in turns[first:last]]
    elif turns:
        counts[UNANSWERED] += 1


def monologues(chat: Chat) -> Iterator[str]:
    """What one person wrote without long pauses, as texts."""
    lines: list[str] = []
    last = 0.0
    for _, text, at in chat:
        if lines and at - last > TOGETHER:
            yield "\n".join(lines)
            lines = []
        lines.append(text)
        last = at
    if lines:
        yield "\n".join(lines)
