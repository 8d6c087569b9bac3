"""The generation loop, on the fake engine with known logits and on the tiny real model."""

from __future__ import annotations

import numpy as np
import pytest

from app.engine.base import Engine
from app.engine.batch import generate
from app.engine.bundle import EndMarker
from app.engine.fake import SCRIPT, FakeEngine
from app.engine.generation import GenerationOptions, TextDelta, TokenScore, prepare
from app.engine.onnx import OnnxEngine
from app.engine.sampling import Sampling, log_softmax
from app.engine.tensorflow import TensorflowEngine
from app.errors import BatchTooLarge, PromptTooLong

GREEDY = Sampling(temperature=0)


def write(engine: Engine, prompt: str = "", **options: object) -> list[TextDelta]:
    asked = GenerationOptions(**options)  # type: ignore[arg-type]
    return list(generate(engine, prepare(engine, prompt, asked), asked))


def texts(pieces: list[TextDelta]) -> list[str]:
    rows = 1 + max(piece.index for piece in pieces)
    return ["".join(piece.text for piece in pieces if piece.index == row) for row in range(rows)]


def test_length_counts_new_tokens_only() -> None:
    """Fixed: the prompt was counted too, so a long prompt came back without any new text."""
    pieces = write(FakeEngine(), "x" * 500, length=10)
    assert texts(pieces) == [SCRIPT[:10]]
    assert pieces[-1].finish_reason == "length"


def test_the_end_token_ends_the_text() -> None:
    pieces = write(FakeEngine(script=""), length=10)
    assert [(piece.text, piece.finish_reason) for piece in pieces] == [("", "stop")]


def test_the_end_string_of_gpt_2_simple_ends_the_text_and_is_not_shown() -> None:
    engine = FakeEngine(script="Yes.<|endoftext|>No.")
    engine.end = EndMarker(text="<|endoftext|>")
    pieces = write(engine, length=100)
    assert texts(pieces) == ["Yes."]
    assert pieces[-1].finish_reason == "stop"


def test_truncate_strips_leading_newlines_and_then_cuts() -> None:
    assert texts(write(FakeEngine(script="\n\nHello\nworld"), truncate="\n", length=50)) == ["Hello"]


