"""Schedules of a batch: texts that are written side by side are those that would have been written alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.base import Engine, Slots
from app.engine.batch import TextBatch, generate
from app.engine.batched_prompt import BatchedPrompt
from app.engine.bundle import Hparams
from app.engine.fake import FakeEngine
from app.engine.generation import GenerationOptions, TextDelta
from app.engine.onnx import session_options
from app.engine.prefix_cache import PrefixCache
from app.engine.sampling import Sampling
from app.engine.slots import OnnxSlots
from finetune.checkpoint import initial_weights
from finetune.export.batch_graph import build_batch_graph
from finetune.export.graph_builder import write_graph
from tests.fakes.history_engine import HistoryEngine

HPARAMS = Hparams(n_vocab=257, n_ctx=24, n_embd=16, n_head=2, n_layer=2)


class BatchGraphEngine(FakeEngine):
    """The tokens of the fake engine on a real graph for batches, with random weights."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        super().__init__(n_ctx=HPARAMS.n_ctx)
        self._session = session

    def slots(self, count: int, positions: int) -> Slots:  # type: ignore[override]
        return OnnxSlots(self._session, HPARAMS, count, positions)


@pytest.fixture(scope="module")
def batch_graph(tmp_path_factory: pytest.TempPathFactory) -> BatchGraphEngine:
    folder = tmp_path_factory.mktemp("graph")
    weights = {name: w * 8 if w.ndim > 1 else w for name, w in initial_weights(HPARAMS, seed=1).items()}
    scales = [(np.full(HPARAMS.n_embd, 0.02, np.float32), np.full(HPARAMS.n_embd, 0.03, np.float32))] * HPARAMS.n_layer
    write_graph(build_batch_graph(HPARAMS, weights, scales), folder / "batch.onnx", folder / "batch.onnx.data")
    return BatchGraphEngine(
        onnxruntime.InferenceSession(
            str(folder / "batch.onnx"), session_options(1), disabled_optimizers=["SkipLayerNormFusion"]
        )
    )


Request = tuple[list[int], GenerationOptions]
# Beginnings that prompts share, so that there is something to reuse.
BEGINNINGS = [[256], [7] * 9, [*range(11)], [*range(11), *range(50, 58)]]

options = st.builds(
    GenerationOptions,
    length=st.integers(0, 25),
    samples=st.integers(1, 3),
    seed=st.integers(0, 3),
    sampling=st.builds(
        Sampling,
        temperature=st.sampled_from([0, 0.2, 1.0]),
        top_k=st.sampled_from([0, 5]),
        repetition_penalty=st.sampled_from([1.0, 1.3]),
    ),
    stops=st.lists(st.sampled_from(["e", "a ", "\n"]), max_size=1),
    min_length=st.integers(0, 5),
    logprobs=st.sampled_from([None, 0, 2]),
    score_prompt=st.booleans(),
    reuse=st.booleans(),
)
prompts = st.builds(
    lambda beginning, rest: [*beginning, *rest],
    st.sampled_from(BEGINNINGS),
    st.lists(st.integers(0, 255), max_size=5),
)
requests = st.lists(st.tuples(prompts, options), min_size=1, max_size=5)


def texts(deltas: Sequence[TextDelta], samples: int) -> list[tuple[str, list[Any], list[Any]]]:
    """Each text, its scores and why it ended."""
    found: list[tuple[str, list[Any], list[Any]]] = [("", [], []) for _ in range(samples)]
    for delta in deltas:
        text, scores, reasons = found[delta.index]
        reason = [delta.finish_reason] if delta.finish_reason else []
        found[delta.index] = (text + delta.text, scores + list(delta.scored), reasons + reason)
    return found


def alone(engine: Engine, request: Request) -> list[tuple[str, list[Any], list[Any]]]:
    return texts(list(generate(engine, *request)), request[1].samples)


class Schedule:
    """Requests that come and go between passes, as was drawn. `removed` are those that were broken off."""

    def __init__(self, engine: Engine, rows: int, asked: Sequence[Request], draw: Iterator[int]) -> None:
        self.batch = TextBatch(engine, rows, prefixes=PrefixCache(10**6))
        self.removed: set[int] = set()
        self._asked = asked
        self._draw = draw
        self._added: list[BatchedPrompt] = []
        self._deltas: list[list[TextDelta]] = [[] for _ in asked]

    def run(self) -> list[list[TextDelta]]:
        while len(self._added) < len(self._asked) or self.batch.prompts:
            choice = next(self._draw)
            if choice % 3 == 0 and len(self._added) < len(self._asked):
                self._added.append(self.batch.add(*self._asked[len(self._added)]))
            if choice == 7 and self.batch.prompts:
                gone = self.batch.prompts[next(self._draw) % len(self.batch.prompts)]
                self.batch.remove(gone)
                self.removed.add(self._added.index(gone))
            self.batch.run()
            for number, prompt in enumerate(self._added):
                self._deltas[number] += prompt.take()
        return self._deltas


