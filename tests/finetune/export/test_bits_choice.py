"""`export --bits auto`: the fewest bits that stray little enough, and what was measured is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.engine.bundle import BATCH, open_bundle
from app.errors import SettingError
from finetune.__main__ import main
from finetune.commands.export import export
from finetune.export.parity import LIMITS


def chosen(checkpoint: Path, out: Path, divergence: float, printed: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The bits of the bundle, and what was printed."""
    export(checkpoint, out, bits="auto", divergence=divergence)
    return open_bundle(out).manifest.bits, printed.readouterr().out


@pytest.mark.slow
def test_the_fewest_bits_within_the_divergence_are_chosen(
    sentence_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is left of a bundle that strayed too far, not even its graph for batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.export.quantization.SMALL_MODEL_BYTES", 0)
        bits, printed = chosen(sentence_run, tmp_path / "models" / "a", 1e-12, capsys)
    found = dict(re.findall(r"^(\d+) bits stray by (\S+) nats per token on held-out data$", printed, re.MULTILINE))
    assert (bits, list(found)) == (32, ["4", "8", "32"])
    assert not [name for name in BATCH if (tmp_path / "models" / "a" / name).exists()]
    four, eight, exact = (float(each) for each in found.values())
    assert exact < eight < four
    assert chosen(sentence_run, tmp_path / "models" / "a", 1.1 * four, capsys)[0] == 4
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["DEFAULT", "a"]


@pytest.mark.slow
def test_without_held_out_data_the_model_writes_the_text(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bits, printed = chosen(checkpoint, tmp_path / "a", 10.0, capsys)
    assert bits == 4
    assert "nats per token on sampled text\n" in printed


@pytest.mark.slow
def test_a_bundle_that_strays_beyond_all_measure_is_passed_over(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --bits 4 it is refused, and then more bits are advised."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LIMITS, 4, 0.0)
        bits, printed = chosen(checkpoint, tmp_path / "a", 10.0, capsys)
    assert bits == 8
    assert "4 bits: the bundle strays from TensorFlow by " in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bits", "auto", "--format", "gguf"], "--bits is auto, which is for bundles, and --format is gguf: "),
        (["--bits", "auto", "--divergence", "0"], "--divergence is 0: give the nats per token"),
        (["--bits", "auto", "--divergence", "nan"], "--divergence is nan: give the nats per token"),
        (["--divergence", "0.1"], "--divergence is 0.1, which is for --bits auto: "),
        (["--bits", "8", "--divergence", "0.1"], "--divergence is 0.1, which is for --bits auto: "),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    checkpoint: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(checkpoint), str(tmp_path / "a"), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not (tmp_path / "a").exists()


def test_a_divergence_is_a_number(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is inf"):
        export(checkpoint, tmp_path / "a", bits="auto", divergence=float("inf"))
