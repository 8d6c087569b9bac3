"""Writes GPT-2 as a GGUF file for llama.cpp and a Modelfile for Ollama.

    NAME.gguf   shape, vocabulary and weights, under llama.cpp's names
    Modelfile   for `ollama create NAME -f Modelfile`: the prompt template and what ends a text

Matrices are [outputs, inputs] here. They are rounded with one scale per 32 weights of a row (Q8_0, Q4_0); norms, biases and
position embeddings stay in 32 bits. The token embedding is also the output head, so a 4-bit file keeps it in 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize
from tqdm import tqdm

from app.engine.bundle import EndMarker
from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.profile import Profile, SamplingDefaults
from app.engine.templates import layout_of
from app.engine.vocabulary_files import read_byte_pairs
from app.errors import SettingError
from finetune.checkpoint import Array
from finetune.export.quantization import Bits
from finetune.formats.chat_templates import jinja_template, ollama_template

MODELFILE = "Modelfile"
BLOCK = 32
EPSILON = 1e-5
QUANTIZATIONS = {32: GGMLQuantizationType.F32, 8: GGMLQuantizationType.Q8_0, 4: GGMLQuantizationType.Q4_0}
FILE_TYPES = {32: LlamaFileType.ALL_F32, 8: LlamaFileType.MOSTLY_Q8_0, 4: LlamaFileType.MOSTLY_Q4_0}
LAYER_PARTS = {
    "ln_1": "attn_norm",
    "attn/c_attn": "attn_qkv",
    "attn/c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp/c_fc": "ffn_up",
    "mlp/c_proj": "ffn_down",
}
OLLAMA_NAMES = {"repetition_penalty": "repeat_penalty", "length": "num_predict"}
EMBEDDINGS = {"wte": "token_embd.weight", "wpe": "position_embd.weight"}


def files(out: Path) -> tuple[str, str]:
    return f"{out.name}.gguf", MODELFILE


def is_export(out: Path) -> bool:
    """Whether `export` wrote this folder."""
    return all((out / name).is_file() for name in files(out))


def write_gguf(
    source: CheckpointFolder,
    weights: Mapping[str, Array],
    folder: Path,
    name: str,
    bits: Bits,
    end: EndMarker,
    end_token: int,
    profile: Profile,
) -> None:
    """Write NAME.gguf and Modelfile. `end_token` ends a text; `end` is how the model learned that. Raises SettingError."""
    end_text = end.text or token_texts(source)[end_token]
    modelfile = make_modelfile(source, name, end, profile, end_text)
    writer = GGUFWriter(folder / f"{name}.gguf", "gpt2")
    try:
        add_shape(writer, source, name, bits)
        add_vocabulary(writer, source, end, end_token)
        if (chat := jinja_template(profile.template, end_text)) is not None:
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


def add_vocabulary(writer: GGUFWriter, source: CheckpointFolder, end: EndMarker, end_token: int) -> None:
    """Add the byte pairs. llama.cpp puts the end token before each text if the model was trained that way."""
    texts = token_texts(source)
    control = {end_token, source.tokenizer.end_of_text}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(texts)
    writer.add_token_types([TokenType.CONTROL if i in control else TokenType.NORMAL for i in range(len(texts))])
    writer.add_token_merges([" ".join(pair) for pair in read_byte_pairs(source.folder).merges])
    # Without these, llama.cpp ends a text with token 11, which is a comma in OpenAI's vocabulary.
    writer.add_bos_token_id(end_token)
    writer.add_eos_token_id(end_token)
    writer.add_add_bos_token(end.token is not None)


def token_texts(source: CheckpointFolder) -> list[str]:
    """The text of each token, by id, in the vocabulary's alphabet, where a space is Ġ."""
    by_id = {number: text for text, number in read_byte_pairs(source.folder).ids.items()}
    return [by_id[number] for number in range(source.hparams.n_vocab)]


def add_weight(writer: GGUFWriter, variable: str, weight: Array, bits: Bits) -> None:
    is_matrix = variable == "wte" or variable.endswith("/w")
    kind = quantization_of(variable, weight, bits) if is_matrix else GGMLQuantizationType.F32
    rows = weight[0].T if variable.endswith("/w") else weight
    writer.add_tensor(tensor_name(variable), quantize(np.asarray(rows, order="C"), kind), raw_dtype=kind)


def quantization_of(variable: str, weight: Array, bits: Bits) -> GGMLQuantizationType:
    inputs = weight.shape[1]
    if bits != 32 and inputs % BLOCK:
        return GGMLQuantizationType.F16  # A block may not reach into the next row.
    return QUANTIZATIONS[8 if variable == "wte" and bits == 4 else bits]


def tensor_name(variable: str) -> str:
    """llama.cpp's name of one of gpt-2-simple's variables: h0/ln_1/g is blk.0.attn_norm.weight."""
    if variable in EMBEDDINGS:
        return EMBEDDINGS[variable]
    path, last = variable.rsplit("/", 1)
    kind = "bias" if last == "b" else "weight"
    if path == "ln_f":
        return f"output_norm.{kind}"
    layer, part = path.split("/", 1)
    return f"blk.{layer.removeprefix('h')}.{LAYER_PARTS[part]}.{kind}"


def make_modelfile(source: CheckpointFolder, name: str, end: EndMarker, profile: Profile, end_text: str) -> str:
    """Ollama's Modelfile. It names the strings that end a text or a turn; an end token is named in the GGUF file."""
    tags = [tag for template in (profile.template, profile.question_template) for tag in layout_of(template).tags]
    stops = dict.fromkeys([text for text in (end.text or "", *tags) if text])
    lines = [
        f"FROM ./{name}.gguf",
        f"TEMPLATE {quoted(ollama_template(profile.template, end_text))}",
        f"PARAMETER num_ctx {source.hparams.n_ctx}",
        *(f"PARAMETER {name} {value}" for name, value in ollama_parameters(profile.sampling).items()),
        *(f"PARAMETER stop {quoted(stop)}" for stop in stops),
    ]
    return "\n".join([*lines, ""])


def ollama_parameters(defaults: SamplingDefaults) -> dict[str, float]:
    """The model's sampling defaults under Ollama's names; none where it has none.

    Ollama has defaults of its own, such as a top_k of 40, which the others of this model would be combined with.
    """
    given: dict[str, float] = {name: v for name, v in msgspec.structs.asdict(defaults).items() if v is not None}
    if not given:
        return {}
    known: dict[str, float] = {"top_k": 0, "top_p": 1, "repetition_penalty": 1} | given
    known["top_p"] = known["top_p"] or 1
    return {OLLAMA_NAMES.get(name, name): value for name, value in known.items()}


def quoted(text: str) -> str:
    if '"""' in text or text.endswith('"'):
        raise SettingError(
            f"--end leads to {text!r}, which a Modelfile cannot quote: choose an end without such quotation marks."
        )
    return f'"""{text}"""'
