"""The deadline of a generation: every loop asks it, and what was written by then is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.base import Chunk, Engine, RowStep
from app.engine.batch import TextBatch, generate
from app.engine.deadline import Deadline, DeadlinePassed
from app.engine.fake import FakeEngine
from app.engine.generation import GenerationOptions, TextDelta
from app.engine.onnx import OnnxEngine
from app.engine.prefix_cache import PrefixCache
from app.engine.sampling import Sampling
from app.engine.tensorflow import TensorflowEngine, TensorflowSlots
from app.engine.uniform_slots import UniformSlots


class CountedDeadline(Deadline):
    """Passes when it has been asked `most` times."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.asked = 0

    @property
    def passed(self) -> bool:
        self.asked += 1
        return self.asked > self.most


# Which loop a generation is in for most of its time: its tokens of prompt, and its options.
LOOPS: dict[str, tuple[int, dict[str, Any]]] = {
    "a long prompt": (60, {"length": 3}),
    "a long prompt in many rows": (50, {"length": 3, "samples": 6}),
    "a scored prompt": (60, {"length": 1, "samples": 2, "score_prompt": True, "logprobs": 2}),
    "a scored prompt alone": (60, {"length": 0, "score_prompt": True, "logprobs": 0}),
    "many tokens": (3, {"length": 50}),
    "many rows": (3, {"length": 9, "samples": 9, "logprobs": 3}),
    "a window that slides, its rows being different by then": (60, {"length": 80, "samples": 2}),
    "held back characters": (3, {"length": 30, "stops": ["never this one", " and never that"], "logprobs": 1}),
}


def written(engine: Engine, tokens: Sequence[int], options: GenerationOptions, deadline: Deadline) -> list[TextDelta]:
    try:
        return list(generate(engine, tokens, options, deadline))
    except DeadlinePassed:
        return []


def of_row(deltas: Sequence[TextDelta], row: int) -> tuple[str, list[int], list[str]]:
    """A text, its scored tokens, and the reasons why it ended."""
    mine = [delta for delta in deltas if delta.index == row]
    text = "".join(delta.text for delta in mine)
    return text, [score.token for d in mine for score in d.scored], [d.finish_reason for d in mine if d.finish_reason]


def check_a_cut(engine: Engine, tokens: Sequence[int], options: GenerationOptions, most: int) -> int:
    """Whenever the deadline passes, each text is the beginning of the whole one and ends once. Returns how often it was asked."""
    whole = list(generate(engine, tokens, options))
    deadline = CountedDeadline(most)
    deltas = written(engine, tokens, options, deadline)
    for row in range(options.samples if deltas else 0):
        text, scored, reasons = of_row(deltas, row)
        whole_text, whole_scored, whole_reasons = of_row(whole, row)
        if deadline.asked <= most:
            assert (text, scored, reasons) == (whole_text, whole_scored, whole_reasons)
        else:
            # What was held back, because it may be the beginning of a stop string, is shown, and scored as well.
            rest = text.removeprefix(whole_text)
            held = text.startswith(whole_text) and any(stop.startswith(rest) for stop in options.stops)
            assert held or whole_text.startswith(text)
            assert whole_scored[: len(scored)] == scored[: len(whole_scored)]
            assert reasons in (["timeout"], whole_reasons)
            assert len(reasons) == 1
    return deadline.asked


@pytest.mark.parametrize("loop", LOOPS)
def test_a_text_that_runs_out_of_time_is_the_beginning_of_the_whole_one(exact: OnnxEngine, loop: str) -> None:
    length, fields = LOOPS[loop]
    tokens = [*range(40, 40 + length)]
    options = GenerationOptions(**fields, seed=3)
    for most in (0, 1, 2, 3, 5, 10, 30, 61, 62, 75):
        check_a_cut(exact, tokens, options, most)


@given(
    length=st.integers(1, 60),
    most=st.integers(0, 150),
    options=st.builds(
        GenerationOptions,
        length=st.integers(0, 70),
        samples=st.integers(1, 4),
        seed=st.integers(0, 5),
        sampling=st.builds(Sampling, temperature=st.sampled_from([0, 1.0]), top_p=st.sampled_from([0.0, 0.9])),
        stops=st.lists(st.sampled_from(["e", "th", "zzzz", "aaaaaaaa"]), max_size=2),
        include_stop=st.booleans(),
        min_length=st.integers(0, 5),
        logprobs=st.sampled_from([None, 0, 2]),
        score_prompt=st.booleans(),
    ),
)
def test_whatever_is_cut_is_a_beginning(exact: OnnxEngine, length: int, most: int, options: GenerationOptions) -> None:
    check_a_cut(exact, [*range(40, 40 + length)], options, most)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", ["onnx", "tensorflow"])
def test_no_two_passes_go_without_asking(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, loop: str
) -> None:
    """Nobody asked while a prompt was scored or a long one was read, which took seconds. A pass reads one piece at most."""
    engine: OnnxEngine | TensorflowEngine = request.getfixturevalue({"onnx": "exact", "tensorflow": "reference"}[kind])
    for size in ("CHUNK", "CHUNK_ALONE", "CHUNK_SCORED"):
        monkeypatch.setattr(f"app.engine.batch.{size}", 8)
    length, fields = LOOPS[loop]
    options = GenerationOptions(**fields)
    deadline = CountedDeadline(10**9)
    asked_at: list[int] = []

    def counted(one_pass: Any) -> Any:
        def run(self: Any, steps: Sequence[RowStep], chunk: Chunk | None) -> Any:
            asked_at.append(deadline.asked)
            assert len(steps) <= options.samples
            assert chunk is None or len(chunk.tokens) <= 8
            return one_pass(self, steps, chunk)

        return run

    for slots in (UniformSlots, TensorflowSlots):
        monkeypatch.setattr(slots, "run", counted(slots.run))
    list(generate(engine, [*range(40, 40 + length)], options, deadline))
    assert len(asked_at) > 5
    assert len(set(asked_at)) == len(asked_at)


def test_a_deadline_may_be_moved() -> None:
    """As a signal to stop does, and a client that leaves."""
    deadline = Deadline()
    deltas = generate(FakeEngine(), [1], GenerationOptions(length=10**6), deadline)
    next(deltas)
    deadline.at = 0.0
    (last,) = deltas
    assert (last.text, last.finish_reason, last.tokens) == ("", "timeout", 0)


def test_what_was_read_of_a_prompt_is_kept_but_not_of_one_that_slid(
    exact: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The KV cache of a text whose window was sliding is half overwritten: no other text may continue it."""
    monkeypatch.setattr("app.engine.batch.CHUNK_ALONE", 8)
    tokens, greedy = [*range(40, 100)], Sampling(temperature=0)
    lengths = set()
    for most in range(40):
        prefixes = PrefixCache(2**20)
        batch = TextBatch(exact, 1, prefixes=prefixes)
        deadline = CountedDeadline(most)
        options = GenerationOptions(length=20, reuse=True, sampling=greedy)
        with contextlib.suppress(DeadlinePassed):
            list(generate(exact, tokens, options, deadline, batch))
        if kept := prefixes.find(exact.name, np.array(tokens)):
            lengths.add(kept[1])
            begun = [*tokens[:50], 41]
            again = GenerationOptions(length=5, reuse=True, sampling=greedy)
            fresh = [delta.text for delta in generate(exact, begun, GenerationOptions(length=5, sampling=greedy))]
            assert [delta.text for delta in generate(exact, begun, again, batch=batch)] == fresh
    assert lengths == {8, 16, 24, 32, 40, 48, 56, 60}