def test_a_seed_repeats_its_text(exact: OnnxEngine) -> None:
    first, again, other = (texts(write(exact, "Why", length=40, seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_samples_of_a_batch_are_different_texts(exact: OnnxEngine) -> None:
    one = texts(write(exact, "Why", length=30, seed=3))
    three = texts(write(exact, "Why", length=30, seed=3, samples=3))
    assert three[0] == one[0]
    assert len(set(three)) == 3


def test_rows_end_on_their_own() -> None:
    """One text of a batch ends at its end marker while the others go on."""
    engine = FakeEngine(script="ab", doubt=0.9)
    pieces = write(engine, samples=4, length=400, sampling=Sampling(temperature=1.0), seed=1)
    lengths = {row: sum(piece.index == row for piece in pieces) for row in range(4)}
    assert len(set(lengths.values())) > 1
    assert [piece.finish_reason for piece in pieces].count("stop") >= 1
    assert len([piece for piece in pieces if piece.finish_reason]) == 4


def test_the_window_slides_when_it_is_full(exact: OnnxEngine) -> None:
    pieces = write(exact, "Why", length=5 * exact.n_ctx, seed=2, samples=2)
    reasons = [piece.finish_reason for piece in pieces if piece.finish_reason]
    assert reasons == ["length", "length"]
    assert len(pieces) == 2 * 5 * exact.n_ctx


def test_a_prompt_may_fill_the_window(exact: OnnxEngine) -> None:
    prompt = "a " * (exact.n_ctx // 2)
    assert len(write(exact, prompt, length=3)) == 3


def test_a_prompt_longer_than_the_window_is_refused(exact: OnnxEngine) -> None:
    with pytest.raises(PromptTooLong) as caught:
        write(exact, "a " * exact.n_ctx)
    assert (caught.value.n_prompt_tokens, caught.value.n_ctx) == (exact.n_ctx + 1, exact.n_ctx)


def test_a_batch_larger_than_memory_is_refused() -> None:
    with pytest.raises(BatchTooLarge, match="come to 100100 tokens and 8192 fit in memory"):
        write(FakeEngine(), samples=100, length=1000)


def test_a_model_that_ends_with_a_token_begins_with_it(exact: OnnxEngine) -> None:
    fake = FakeEngine()
    assert prepare(fake, "a", GenerationOptions()) == [256, 97]
    assert prepare(exact, "", GenerationOptions()) == [exact.tokenizer.end_of_text]
    assert prepare(exact, "a", GenerationOptions()) == exact.tokenizer.encode("a")


def test_penalties_change_what_is_written(exact: OnnxEngine) -> None:
    plain = texts(write(exact, "Why", length=40, sampling=GREEDY))
    penalized = texts(write(exact, "Why", length=40, sampling=Sampling(temperature=0, repetition_penalty=3.0)))
    assert plain != penalized


class Ending(FakeEngine):
    """Ends every text after its script, unless the options forbid it."""

    def __init__(self, script: str) -> None:
        super().__init__(script)
        self.script.append(256)


def test_bias_forces_and_forbids() -> None:
    forced = write(FakeEngine(), length=3, bias={ord("x"): 100.0}, sampling=GREEDY)
    assert texts(forced) == ["xxx"]
    forbidden = write(FakeEngine(doubt=0.5), length=40, bias={ord("T"): -100.0}, seed=1)
    assert "T" not in texts(forbidden)[0]


def test_a_text_does_not_end_before_its_minimum() -> None:
    assert len(write(Ending("ab"), length=20, sampling=GREEDY)) == 3
    pieces = write(Ending("ab"), length=20, min_length=10, sampling=Sampling(temperature=0.1))
    assert len(pieces) > 10
    assert len(write(FakeEngine(), length=60, min_length=20, stops=["quick"], sampling=GREEDY)) == len(SCRIPT) + 9


def test_the_end_may_be_ignored_and_is_never_shown() -> None:
    pieces = write(Ending("ab"), length=6, ignore_end=True, sampling=GREEDY, logprobs=0)
    assert (texts(pieces), pieces[-1].finish_reason) == (["abab"], "length")
    assert [scored.token for piece in pieces for scored in piece.scored] == [*b"abab"]


@pytest.mark.parametrize(("include", "text"), [(False, "The "), (True, "The q")])
def test_a_stop_token_ends_the_text(include: bool, text: str) -> None:
    pieces = write(FakeEngine(), length=20, stop_tokens=[ord("q")], include_stop=include, sampling=GREEDY)
    assert (texts(pieces), pieces[-1].finish_reason) == ([text], "stop")


@pytest.mark.parametrize(("include", "text"), [(False, "The "), (True, "The quick")])
def test_a_stop_string_may_be_part_of_the_text(include: bool, text: str) -> None:
    pieces = write(FakeEngine(), length=20, stops=["quick"], include_stop=include, sampling=GREEDY)
    assert texts(pieces) == [text]


def test_a_mark_is_never_part_of_the_text() -> None:
    pieces = write(FakeEngine(), length=20, tags=["quick"], stops=["fox"], include_stop=True, sampling=GREEDY)
    assert texts(pieces) == ["The"]


@pytest.mark.parametrize("length", range(5, 20))
def test_no_part_of_an_end_marker_is_shown_where_the_length_cuts_it(length: int) -> None:
    """The string that gpt-2-simple's models end with is seven tokens: a text that was cut within them ended with <|endof."""
    engine = FakeEngine(script="Yes.<|endoftext|>No.")
    engine.end = EndMarker(text="<|endoftext|>")
    assert texts(write(engine, length=length, sampling=GREEDY)) == ["Yes."]


def test_a_mark_that_is_broken_off_has_no_score_either() -> None:
    pieces = write(FakeEngine(), length=7, tags=["quick"], logprobs=0, sampling=GREEDY)
    assert (texts(pieces), pieces[-1].finish_reason) == (["The"], "length")
    assert bytes(scored.token for piece in pieces for scored in piece.scored) == b"The"


def test_tokens_are_scored_when_they_are_shown() -> None:
    """Tokens of a stop string that is not shown have no score; tokens that are held back get theirs when they are shown."""
    pieces = write(FakeEngine(), length=20, stops=["quick", "The cat"], logprobs=0, sampling=GREEDY)
    shown = ""
    for piece in pieces:
        assert [scored.start for scored in piece.scored] == [*range(len(shown), len(shown) + len(piece.text))]
        assert bytes(scored.token for scored in piece.scored).decode() == piece.text
        shown += piece.text
    assert shown == "The "


def scored(pieces: list[TextDelta]) -> list[TokenScore]:
    return [each for piece in pieces for each in piece.scored]


def test_scores_do_not_depend_on_the_sampling(exact: OnnxEngine, reference: TensorflowEngine) -> None:
    """They equal those of TensorFlow, which reads prompt and text at once."""
    sampling = Sampling(temperature=1.5, top_k=20, repetition_penalty=1.3)
    pieces = write(exact, "Why did the duck", length=12, seed=4, logprobs=3, score_prompt=True, sampling=sampling)
    found = scored(pieces)
    tokens = np.array([each.token for each in found])
    logits = reference.all_logits(tokens)
    assert found[0].logprob is None
    assert not found[0].likeliest
    for each, row in zip(found[1:], logits, strict=False):
        logs = log_softmax(row)
        assert each.logprob == pytest.approx(float(logs[each.token]), abs=1e-3)
        assert [token for token, _ in each.likeliest] == np.argsort(-logs)[:3].tolist()
    assert sum(piece.tokens for piece in pieces) == 12
    prompt = exact.tokenizer.encode("Why did the duck")
    starts = [len(exact.tokenizer.decode(prompt[:number])) for number in range(len(prompt) + 1)]
    assert [each.start for each in found[: len(prompt) + 1]] == starts


def test_a_text_of_length_0_has_no_tokens() -> None:
    pieces = write(FakeEngine(), "Why", length=0, samples=2)
    assert [(piece.index, piece.text, piece.finish_reason, piece.tokens) for piece in pieces] == [
        (0, "", "length", 0),
        (1, "", "length", 0),
    ]
