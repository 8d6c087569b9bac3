"""A checkpoint becomes a GGUF file that holds the same model, and a Modelfile that says how to talk to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import SettingError
from finetune.__main__ import main
from finetune.checkpoint import read_weights
from finetune.commands.export import export
from finetune.export.profile_options import ProfileOptions
from finetune.formats.gguf import tensor_name
from tests.conftest import write_tiny


@pytest.fixture(scope="session")
def files(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("gguf")
    for bits in (32, 8, 4):
        export(checkpoint, folder / f"tiny{bits}", bits=bits, format="gguf")
    return {bits: folder / f"tiny{bits}" / f"tiny{bits}.gguf" for bits in (32, 8, 4)}


def field(reader: GGUFReader, name: str) -> Any:
    found = reader.get_field(name)
    assert found is not None, f"{name} is missing"
    return found.contents()


def restored(reader: GGUFReader) -> dict[str, np.ndarray]:
    return {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}


def test_tensors_have_llama_cpps_names(files: dict[int, Path]) -> None:
    """Those that llama.cpp's loader asks for. Without an output.weight it uses the embedding."""
    names = {tensor.name for tensor in GGUFReader(files[8]).tensors}
    parts = ("attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down")
    blocks = {f"blk.{n}.{part}.{kind}" for n in range(3) for part in parts for kind in ("weight", "bias")}
    ends = {"token_embd.weight", "position_embd.weight", "output_norm.weight", "output_norm.bias"}
    assert names == blocks | ends


def test_the_shape_and_the_vocabulary(files: dict[int, Path], checkpoint: Path) -> None:
    reader = GGUFReader(files[8])
    expected = {
        "general.architecture": "gpt2",
        "general.name": "tiny8",
        "general.file_type": 7,
        "gpt2.context_length": 64,
        "gpt2.embedding_length": 32,
        "gpt2.feed_forward_length": 128,
        "gpt2.block_count": 3,
        "gpt2.attention.head_count": 4,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.add_bos_token": False,
    }
    assert {name: field(reader, name) for name in expected} == expected
    assert field(reader, "gpt2.attention.layer_norm_epsilon") == pytest.approx(1e-5)
    vocabulary = json.loads((checkpoint / "encoder.json").read_text())
    assert field(reader, "tokenizer.ggml.tokens") == sorted(vocabulary, key=vocabulary.__getitem__)
    assert field(reader, "tokenizer.ggml.merges") == (checkpoint / "vocab.bpe").read_text().split("\n")[1:-1]
    end = open_checkpoint(checkpoint).tokenizer.end_of_text
    assert field(reader, "tokenizer.ggml.eos_token_id") == field(reader, "tokenizer.ggml.bos_token_id") == end
    types = field(reader, "tokenizer.ggml.token_type")
    assert [token for token, kind in enumerate(types) if kind == 3] == [end]


def test_32_bits_are_exact(files: dict[int, Path], checkpoint: Path) -> None:
    tensors = restored(GGUFReader(files[32]))
    for name, weight in read_weights(open_checkpoint(checkpoint)).items():
        assert np.array_equal(tensors[tensor_name(name)], weight[0].T if name.endswith("/w") else weight)


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 1 / 127 / 2), (4, 1 / 8)])
def test_rounding_is_within_a_step_of_the_largest_of_its_block(
    files: dict[int, Path], checkpoint: Path, bits: int, tolerance: float
) -> None:
    tensors = restored(GGUFReader(files[bits]))
    for name, weight in read_weights(open_checkpoint(checkpoint)).items():
        rows = weight[0].T if name.endswith("/w") else weight
        if name == "wpe" or rows.ndim == 1:
            assert np.array_equal(tensors[tensor_name(name)], rows)
            continue
        blocks = rows.reshape(len(rows), -1, 32)
        error = np.abs(tensors[tensor_name(name)].reshape(blocks.shape) - blocks)
        # Scales have 11 bits of their own.
        assert (error <= np.abs(blocks).max(axis=-1, keepdims=True) * (tolerance + 2**-11) * 1.001).all()


def test_the_head_of_a_4_bit_file_has_8(files: dict[int, Path]) -> None:
    kinds = {tensor.name: tensor.tensor_type for tensor in GGUFReader(files[4]).tensors}
    assert kinds["token_embd.weight"] == GGMLQuantizationType.Q8_0
    assert kinds["blk.0.ffn_up.weight"] == GGMLQuantizationType.Q4_0
    assert kinds["position_embd.weight"] == kinds["blk.0.ffn_up.bias"] == GGMLQuantizationType.F32


