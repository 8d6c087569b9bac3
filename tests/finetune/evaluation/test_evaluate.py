"""`evaluate` writes a report of what it measured, or one sentence says why not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from app.errors import CheckpointError, DataError, SettingError
from finetune.checkpoint import initial_weights, read_weights, write_checkpoint
from finetune.commands.evaluate import evaluate
from finetune.commands.prepare import prepare
from finetune.run_folder import RunFolder
from tests.conftest import SENTENCES, write_tiny


def test_the_report_has_all_figures(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports" / "tiny"
    evaluate(checkpoint, data, out, samples=6, length=20, seed=1, bits=32)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["step"] == 7
    assert report["validation"]["perplexity"] > 1
    assert report["texts"]["human"]["variety"]["texts"] == 6
    assert len(report["samples"]) == 6
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "perplexity" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    evaluate(checkpoint, data, out, samples=2, length=20)
    assert len(json.loads((out / "report.json").read_text(encoding="utf-8"))["samples"]) == 2


def test_texts_are_escaped_in_html(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    evaluate(checkpoint, data, tmp_path / "report", samples=2, length=20, prefix="<b onclick=x>&", bits=32)
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;&amp;" in page


def test_the_report_says_when_there_is_no_validation_text(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(SENTENCES[0], encoding="utf-8")
    prepare([str(tmp_path / "text.txt")], out=tmp_path / "data", vocabulary=checkpoint, validation=0)
    evaluate(checkpoint, tmp_path / "data", tmp_path / "report", samples=2, length=20)
    report = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert report["validation"] is None
    assert "The data holds out no documents" in (tmp_path / "report/report.html").read_text(encoding="utf-8")


def test_the_report_of_a_run_shows_its_losses(finished: Path, data: Path, tmp_path: Path) -> None:
    evaluate(finished, data, tmp_path / "report", samples=2, length=20, bits=32)
    report = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert [entry["step"] for entry in report["log"]] == list(range(1, 13))
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "The loss during training." in page
    assert "<span>gpt2</span> <span>train</span>" in page, "the loss is still falling"
    assert "Texts at temperature 1.1" in page
    assert report["surprising"][0]["nats"] >= report["surprising"][-1]["nats"]
    assert "".join(piece["text"] for piece in report["marked"][0]) == report["samples"][0]


@pytest.mark.slow
def test_the_report_of_the_best_save_is_named_after_its_run(finished: Path, data: Path, tmp_path: Path) -> None:
    """Its title was "best"."""
    evaluate(finished / "best", data, tmp_path / "report", samples=2, length=20, bits=32)
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "<title>run, best save</title>" in page
    assert f"<span>--out</span> <span>{finished}</span>" in page, "the run is trained longer, not its best save"
    found = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    steps = [entry.step for entry in RunFolder(finished).log()]
    assert [entry["step"] for entry in found["log"]] == steps, "what came after the best save says whether to go on"
    assert not re.search(r"\d %", page), "a line may end between a number and its unit"


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (1e6, r"^the model's loss is [\d,]+ nats per token, so its training has failed: evaluate an earlier save, or"),
        (np.inf, r"model/wte holds numbers that are not finite: use an earlier save\.$"),
    ],
)
def test_a_model_whose_training_failed_is_one_sentence(
    checkpoint: Path, data: Path, tmp_path: Path, factor: float, sentence: str
) -> None:
    """exp(loss) was infinite, which JSON does not have, so that the report said null."""
    source = open_checkpoint(checkpoint)
    weights = read_weights(source)
    write_checkpoint(
        tmp_path / "run", source.hparams, weights | {"wte": weights["wte"] * np.float32(factor)}, checkpoint, step=7
    )
    with pytest.raises(CheckpointError, match=sentence):
        evaluate(tmp_path / "run", data, tmp_path / "report", samples=2, length=20, bits=32)
    assert not (tmp_path / "report").exists()


def test_bad_options_are_one_sentence(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--n is 30 and should be between 3 and --length, which is 20"):
        evaluate(checkpoint, data, tmp_path / "report", length=20, n=30)
    with pytest.raises(SettingError, match="--samples is 0"):
        evaluate(checkpoint, data, tmp_path / "report", samples=0)
    with pytest.raises(DataError, match="is not prepared data"):
        evaluate(checkpoint, tmp_path / "none", tmp_path / "report")
    write_tiny(tmp_path / "other")
    merges = (tmp_path / "other/vocab.bpe").read_text(encoding="utf-8").splitlines()
    (tmp_path / "other/vocab.bpe").write_text("\n".join(merges[:-1]), encoding="utf-8")
    hparams = Hparams(n_vocab=300, n_ctx=64, n_embd=32, n_head=4, n_layer=3)
    write_checkpoint(tmp_path / "other", hparams, initial_weights(hparams), vocabulary=tmp_path / "other")
    with pytest.raises(DataError, match="prepared with another vocabulary"):
        evaluate(tmp_path / "other", data, tmp_path / "report")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    with pytest.raises(SettingError, match="exists and is not a report"):
        evaluate(checkpoint, data, tmp_path / "mine", samples=1, length=20)
