"""Prompt templates: how the turns of a conversation become one prompt, for serving and training alike.

text    turn, newline, turn; the model continues the last one
qa      [QUESTION] turn, newline, [ANSWER] turn, and so on in alternation
chat    turn, end-of-text token, turn, end-of-text token
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from app.engine.base import Engine, start_tokens
from app.engine.bundle import Template
from app.errors import PromptTooLong

TAGS: dict[Template, tuple[str, str]] = {"text": ("", ""), "qa": ("[QUESTION] ", "[ANSWER] "), "chat": ("", "")}
"""The tags before a person's turn and before the model's."""


def ends_turns(template: Template) -> bool:
    """Whether the end-of-text token follows each turn. If not, a newline comes before each turn but the first."""
    return template == "chat"


def turn_texts(template: Template, turns: Sequence[str]) -> list[str]:
    """Each turn with its separator and tag in front. A person has the first turn, and the turns alternate."""
    separator = "" if ends_turns(template) else "\n"
    return [(separator if number else "") + TAGS[template][number % 2] + turn for number, turn in enumerate(turns)]


def turn_stops(template: Template) -> list[str]:
    """Strings that end the model's turn, besides the end of the text."""
    return ["\n" + TAGS[template][0].rstrip()] if template == "qa" else []


def all_turn_tokens(engine: Engine, turns: Sequence[str]) -> list[int]:
    """The tokens of all `turns`, up to where the model's turn begins."""
    texts = turn_texts(engine.template, turns)
    if not ends_turns(engine.template):
        return start_tokens(engine, "".join(texts) + model_cue(engine.template))
    end = [] if engine.tokenizer.end_of_text is None else [engine.tokenizer.end_of_text]
    tokens = start_tokens(engine, texts[0])
    for text in texts[1:]:
        tokens += end + engine.tokenizer.encode(text)
    return tokens + end


def model_cue(template: Template) -> str:
    """The text that asks the model for its turn. The tag's space is left out: it belongs to the first word of the answer."""
    tag = TAGS[template][1].rstrip()
    return f"\n{tag}" if tag else ""


def fitting_turn_tokens(engine: Engine, turns: Sequence[str], room: int) -> list[int]:
    """The tokens of the newest `turns` that leave `room` tokens of the window free for the model's turn.

    Turns alternate, and a person has the last one. The oldest turns are left out in pairs, so that a person's turn comes first.
    No more than half of the window is kept free. Raises PromptTooLong if the last turn alone is longer than the window.
    """
    most = engine.n_ctx - min(room, engine.n_ctx // 2)
    firsts = range(1 - len(turns) % 2, len(turns), 2)
    tokens = all_turn_tokens(engine, turns[firsts[0] :])
    if len(tokens) > most:
        # Bisection, since tokenizing thousands of turns takes a while.
        fitting = bisect_left(firsts, True, key=lambda first: len(all_turn_tokens(engine, turns[first:])) <= most)
        tokens = all_turn_tokens(engine, turns[firsts[min(fitting, len(firsts) - 1)] :])
    if len(tokens) > engine.n_ctx:
        raise PromptTooLong(len(tokens), engine.n_ctx)
    return tokens
