"""The graph for batches, served: a text is the same alone, among others, and with a prefix that was read before."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.base import start_tokens
from app.engine.batch import TextBatch, generate
from app.engine.bundle import open_bundle
from app.engine.generation import GenerationOptions, TextDelta, prepare
from app.engine.onnx import OnnxEngine
from app.engine.prefix_cache import PrefixCache
from app.engine.sampling import Sampling
from tests.conftest import events, serving

PROMPTS = ["Why did the duck cross the road?", "Yes", "It had a bill", "W", "a bill to pay. It had"]


@pytest.fixture
def batched(bundles: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> OnnxEngine:
    """On any processor."""
    monkeypatch.setattr("app.engine.onnx.batches_fast", lambda rows, weight_bytes: rows >= 2)
    return OnnxEngine(open_bundle(bundles[8]), threads=1, rows=8)


def asked(seed: int, **changes: object) -> GenerationOptions:
    return GenerationOptions(length=30, seed=seed, sampling=Sampling(temperature=1), logprobs=2, **changes)  # type: ignore[arg-type]


def scored(deltas: list[TextDelta]) -> list[object]:
    """Tokens and their logprobs: equal only where the logits are, to the bit."""
    return [(score.token, score.logprob, score.likeliest) for delta in deltas for score in delta.scored]


def alone(engine: OnnxEngine, seed: int, **changes: object) -> list[object]:
    options = asked(seed, **changes)
    return scored(list(generate(engine, prepare(engine, PROMPTS[seed], options), options)))


def test_texts_in_a_batch_are_those_written_alone(batched: OnnxEngine) -> None:
    assert batched.shares_passes
    batch = TextBatch(batched, rows=3)
    prompts = [batch.add(start_tokens(batched, text), asked(seed)) for seed, text in enumerate(PROMPTS)]
    found: list[list[object]] = [[] for _ in prompts]
    while batch.prompts:
        batch.run()
        for number, prompt in enumerate(prompts):
            found[number] += scored(prompt.take())
    assert all(found)
    assert found == [alone(batched, seed) for seed in range(len(PROMPTS))]


def test_the_prompts_logprobs_do_not_change_the_text(batched: OnnxEngine) -> None:
    plain, with_prompt = alone(batched, 0), alone(batched, 0, score_prompt=True)
    assert len(with_prompt) > len(plain)
    assert with_prompt[-len(plain) :] == plain


def test_a_reused_prefix_changes_nothing(batched: OnnxEngine) -> None:
    batch = TextBatch(batched, rows=2, prefixes=PrefixCache(2**30))
    written = []
    for seed in (0, 0):
        prompt = batch.add(start_tokens(batched, PROMPTS[0]), asked(seed, reuse=True))
        while batch.prompts:
            batch.run()
        written.append(scored(prompt.take()))
    assert written[0] == written[1] == alone(batched, 0)
    batch.close()


def test_few_rows_take_the_main_graph(bundles: dict[int, Path], batched: OnnxEngine) -> None:
    assert not OnnxEngine(open_bundle(bundles[8]), threads=1, rows=1).shares_passes
    assert not OnnxEngine(open_bundle(bundles[4]), threads=1, rows=8).shares_passes
    exact = OnnxEngine(open_bundle(bundles[32]), threads=1, rows=8)
    assert batched.slot_bytes(64) < exact.slot_bytes(64)


def test_requests_that_come_together_get_the_texts_that_each_would_get_alone(batched: OnnxEngine) -> None:
    """Over HTTP, streamed or not: a seed promised the same text only while nobody else wrote."""
    asked = [{"prefix": text, "length": 30, "seed": seed, "nsamples": 2} for seed, text in enumerate(PROMPTS)]
    with serving(batched, concurrency=4) as url, ThreadPoolExecutor(len(asked)) as clients:
        alone = [httpx.post(url, json=body).json()["texts"] for body in asked]
        together = clients.map(lambda body: httpx.post(url, json=body, timeout=60).json()["texts"], asked)
        streamed = clients.map(lambda body: streamed_texts(url, body), asked)
        assert [*together] == alone
        assert [*streamed] == alone


def streamed_texts(url: str, body: dict[str, Any]) -> list[str]:
    texts = [""] * body["nsamples"]
    *found, _ = events(httpx.post(url, json=body | {"stream": True}, timeout=60).text)
    for event in map(json.loads, found):
        texts[event.get("index", 0)] += event.get("text", "")
    return texts
