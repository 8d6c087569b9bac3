"""`export --format gguf`: GPT-2 as one file for llama.cpp, and a Modelfile for Ollama.

    NAME.gguf   shape, vocabulary and weights, under llama.cpp's names
    Modelfile   `ollama create NAME -f Modelfile`: how a question is put and where a text stops

Matrices are [outputs, inputs] here, and rounded with one scale for 32 weights of a row (Q8_0, Q4_0); norms, biases and
positions stay in 32 bits. The token embedding is the output head too, so a 4-bit file has it in 8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize
from tqdm import tqdm

from app.engine.bundle import EndMarker, Template
from app.engine.checkpoint_folder import CheckpointFolder
from app.errors import SettingError
from finetune.checkpoint import Array
from finetune.formats.chat_templates import jinja, ollama
from finetune.formats.huggingface import read_merges

Bits = Literal[8, 4, 32]
MODELFILE = "Modelfile"
BLOCK = 32
EPSILON = 1e-5
ROUNDED = {32: GGMLQuantizationType.F32, 8: GGMLQuantizationType.Q8_0, 4: GGMLQuantizationType.Q4_0}
FILE_TYPES = {32: LlamaFileType.ALL_F32, 8: LlamaFileType.MOSTLY_Q8_0, 4: LlamaFileType.MOSTLY_Q4_0}
PARTS = {
    "ln_1": "attn_norm",
    "attn/c_attn": "attn_qkv",
    "attn/c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp/c_fc": "ffn_up",
    "mlp/c_proj": "ffn_down",
}
WHOLE = {"wte": "token_embd.weight", "wpe": "position_embd.weight"}


def files(out: Path) -> tuple[str, str]:
    return f"{out.name}.gguf", MODELFILE


def wrote(out: Path) -> bool:
    return all((out / name).is_file() for name in files(out))


def write_gguf(
    source: CheckpointFolder,
    weights: Mapping[str, Array],
    folder: Path,
    name: str,
    bits: Bits,
    end: EndMarker,
    token: int,
    template: Template,
) -> None:
    """Write NAME.gguf and Modelfile. `token` is the one that ends a text, `end` how the model learned that."""
    said = end.text or entries(source)[token]
    modelfile = describe(source, name, end, ollama(template, said))
    writer = GGUFWriter(folder / f"{name}.gguf", "gpt2")
    try:
        add_shape(writer, source, name, bits)
        add_vocabulary(writer, source, end, token)
        if (chat := jinja(template, said)) is not None:
            writer.add_chat_template(chat)
        for variable, weight in tqdm(weights.items(), desc=f"round to {bits} bits", leave=False):
            add_weight(writer, variable, weight, bits)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file(progress=False)
    finally:
        writer.close()
    (folder / MODELFILE).write_text(modelfile, encoding="utf-8")


def add_shape(writer: GGUFWriter, source: CheckpointFolder, name: str, bits: Bits) -> None:
    shape = source.hparams
    writer.add_name(name)
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.n_embd)
    writer.add_feed_forward_length(4 * shape.n_embd)
    writer.add_block_count(shape.n_layer)
    writer.add_head_count(shape.n_head)
    writer.add_layer_norm_eps(EPSILON)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_file_type(FILE_TYPES[bits])
    writer.add_quantization_version(2)


def add_vocabulary(writer: GGUFWriter, source: CheckpointFolder, end: EndMarker, token: int) -> None:
    """The byte pairs. llama.cpp puts the token that ends a text before each, where the model saw it there."""
    vocabulary = entries(source)
    control = {token, source.tokenizer.end_of_text}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([TokenType.CONTROL if i in control else TokenType.NORMAL for i in range(len(vocabulary))])
    writer.add_token_merges(read_merges(source.folder / "vocab.bpe"))
    # Without these llama.cpp ends a text with token 11, OpenAI's comma.
    writer.add_bos_token_id(token)
    writer.add_eos_token_id(token)
    writer.add_add_bos_token(end.token is not None)


def entries(source: CheckpointFolder) -> list[str]:
    """What each id stands for, as vocabulary files write it."""
    encoder = json.loads((source.folder / "encoder.json").read_text(encoding="utf-8"))
    by_id = {number: text for text, number in encoder.items()}
    # An id that nothing stands for gets llama.cpp's name for such.
    return [by_id.get(number, f"[PAD{number}]") for number in range(source.hparams.n_vocab)]


def add_weight(writer: GGUFWriter, variable: str, weight: Array, bits: Bits) -> None:
    matrix = variable == "wte" or variable.endswith("/w")
    kind = rounding(variable, weight, bits) if matrix else GGMLQuantizationType.F32
    rows = weight[0].T if variable.endswith("/w") else weight
    writer.add_tensor(tensor_name(variable), quantize(np.asarray(rows, order="C"), kind), raw_dtype=kind)


def rounding(variable: str, weight: Array, bits: Bits) -> GGMLQuantizationType:
    inputs = weight.shape[1]
    if bits != 32 and inputs % BLOCK:
        return GGMLQuantizationType.F16  # Blocks may not reach into the next row.
    return ROUNDED[8 if variable == "wte" and bits == 4 else bits]


def tensor_name(variable: str) -> str:
    """llama.cpp's name of one of gpt-2-simple's variables: h0/ln_1/g is blk.0.attn_norm.weight."""
    if variable in WHOLE:
        return WHOLE[variable]
    path, last = variable.rsplit("/", 1)
    kind = "bias" if last == "b" else "weight"
    if path == "ln_f":
        return f"output_norm.{kind}"
    layer, part = path.split("/", 1)
    return f"blk.{layer.removeprefix('h')}.{PARTS[part]}.{kind}"


def describe(source: CheckpointFolder, name: str, end: EndMarker, template: str) -> str:
    """The Modelfile. A token that ends a text is named in the GGUF file; a string is here."""
    lines = [f"FROM ./{name}.gguf", f"TEMPLATE {quoted(template)}", f"PARAMETER num_ctx {source.hparams.n_ctx}"]
    if end.text is not None:
        lines.append(f"PARAMETER stop {quoted(end.text)}")
    return "\n".join([*lines, ""])


def quoted(text: str) -> str:
    if '"""' in text or text.endswith('"'):
        raise SettingError(
            f"--end leads to {text!r}, which a Modelfile cannot say: choose an end without such quotation marks."
        )
    return f'"""{text}"""'
