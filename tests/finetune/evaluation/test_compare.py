"""`compare` measures two models on the same text, whatever they are, and says whether they differ."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from app.engine.onnx import OnnxEngine
from app.engine.tensorflow import TensorflowEngine
from app.engine.uniform_slots import UniformSlots
from finetune.__main__ import main
from finetune.commands.compare import report_folder
from finetune.commands.prepare import prepare
from finetune.evaluation.model_comparison import bootstrap_interval
from finetune.evaluation.text_losses import text_losses
from tests.conftest import SENTENCES

QUICK = ["--samples", "2", "--length", "10"]


@pytest.mark.parametrize("in_pieces", [False, True])
def test_losses_are_what_the_logits_say(
    exact: OnnxEngine, reference: TensorflowEngine, monkeypatch: pytest.MonkeyPatch, in_pieces: bool
) -> None:
    """Texts of different lengths are read side by side, and each counts as if it were alone."""
    exact.load()
    session = exact._session
    assert session is not None
    monkeypatch.setattr(exact, "slots", lambda *size: UniformSlots(session, exact.hparams, *size))
    monkeypatch.setattr(exact, "shares_passes", in_pieces)
    texts = [*SENTENCES[:18], "", "Why"]
    first = exact.tokenizer.end_of_text or 0
    for text, loss in zip(texts, text_losses(exact, texts, "read"), strict=True):
        tokens = exact.tokenizer.encode(text)
        logits = reference.all_logits(np.array([first, *tokens])).astype(np.float64)[: len(tokens)]
        expected = np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(tokens)), tokens]
        assert loss == pytest.approx(expected.sum(), rel=1e-3, abs=1e-3)


@pytest.mark.slow
def test_a_run_is_compared_with_its_earlier_save(
    finished: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    both = [str(finished), str(finished / "model-8")]
    assert main(["compare", *both, "--data", str(data), "--out", str(out), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^ +run  run, step 8$", printed, re.MULTILINE)
    assert "run predicts the held-out text better, by" in printed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<title>run and run, step 8</title>" in page
    assert "<script" not in page
    found = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert found["low"] <= found["difference"] <= found["high"] < 0
    assert len(found["models"][0]["samples"]) == 2


def test_bundles_and_runs_compare_and_json_is_for_scripts(
    checkpoint: Path,
    bundles: dict[int, Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = [str(bundles[8]), str(checkpoint)]
    options = ["--data", str(data), "--out", str(tmp_path / "report"), "--json", *QUICK]
    assert main(["compare", *both, *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [model["title"] for model in found["models"]] == ["tiny8", "run1"]
    assert abs(found["difference"]) < 0.1


@pytest.mark.parametrize(
    ("titles", "folder"),
    [
        (("jokes", "jokes, best save"), "reports/jokes-and-jokes-best-save"),
        (("checkpoint/jokes", "models/jokes"), "reports/checkpoint-jokes-and-models-jokes"),
        (("/tmp/a run/jokes", "../jokes"), "reports/tmp-a-run-jokes-and-..-jokes"),
    ],
)
def test_the_report_is_one_folder_in_reports(titles: tuple[str, str], folder: str) -> None:
    """Two models of one name are called by their paths, which once were folders: outside reports/ if they were absolute."""
    assert report_folder(titles) == Path(folder)


def test_documents_decide_how_sure_a_difference_is() -> None:
    sizes = np.full(50, 100.0)
    low, high = bootstrap_interval(np.full(50, 10.0), sizes)
    assert (low, high) == pytest.approx((0.1, 0.1))
    low, high = bootstrap_interval(np.where(np.arange(50) % 2, 30.0, -30.0), sizes)
    assert low is not None
    assert high is not None
    assert low < 0 < high
    assert bootstrap_interval(np.ones(1), np.ones(1)) == (None, None)


def test_what_cannot_be_compared_is_one_sentence(
    checkpoint: Path, bundles: dict[int, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text(SENTENCES[0], encoding="utf-8")
    prepare([str(tmp_path / "text.txt")], out=tmp_path / "all", vocabulary=checkpoint, validation=0)
    capsys.readouterr()
    one, other, out = str(checkpoint), str(bundles[8]), ["--out", str(tmp_path / "report")]
    for arguments, sentence in {
        (one, one, "--data", str(data)): f"{one} is named twice: name two models.",
        (one, other): "--data is needed: name the folder that `prepare` wrote",
        (one, other, "--data", str(tmp_path / "all")): f"{tmp_path / 'all'} holds out no documents",
        (one, other, "--data", str(data), "--samples", "0"): "--samples is 0",
    }.items():
        assert main(["compare", *arguments, *out]) == 2
        assert f"error: {sentence}" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