def test_rows_that_blocks_do_not_divide_stay_in_16_bits(tmp_path: Path) -> None:
    """At width 48, blocks of 32 divide only the rows of the projection from 4 · 48."""
    write_tiny(tmp_path / "run", n_embd=48, n_head=3, n_layer=1)
    export(tmp_path / "run", tmp_path / "out", bits=8, format="gguf")
    kinds = {tensor.name: tensor.tensor_type for tensor in GGUFReader(tmp_path / "out" / "out.gguf").tensors}
    assert kinds["token_embd.weight"] == kinds["blk.0.attn_qkv.weight"] == GGMLQuantizationType.F16
    assert kinds["blk.0.ffn_down.weight"] == GGMLQuantizationType.Q8_0


def test_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    """The default is 8 bits."""
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "mine"), "--format", "gguf"]) == 0
    assert field(GGUFReader(tmp_path / "mine" / "mine.gguf"), "general.file_type") == 7


OLLAMA = (
    '{{ $last := "" }}{{ range .Messages }}{{ if .Content }}'
    '{{ $speaker := "person" }}{{ if eq .Role "assistant" }}{{ $speaker = "model" }}{{ end }}'
    "{{ if eq $speaker $last }}\n{{ else }}"
)
MODELFILES = {
    (
        "text",
        "<|endoftext|>",
    ): 'TEMPLATE """{{ .Prompt }}"""\nPARAMETER num_ctx 64\nPARAMETER stop """<|endoftext|>"""\n',
    ("qa", "299"): (
        f'TEMPLATE """{OLLAMA}'
        '{{ if $last }}\n{{ end }}{{ if eq $speaker "model" }}[ANSWER] {{ else }}[QUESTION] {{ end }}'
        '{{ end }}{{ .Content }}{{ $last = $speaker }}{{ end }}{{ end }}\n[ANSWER]"""\n'
        'PARAMETER num_ctx 64\nPARAMETER stop """[QUESTION]"""\nPARAMETER stop """[ANSWER]"""\n'
    ),
    ("chat", "299"): (
        f'TEMPLATE """{OLLAMA}'
        '{{ if $last }}END{{ end }}{{ if eq $speaker "model" }}{{ else }}{{ end }}'
        '{{ end }}{{ .Content }}{{ $last = $speaker }}{{ end }}{{ end }}END"""\nPARAMETER num_ctx 64\n'
    ),
    ("chat", "[END]"): (
        f'TEMPLATE """{OLLAMA}'
        '{{ if $last }}[END]{{ end }}{{ if eq $speaker "model" }}{{ else }}{{ end }}'
        '{{ end }}{{ .Content }}{{ $last = $speaker }}{{ end }}{{ end }}[END]"""\n'
        'PARAMETER num_ctx 64\nPARAMETER stop """[END]"""\n'
    ),
}


@pytest.mark.parametrize(("template", "end"), MODELFILES)
def test_the_modelfile(checkpoint: Path, tmp_path: Path, template: Any, end: str) -> None:
    export(checkpoint, tmp_path / "mine", end=end, format="gguf", profile=ProfileOptions(template=template))
    expected = MODELFILES[template, end]
    if end == "299":
        expected = expected.replace("END", open_checkpoint(checkpoint).tokenizer.decode([299]))
    assert (tmp_path / "mine" / "Modelfile").read_text() == "FROM ./mine.gguf\n" + expected
    reader = GGUFReader(tmp_path / "mine" / "mine.gguf")
    assert (reader.get_field("tokenizer.chat_template") is None) == (template == "text")
    assert field(reader, "tokenizer.ggml.add_bos_token") == (end == "299")
    if end == "299":
        assert field(reader, "tokenizer.ggml.eos_token_id") == 299


@pytest.mark.parametrize("end", ['"""', 'said "so"'])
def test_an_end_that_a_modelfile_cannot_quote_is_refused(checkpoint: Path, tmp_path: Path, end: str) -> None:
    with pytest.raises(SettingError, match="which a Modelfile cannot quote") as caught:
        export(checkpoint, tmp_path / "mine", end=end, format="gguf")
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert list(tmp_path.iterdir()) == []


def test_an_older_export_is_replaced_and_its_card_kept(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    export(checkpoint, out, bits=32, format="gguf")
    (out / "README.md").write_text("card")
    before = (out / "mine.gguf").stat().st_size
    export(checkpoint, out, bits=4, format="gguf")
    assert (out / "mine.gguf").stat().st_size < before
    assert (out / "README.md").read_text() == "card"
    assert list(tmp_path.iterdir()) == [out]


def test_a_bundle_is_not_replaced_by_another_format(checkpoint: Path, bundles: dict[int, Path]) -> None:
    with pytest.raises(SettingError, match="exists and is not a GGUF folder that export wrote"):
        export(checkpoint, bundles[8], format="gguf")
