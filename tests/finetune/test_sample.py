"""`sample` prints what the app would serve, from a checkpoint or a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.engine.batch import generate
from app.engine.generation import GenerationOptions, prepare
from app.engine.onnx import OnnxEngine
from app.engine.sampling import Sampling
from app.errors import SettingError
from finetune.__main__ import main
from finetune.commands.sample import print_pieces, sample
from finetune.export.checkpoint_engine import engine_for
from finetune.sampled_texts import sample_texts
from finetune.writing_options import WritingOptions


def test_it_prints_what_the_app_would_serve(
    checkpoint: Path, exact: OnnxEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    sample(str(checkpoint), prefix="Why", options=WritingOptions(length=20, seed=3), bits=32)
    options = GenerationOptions(length=20, seed=3, sampling=Sampling(temperature=0.7))
    served = "".join(piece.text for piece in generate(exact, prepare(exact, "Why", options), options))
    assert capsys.readouterr().out == f"Why{served}\n"


def test_a_bundle_writes_what_its_checkpoint_does(
    checkpoint: Path, bundles: dict[int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for folder in (checkpoint, bundles[32]):
        sample(str(folder), options=WritingOptions(length=20, seed=3), bits=32)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_a_text_moves_no_cursor_and_a_file_has_it_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of bytes writes any of them, also those that a terminal takes as commands."""
    print_pieces(["a\x1b[2J", "b\n"])
    assert capsys.readouterr().out == "a\x1b[2Jb\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_pieces(["a\x1b[2J", "b\n"])
    assert capsys.readouterr().out == "a�[2Jb\n"


def test_several_texts_are_separated_as_in_gpt_2_simple(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample(str(checkpoint), prefix="Why", nsamples=3, options=WritingOptions(length=10, seed=1))
    texts = capsys.readouterr().out.split("====================\n")
    assert texts.pop() == ""
    assert len(set(texts)) == 3
    assert all(text.startswith("Why") for text in texts)


def test_more_texts_than_fit_in_memory_are_written_in_batches(
    exact: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "max_positions", 30)
    shares: list[float] = []
    options = GenerationOptions(length=10)
    texts = [sampled.text for sampled in sample_texts(exact, "Why", 7, options, written=shares.append)]
    assert sum(shares) == pytest.approx(7), "the bar stood at 1 of 100 until all texts of a batch were there"
    assert len(shares) > 7
    assert len(texts) == len(set(texts)) == 7


def test_the_temporary_bundle_is_removed(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with engine_for(checkpoint) as engine:
        assert engine.n_ctx == 64
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"length": 0}, "--length is 0"),
        ({"temperature": float("nan")}, "--temperature is nan"),
        ({"top_p": 1.5}, "--top-p is 1.5 and should be at least 0 and at most 1."),
        ({"repetition_penalty": 0.0}, "--repetition-penalty is 0.0 and should be above 0 and at most 100."),
        ({"seed": -1}, "--seed is -1 and should be at least 0"),
        ({"nsamples": 0}, "--nsamples is 0 and should be at least 1."),
        ({"prefix": "duck " * 80}, "the model's window holds 64: shorten it."),
        ({"end": "300"}, "--end is token 300 and the vocabulary has 300"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_options_are_one_sentence(checkpoint: Path, options: dict[str, object], sentence: str) -> None:
    given = {name: options.pop(name) for name in ("prefix", "nsamples", "end") if name in options}
    with pytest.raises(SettingError) as refused:
        sample(str(checkpoint), options=WritingOptions(**options), **given)  # type: ignore[arg-type]
    assert sentence in str(refused.value)


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--checkpoint", str(tmp_path / "nothing")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is not a folder" in said
