"""Slots: a text's bits depend on nothing but its own tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.base import Chunk, RowStep
from app.engine.bundle import Hparams
from app.engine.onnx import session_options
from app.engine.slots import OnnxSlots
from finetune.checkpoint import initial_weights
from finetune.export.batch_graph import build_batch_graph
from finetune.export.graph_builder import write_graph
from finetune.export.numpy_gpt2 import all_logits
from finetune.export.parity import compare_logits

HPARAMS = Hparams(n_vocab=97, n_ctx=48, n_embd=32, n_head=4, n_layer=3)
WEIGHTS = {name: w * 8 if w.ndim > 1 else w for name, w in initial_weights(HPARAMS, seed=1).items()}
READ, WRITTEN = 21, 4
TEXTS = np.random.default_rng(3).integers(0, HPARAMS.n_vocab, (4, READ + WRITTEN))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    folder = tmp_path_factory.mktemp("graph")
    scales = [(np.full(HPARAMS.n_embd, 0.02, np.float32), np.full(HPARAMS.n_embd, 0.03, np.float32))] * HPARAMS.n_layer
    write_graph(build_batch_graph(HPARAMS, WEIGHTS, scales), folder / "batch.onnx", folder / "batch.onnx.data")
    return onnxruntime.InferenceSession(
        str(folder / "batch.onnx"), session_options(1), disabled_optimizers=["SkipLayerNormFusion"]
    )


@pytest.fixture(scope="module")
def alone(session: onnxruntime.InferenceSession) -> list[np.ndarray]:
    """The logits of each text read at once and written alone: after its prompt and after each further token."""
    found = []
    for text in TEXTS:
        slots = OnnxSlots(session, HPARAMS, 1, HPARAMS.n_ctx)
        logits = [slots.run([], Chunk(0, text[:READ], 0))[0].copy()]
        logits += [slots.run([RowStep(0, text[at], at)], None)[0].copy() for at in range(READ, len(text))]
        found.append(np.stack(logits))
    return found


class Schedule:
    """Reads and writes the texts in an order that was drawn, and collects their logits."""

    def __init__(self, session: onnxruntime.InferenceSession, places: Sequence[int], draw: Iterator[int]) -> None:
        self.slots = OnnxSlots(session, HPARAMS, len(TEXTS) + 1, HPARAMS.n_ctx)
        self.places, self.draw = places, draw
        self.at = [0] * len(TEXTS)
        self.logits: list[list[np.ndarray]] = [[] for _ in TEXTS]

    def run(self) -> None:
        while any(at < len(text) for at, text in zip(self.at, TEXTS, strict=True)):
            rows = [i for i, at in enumerate(self.at) if READ <= at < READ + WRITTEN and next(self.draw) % 3]
            unread = [i for i, at in enumerate(self.at) if at < READ]
            reads = unread[next(self.draw) % len(unread)] if unread and next(self.draw) % 2 else None
            if rows or reads is not None:
                self.pass_over(rows, reads)

    def pass_over(self, rows: list[int], reads: int | None) -> None:
        chunk = None
        if reads is not None:
            piece = TEXTS[reads][self.at[reads] : min(READ, self.at[reads] + 1 + next(self.draw) % 9)]
            chunk = Chunk(self.places[reads], piece, self.at[reads])
        steps = [RowStep(self.places[i], int(TEXTS[i][self.at[i]]), self.at[i]) for i in rows]
        logits = self.slots.run(steps, chunk)
        for row, i in zip(logits, rows, strict=False):
            self.logits[i].append(row.copy())
            self.at[i] += 1
        if reads is not None and chunk is not None:
            self.at[reads] += len(chunk.tokens)
            if self.at[reads] == READ:
                self.logits[reads].append(logits[-1].copy())


@given(seed=st.integers(0, 2**32), places=st.permutations(range(len(TEXTS) + 1)))
def test_a_text_is_the_same_bits_in_any_schedule(
    session: onnxruntime.InferenceSession, alone: list[np.ndarray], seed: int, places: list[int]
) -> None:
    """Read in any pieces, in any slot, with any neighbours, in any order."""
    random = np.random.default_rng(seed)
    schedule = Schedule(session, places, iter(lambda: int(random.integers(2**16)), -1))
    schedule.run()
    for logits, expected in zip(schedule.logits, alone, strict=True):
        assert np.array_equal(np.stack(logits), expected)


def test_logits_are_near_the_exact_models(session: onnxruntime.InferenceSession, alone: list[np.ndarray]) -> None:
    for text, logits in zip(TEXTS, alone, strict=True):
        exact = all_logits(HPARAMS, WEIGHTS, text)[READ - 1 :]
        assert 0 < compare_logits(logits, exact).mean_kl < 0.05


def test_all_logits_of_a_chunk_on_request(session: onnxruntime.InferenceSession, alone: list[np.ndarray]) -> None:
    slots = OnnxSlots(session, HPARAMS, 2, HPARAMS.n_ctx)
    text = TEXTS[0][:READ]
    every = slots.run([], Chunk(1, text, 0, every=True)).copy()
    assert len(every) == READ
    assert np.array_equal(every[-1], alone[0][0])
    last = [slots.run([], Chunk(0, text[:end], 0))[0].copy() for end in range(1, READ + 1)]
    assert np.array_equal(every, np.stack(last))


def test_a_copied_beginning_goes_on_as_if_it_had_been_read(
    session: onnxruntime.InferenceSession, alone: list[np.ndarray]
) -> None:
    slots = OnnxSlots(session, HPARAMS, 3, HPARAMS.n_ctx)
    text = TEXTS[1]
    slots.run([], Chunk(2, text[:9], 0))
    slots.copy(2, 0, 9)
    slots.release(2)
    slots.run([], Chunk(2, TEXTS[2][:5], 0))
    assert np.array_equal(slots.run([], Chunk(0, text[9:READ], 9))[0], alone[1][0])
    assert np.array_equal(slots.run([RowStep(0, text[READ], READ)], None)[0], alone[1][1])


def test_the_last_position_of_a_slot_can_be_read_alone(session: onnxruntime.InferenceSession) -> None:
    slots = OnnxSlots(session, HPARAMS, 1, HPARAMS.n_ctx)
    text = np.resize(TEXTS, HPARAMS.n_ctx)
    whole = slots.run([], Chunk(0, text, 0))[0].copy()
    slots.run([], Chunk(0, text[:-1], 0))
    assert np.array_equal(slots.run([], Chunk(0, text[-1:], HPARAMS.n_ctx - 1))[0], whole)
