"""How turns are put to a model of each template, and what ends its turn. Training writes conversations the same way.

text    turn, newline, turn; the last one is continued
qa      [QUESTION] turn, newline, [ANSWER] turn, and so on in alternation
chat    turn, end of text, turn, end of text
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from app.engine.base import Engine, start_tokens
from app.engine.bundle import Template
from app.errors import PromptTooLong

TAGS: dict[Template, tuple[str, str]] = {"text": ("", ""), "qa": ("[QUESTION] ", "[ANSWER] "), "chat": ("", "")}


def turn_stops(template: Template) -> list[str]:
    """Strings that end the model's turn, besides the end of the text."""
    return ["\n" + TAGS[template][0].rstrip()] if template == "qa" else []


def turn_tokens(engine: Engine, turns: Sequence[str], room: int) -> list[int]:
    """The tokens after which the model's turn comes.

    `turns` alternate, and a person's is last. The oldest leave in pairs until `room` tokens, or half of the window where
    that is less, are free for the reply. Raises PromptTooLong if the last turn alone is longer than the window.
    """
    most = engine.n_ctx - min(room, engine.n_ctx // 2)
    choices = range(1 - len(turns) % 2, len(turns), 2)
    tokens = tokens_of(engine, turns[choices[0] :])
    if len(tokens) > most:
        # Bisected, since what thousands of turns come to takes a while to find out.
        first = bisect_left(choices, True, key=lambda oldest: len(tokens_of(engine, turns[oldest:])) <= most)
        tokens = tokens_of(engine, turns[choices[min(first, len(choices) - 1)] :])
    if len(tokens) > engine.n_ctx:
        raise PromptTooLong(len(tokens), engine.n_ctx)
    return tokens


def tokens_of(engine: Engine, turns: Sequence[str]) -> list[int]:
    if engine.template == "chat":
        end = engine.tokenizer.end_of_text
        between = [] if end is None else [end]
        tokens = start_tokens(engine, turns[0])
        for turn in turns[1:]:
            tokens += between + engine.tokenizer.encode(turn)
        return tokens + between
    tags = TAGS[engine.template]
    lines = [tags[number % 2] + turn for number, turn in enumerate(turns)]
    if engine.template == "qa":
        # Without its space, which belongs to the first word of the answer.
        lines.append(tags[1].rstrip())
    return start_tokens(engine, "\n".join(lines))