def check_a_schedule(engine: Engine, asked: Sequence[Request], rows: int, choices: Sequence[int]) -> None:
    draw = (choice for _ in range(10**6) for choice in choices)
    schedule = Schedule(engine, max(rows, *(each.samples for _, each in asked)), asked, draw)
    for number, (request, deltas) in enumerate(zip(asked, schedule.run(), strict=True)):
        expected, found = alone(engine, request), texts(deltas, request[1].samples)
        if number in schedule.removed:
            assert all(whole[0].startswith(part[0]) for whole, part in zip(expected, found, strict=True))
        else:
            assert found == expected
    schedule.batch.close()


sizes = st.tuples(st.integers(3, 9), st.integers(3, 30), st.integers(3, 9))
CHUNKS = ("CHUNK", "CHUNK_ALONE", "CHUNK_SCORED")


def with_pieces(patch: pytest.MonkeyPatch, pieces: Sequence[int]) -> None:
    for name, size in zip(CHUNKS, pieces, strict=True):
        patch.setattr(f"app.engine.batch.{name}", size)


@pytest.mark.parametrize("shares", [True, False])
@given(asked=requests, rows=st.integers(1, 6), choices=st.lists(st.integers(0, 9), min_size=1), pieces=sizes)
def test_a_text_is_the_same_alone_and_in_any_batch(
    shares: bool, asked: list[Request], rows: int, choices: list[int], pieces: tuple[int, int, int]
) -> None:
    """Whatever else is written, whenever it comes or goes, however prompts are cut, and whatever is reused of others."""
    engine = HistoryEngine(shares_passes=shares)
    if not shares:
        # There, what is reused changes the last bits.
        asked = [(tokens, GenerationOptions(**vars(each) | {"reuse": False})) for tokens, each in asked]
    with pytest.MonkeyPatch.context() as patch:
        with_pieces(patch, pieces)
        check_a_schedule(engine, asked, rows, [*choices, 0])


@pytest.mark.slow
@given(asked=requests, rows=st.integers(1, 6), choices=st.lists(st.integers(0, 9), min_size=1), pieces=sizes)
def test_a_real_graph_writes_the_same_texts_too(
    batch_graph: BatchGraphEngine, asked: list[Request], rows: int, choices: list[int], pieces: tuple[int, int, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_pieces(patch, pieces)
        check_a_schedule(batch_graph, asked, rows, [*choices, 0])


@pytest.mark.parametrize("kind", ["history", "graph"])
def test_the_next_turn_reuses_what_was_read_and_reads_what_was_written(
    request: pytest.FixtureRequest, kind: str
) -> None:
    """A token that was written has other last bits than one that was read, which would make the next turn another text."""
    engine = HistoryEngine() if kind == "history" else request.getfixturevalue("batch_graph")
    batch = TextBatch(engine, 1, prefixes=PrefixCache(10**6))
    for seed in range(10):
        first = GenerationOptions(length=8, seed=seed, reuse=True, logprobs=0, ignore_end=True)
        prompt = [seed, *range(9)]
        written = [score.token for delta in generate(engine, prompt, first, batch=batch) for score in delta.scored]
        turn = (prompt + written + [5], GenerationOptions(length=10, seed=seed, reuse=True, logprobs=5))
        assert texts(list(generate(engine, *turn, batch=batch)), 1) == alone(engine, turn)
    if isinstance(engine, HistoryEngine):
        assert [each.read for each in engine.passes].count(9) >= 9


@pytest.mark.parametrize("kind", ["exact", "batch_graph"])
def test_texts_of_a_real_model_are_the_same_whoever_writes_beside_them(
    request: pytest.FixtureRequest, kind: str
) -> None:
    """A graph with one position for all rows writes those of one request in a pass, and requests take turns."""
    asked = [
        ([*range(40, 40 + length)], GenerationOptions(length=length, samples=samples, seed=length, logprobs=1))
        for length, samples in [(9, 3), (22, 1), (17, 2), (3, 4)]
    ]
    check_a_schedule(request.getfixturevalue(kind), asked, 7, [0, 1, 2, 3])
