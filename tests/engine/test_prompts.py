"""Turns become the same tokens as in training; the oldest are left out when the window is full."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.bundle import EndMarker
from app.engine.fake import FakeEngine, byte_tokenizer
from app.engine.prompts import (
    FREE_SHARE,
    Turn,
    all_turn_tokens,
    alternating,
    fitting_turn_tokens,
    turn_texts,
)
from app.engine.templates import Template
from app.engine.tokenizer import Tokenizer
from app.errors import PromptTooLong
from finetune.data.documents import Document, from_turns
from tests.conftest import ROOT

TEMPLATES: list[Template] = ["text", "qa", "chat"]
TURNS = ["Are we there?", "Nearly.", "Are we there now?"]
STARTER = Tokenizer.from_file(ROOT / "models/starter/tokenizer.json")
TOKEN_END = EndMarker(token=STARTER.end_of_text)
PIECES = [
    "a",
    "Why",
    "it's",
    "don't",
    " ",
    "\n",
    "\t",
    "\x1c",
    "\x85",
    "\xa0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\ufeff",
    ".",
    "42",
    "é",
    "🦆",
    "鸭子",
]
PIECES += ["[QUESTION]", "[ANSWER]", "<|endoftext|>", "<|startoftext|>", "[genre: joke]"]
text = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=20)
said = text.filter(lambda turn: bool(turn.strip()))


def engine_of(
    template: Template, end: EndMarker = TOKEN_END, tokenizer: Tokenizer = STARTER, n_ctx: int = 1024
) -> FakeEngine:
    engine = FakeEngine(template=template, n_ctx=n_ctx)
    engine.tokenizer, engine.end = tokenizer, end
    return engine


def trained(document: Document) -> list[int]:
    """The tokens of a document in training, with the end of text that is put before each."""
    assert STARTER.end_of_text is not None
    tokens = [STARTER.end_of_text]
    for part in document:
        tokens += STARTER.encode(part.text) + [STARTER.end_of_text] * part.ends
    return tokens


@pytest.mark.parametrize("template", TEMPLATES)
@given(
    turns=st.lists(st.tuples(said, said), min_size=1, max_size=3),
    blanks=st.tuples(*[st.sampled_from(["", " ", "\n\n", "\xa0\t"])] * 2),
)
def test_a_prompt_is_what_the_model_read_before_its_turn_in_training(
    template: Template, turns: list[tuple[str, str]], blanks: tuple[str, str]
) -> None:
    """Training removed the white space around turns and serving did not, so such prompts had tokens that the model never saw."""
    texts = [turn for pair in turns for turn in pair]
    before, after = blanks
    prompt = all_turn_tokens(engine_of(template), alternating([before + turn + after for turn in texts[:-1]]))
    assert prompt == trained(from_turns(texts, None, template))[: len(prompt)]
    answer = trained(from_turns(texts, None, template))[len(prompt) :]
    separator = {"text": "\n", "qa": " ", "chat": ""}[template]
    assert answer == [*STARTER.encode(separator + texts[-1].strip()), STARTER.end_of_text]


@pytest.mark.parametrize("template", TEMPLATES)
@given(pairs=st.lists(st.tuples(said, said), min_size=1, max_size=3), after=st.sampled_from(["", " ", "\n\n"]))
def test_a_turn_that_goes_on_has_the_tokens_of_training_up_to_its_text(
    template: Template, pairs: list[tuple[str, str]], after: str
) -> None:
    """No end of a turn comes after it, and no tag that asks for another one."""
    texts = [turn for pair in pairs for turn in pair]
    turns = alternating(texts)
    unfinished = turns[-1]._replace(text=texts[-1] + after, goes_on=True)
    document = trained(from_turns(texts, None, template))
    assert all_turn_tokens(engine_of(template), [*turns[:-1], unfinished]) == document[:-1]
    nothing = all_turn_tokens(engine_of(template), [*turns[:-1], Turn("", by_model=True, goes_on=True)])
    assert nothing == all_turn_tokens(engine_of(template), turns[:-1]) or template == "text"


@pytest.mark.parametrize("template", TEMPLATES)
@given(turns=st.lists(said, min_size=1, max_size=4), code=text)
def test_a_document_that_is_typed_as_a_prefix_has_its_tokens(template: Template, turns: list[str], code: str) -> None:
    """Documents are tokenized part by part and a prefix as a whole, which makes no difference, with a control code or without."""
    document = from_turns(turns, code, template)
    typed = "".join(part.text for part in document)
    parts = [token for part in document for token in STARTER.encode(part.text)]
    if template != "chat" or len(turns) == 1:
        assert STARTER.encode(typed) == parts


@given(system=said, turns=st.lists(said, min_size=1, max_size=3))
def test_a_system_message_is_the_beginning_of_the_first_turn(system: str, turns: list[str]) -> None:
    for template in TEMPLATES:
        together = [f"{system.strip()}\n{turns[0].strip()}", *turns[1:]]
        prompt = all_turn_tokens(engine_of(template), [Turn(f" {system}\n", instructs=True), *alternating(turns)])
        assert prompt == all_turn_tokens(engine_of(template), alternating(together))
        if len(turns) % 2:
            assert prompt == trained(from_turns([*together, "Yes."], None, template))[: len(prompt)]


QA = {
    "a leading turn of the model is its own": "A:Hello! Q:Why? → [ANSWER] Hello!|[QUESTION] Why?",
    "turns of one speaker are one": "Q:a_ Q:_b A:c A:d Q:e → [QUESTION] a/b|[ANSWER] c/d|[QUESTION] e",
    "blank turns are left out": "Q:a A:_ Q:b Q: → [QUESTION] a/b",
    "but not the last, which is a question": "Q:a A:b Q:_ → [QUESTION] a|[ANSWER] b|[QUESTION]",
    "nothing at all is a question": "Q: → [QUESTION]",
}


@pytest.mark.parametrize("case", QA.values(), ids=QA)
def test_turns_are_put_by_who_speaks(case: str) -> None:
    """In these cases _ is white space and / a line end."""
    turns, texts = case.split(" → ")
    spoken = [Turn(turn[2:].replace("_", " \n\xa0"), by_model=turn.startswith("A")) for turn in turns.split(" ")]
    assert "".join(turn_texts("qa", spoken)) == texts.replace("|", "\n").replace("/", "\n")


ENDS = [
    (EndMarker(token=256), [256, 97, 256, 98, 256, 99, 256]),
    (EndMarker(token=0), [0, 97, 0, 98, 0, 99, 0]),
    (EndMarker(text="<|endoftext|>"), [97, 256, 98, 256, 99, 256]),
    (EndMarker(text="!"), [97, 33, 98, 33, 99, 33]),
]


@pytest.mark.parametrize(("end", "tokens"), ENDS)
def test_what_ends_a_text_ends_a_turn_of_a_chat(end: EndMarker, tokens: list[int]) -> None:
    assert all_turn_tokens(engine_of("chat", end, byte_tokenizer()), alternating("abc")) == tokens


def fitting(turns: Sequence[Turn], room: int | None, n_ctx: int) -> int:
    """The number of tokens; in a chat of bytes, those are the first end of text, and a turn and its end."""
    return len(fitting_turn_tokens(FakeEngine(template="chat", n_ctx=n_ctx), turns, room))


@pytest.mark.parametrize(("n_ctx", "kept"), [(1024, TURNS), (40, TURNS[2:])])
def test_the_oldest_turns_are_left_out_in_pairs(n_ctx: int, kept: list[str]) -> None:
    engine = FakeEngine(n_ctx=n_ctx, template="chat")
    assert fitting_turn_tokens(engine, alternating(TURNS), 10) == all_turn_tokens(engine, alternating(kept))


@pytest.mark.parametrize(
    ("room", "kept"), [(1, 101), (24, 99), (300, 71), (500, 51), (512, 51), (1000, 51), (4096, 51), (None, 75)]
)
def test_as_many_turns_as_fit_are_kept(room: int | None, kept: int) -> None:
    """Half of the window was once kept free if the length of the answer was not known.

    It is the most that an answer takes, since clients ask for a thousand tokens and mean "as many as it takes": with all of
    those kept free, the model read the last message alone.
    """
    assert 1024 * FREE_SHARE == 256
    assert fitting(alternating(["x" * 9] * 2001), room, 1024) == 1 + kept * 10


def test_instructions_stay_when_older_turns_leave() -> None:
    turns = [Turn("Be brief.", instructs=True), Turn("Hello!", by_model=True), *alternating(["x" * 9] * 9)]
    engine = FakeEngine(n_ctx=64, template="chat")
    kept = [turns[0], *turns[-3:]]
    assert fitting_turn_tokens(engine, turns, 20) == all_turn_tokens(engine, kept)
    assert fitting(turns, 1, 256) == len(all_turn_tokens(engine, turns))


def test_a_long_last_turn_may_fill_the_window_and_not_exceed_it() -> None:
    assert fitting(alternating(["x" * 14]), 10, 16) == 16
    assert fitting(alternating([*TURNS[:2], "x" * 14]), 10, 16) == 16
    with pytest.raises(PromptTooLong):
        fitting(alternating(["x" * 15]), 10, 16)


turn_lists = st.lists(st.builds(Turn, said, st.booleans(), st.booleans()), max_size=12)


@given(turns=turn_lists, newest=said, room=st.none() | st.integers(1, 300), n_ctx=st.integers(16, 200))
def test_what_is_left_out_is_as_little_as_possible_and_nothing_that_must_stay(
    turns: list[Turn], newest: str, room: int | None, n_ctx: int
) -> None:
    for template in TEMPLATES:
        engine = engine_of(template, n_ctx=n_ctx)
        spoken = [turn._replace(instructs=turn.instructs and not turn.by_model) for turn in [*turns, Turn(newest)]]
        starts = [0, *(i for i, turn in enumerate(spoken) if i and not (turn.by_model or turn.instructs))]
        ways = [
            all_turn_tokens(engine, [*filter(lambda turn: turn.instructs, spoken[:i]), *spoken[i:]]) for i in starts
        ]
        free = n_ctx // 4 if room is None else min(room, n_ctx // 2)
        best = next((way for way in ways if len(way) <= n_ctx - free), ways[-1])
        if len(best) > n_ctx:
            with pytest.raises(PromptTooLong):
                fitting_turn_tokens(engine, spoken, room)
        else:
            assert fitting_turn_tokens(engine, spoken, room) == best
