"""`import` and `export --format huggingface`: GPT-2 in the folders of Hugging Face's transformers, in and out.

    config.json                                 the shape
    model.safetensors                           the weights; several files and an index where they are large
    tokenizer.json, or vocab.json + merges.txt  the vocabulary

DialoGPT and distilgpt2 come in this way. Their matrices are [inputs, outputs] as gpt-2-simple's are, without its leading 1.
Only safetensors is read: a pytorch_model.bin is a program as much as it is data.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from app.engine.bundle import EndMarker, Hparams, Template
from app.engine.checkpoint_folder import VOCABULARY_FILES, CheckpointFolder, open_checkpoint
from app.engine.tokenizer import byte_characters
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import Array, variable_shapes, write_checkpoint
from finetune.folder import replace_folder, written_aside
from finetune.formats.chat_templates import jinja

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
FILES = (
    "config.json",
    "generation_config.json",
    WEIGHTS,
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
PRODUCER = {"format": "pt", "producer": "gpt-2-cloud-run"}
VERSION_LINE = "#version: 0.2"
# Words, contractions, numbers, signs, spaces at the beginning and in rows, other scripts: wherever pre-tokenizers differ.
PROBE = "Why didn't 3 ducks\n\n  cross, at 10:45?  Żółć 鸭子 🦆 "

Size = Annotated[int, msgspec.Meta(ge=1)]
T = TypeVar("T")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """config.json, with the values that transformers gives to what it leaves out."""

    model_type: str = ""
    vocab_size: Size = 50257
    n_positions: Size = 1024
    n_embd: Size = 768
    n_head: Size = 12
    n_layer: Size = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    add_cross_attention: bool = False

    @property
    def hparams(self) -> Hparams:
        return Hparams(
            n_vocab=self.vocab_size,
            n_ctx=self.n_positions,
            n_embd=self.n_embd,
            n_head=self.n_head,
            n_layer=self.n_layer,
        )


class AddedToken(msgspec.Struct, frozen=True):
    id: int
    content: str


class BytePairs(msgspec.Struct, frozen=True):
    type: Literal["BPE"]
    vocab: dict[str, int]
    merges: list[str | tuple[str, str]]


class TokenizerFile(msgspec.Struct, frozen=True):
    """What matters here of a tokenizer.json."""

    model: BytePairs
    added_tokens: list[AddedToken] = []


class ShardIndex(msgspec.Struct, frozen=True):
    """model.safetensors.index.json: which file a tensor is in."""

    weight_map: dict[str, str]


def import_(source: Path, out: Path) -> None:
    """Turn a Hugging Face folder of a GPT-2, such as DialoGPT or distilgpt2, into a checkpoint that gpt-2-simple loads.

    Args:
        source: the Hugging Face folder, with config.json, model.safetensors and a tokenizer
        out: the checkpoint's folder, such as models/distilgpt2; it must be new
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"--out is {out}, which exists: name a new folder, so that no run is lost.")
    hparams = read_config(source)
    with written_aside(out) as folder:
        write_vocabulary(source, folder, hparams)
        write_checkpoint(folder, hparams, read_weights(source, hparams), vocabulary=folder)
        compare_tokenizers(source, open_checkpoint(folder))
        replace_folder(folder, out, VOCABULARY_FILES)
    shape = f"{hparams.n_layer} layers, {hparams.n_embd} wide, {hparams.n_vocab:,} tokens"
    print(f"{out}: {shape}, the weights of {source} as they are")


def read_json(path: Path, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): name a Hugging Face folder.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not {what} ({error}): name a Hugging Face folder of a GPT-2.") from None


def read_config(source: Path) -> Hparams:
    """The shape. Raises CheckpointError where the model computes anything that GPT-2 as OpenAI made it does not."""
    path = source / "config.json"
    config = read_json(path, Config, "the description of a GPT-2")
    known: dict[str, tuple[object, ...]] = {
        "model_type": ("gpt2",),
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # Two names of one function.
        "layer_norm_epsilon": (1e-5,),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "n_inner": (None, 4 * config.n_embd),
    }
    for key, values in known.items():
        if (value := getattr(config, key)) not in values:
            message = f"{path} has {key} {json.dumps(value)} where gpt-2-simple's GPT-2 has {json.dumps(values[-1])}"
            raise CheckpointError(f"{message}: this model cannot be brought in.")
    if config.n_embd % config.n_head:
        raise CheckpointError(
            f"{path} divides n_embd {config.n_embd} among {config.n_head} heads, which leaves a rest: copy it again."
        )
    return config.hparams


def tensor_name(variable: str) -> str:
    """The name in transformers of one of gpt-2-simple's variables: h0/ln_1/g is transformer.h.0.ln_1.weight."""
    *path, last = re.sub(r"^h(\d+)/", r"h/\1/", variable).split("/")
    parts = {"g": [*path, "weight"], "w": [*path, "weight"], "b": [*path, "bias"]}.get(last, [last, "weight"])
    return ".".join(["transformer", *parts])


def read_weights(source: Path, hparams: Hparams) -> dict[str, Array]:
    """gpt-2-simple's variables, in 32 bits. Raises CheckpointError where one is missing, of another shape or unknown."""
    stored = dict(read_tensors(source))
    head = stored.pop("lm_head.weight", None)
    embedding = tensor_name("wte")
    if head is not None and not np.array_equal(head, stored.setdefault(embedding, head)):
        raise CheckpointError(
            f"{source} has an output head (lm_head) of its own and GPT-2 has the embedding for it: it cannot be brought in."
        )
    weights: dict[str, Array] = {}
    for name, shape in variable_shapes(hparams).items():
        tensor = stored.pop(tensor_name(name), None)
        # Of the leading 1 of gpt-2-simple's matrices Hugging Face knows nothing.
        expected = shape[1:] if name.endswith("/w") else shape
        if tensor is None or tensor.shape != expected:
            there = "not there" if tensor is None else list(tensor.shape)
            message = f"{source}: {tensor_name(name)} should be {list(expected)} by config.json and is {there}"
            raise CheckpointError(f"{message}: copy the whole folder again.")
        weights[name] = tensor.reshape(shape)
    if stored:
        raise CheckpointError(f"{source} has {min(stored)}, which no GPT-2 has: this model cannot be brought in.")
    return weights


def read_tensors(source: Path) -> Iterator[tuple[str, Array]]:
    """Names, all beginning with transformer. or lm_head., and tensors. Masks that older versions stored are left out."""
    import ml_dtypes  # noqa: F401  It teaches NumPy bfloat16.
    from safetensors import SafetensorError, safe_open

    for path in weight_files(source):
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118  It is no mapping.
                    full = name if name.startswith("lm_head.") else f"transformer.{name.removeprefix('transformer.')}"
                    if re.search(r"\.attn\.(masked_)?bias$", full):
                        continue
                    if (kind := file.get_slice(name).get_dtype()) not in {"F32", "F16", "BF16"}:
                        raise CheckpointError(f"{path} has {name} as {kind}: save it in 32 or 16 bits.")
                    yield full, file.get_tensor(name).astype(np.float32)
        except (SafetensorError, OSError):
            raise CheckpointError(f"{path} is missing or damaged: copy the whole folder again.") from None


def weight_files(source: Path) -> list[Path]:
    if (source / WEIGHTS).is_file():
        return [source / WEIGHTS]
    if (index := source / f"{WEIGHTS}.index.json").is_file():
        names = set(read_json(index, ShardIndex, "an index of weights").weight_map.values())
        return [source / Path(name).name for name in sorted(names)]
    if list(source.glob("pytorch_model*.bin")):
        convert = f"GPT2LMHeadModel.from_pretrained({str(source)!r}).save_pretrained('NEW')"
        raise CheckpointError(
            f"{source} has pytorch_model.bin, which can run programs, and no {WEIGHTS}: let transformers write one, {convert}."
        )
    raise CheckpointError(f"{source / WEIGHTS} is missing: copy the whole folder again.")


def read_vocabulary(source: Path) -> tuple[dict[str, int], list[str], list[AddedToken]]:
    """The tokens' ids, the merges in their order, and the tokens that were added to these."""
    if (source / TOKENIZER).is_file():
        file = read_json(source / TOKENIZER, TokenizerFile, "a GPT-2 tokenizer")
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in file.model.merges]
        return file.model.vocab, merges, file.added_tokens
    vocabulary = read_json(source / "vocab.json", dict[str, int], "a vocabulary")
    added = source / "added_tokens.json"
    more = read_json(added, dict[str, int], "a list of tokens") if added.is_file() else {}
    return vocabulary, read_merges(source / "merges.txt"), [AddedToken(number, text) for text, number in more.items()]


def read_merges(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): copy the whole folder again.") from None
    except UnicodeDecodeError:
        raise CheckpointError(f"{path} is not text: copy the whole folder again.") from None
    return [line for line in lines if line and not line.startswith("#version")]


def write_vocabulary(source: Path, folder: Path, hparams: Hparams) -> None:
    """encoder.json and vocab.bpe, with the added tokens. Raises CheckpointError where they are not as many as vocab_size."""
    vocabulary, merges, added = read_vocabulary(source)
    alphabet = byte_characters()
    for token in added:
        text = "".join(alphabet[byte] for byte in token.content.encode())
        if vocabulary.setdefault(text, token.id) != token.id:
            raise CheckpointError(
                f"{source}: the tokenizer has {token.content!r} under two ids: copy the folder again."
            )
    if sorted(vocabulary.values()) != list(range(hparams.n_vocab)):
        message = f"{source}: the tokenizer has {len(vocabulary)} tokens and config.json {hparams.n_vocab} (vocab_size)"
        raise CheckpointError(f"{message}, and each needs an id of its own below that: copy both from one model.")
    by_id = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    encoder, pairs = (folder / name for name in VOCABULARY_FILES)
    encoder.write_text(json.dumps(by_id), encoding="utf-8")
    pairs.write_text("\n".join([VERSION_LINE, *merges, ""]), encoding="utf-8")


def compare_tokenizers(source: Path, checkpoint: CheckpointFolder) -> None:
    """Raises CheckpointError where tokenizer.json splits text in another way than GPT-2 does."""
    import tokenizers

    if not (path := source / TOKENIZER).is_file():
        return
    try:
        theirs = tokenizers.Tokenizer.from_file(str(path)).encode(PROBE, add_special_tokens=False).ids
    except Exception:  # The tokenizers library raises bare Exceptions.
        raise CheckpointError(f"{path} is damaged: copy the whole folder again.") from None
    if theirs != checkpoint.tokenizer.encode(PROBE):
        raise CheckpointError(f"{path} does not split text as GPT-2 does: this model cannot be brought in.")


def wrote(folder: Path) -> bool:
    """Whether a folder's weights are an export of this project, and not somebody's model."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            return bool(file.metadata() == PRODUCER)
    except (SafetensorError, OSError):
        return False


def write_huggingface(
    source: CheckpointFolder, weights: Mapping[str, Array], folder: Path, end: EndMarker, token: int, template: Template
) -> None:
    """Write FILES, which transformers' AutoModelForCausalLM and AutoTokenizer load. `token` is the one that ends a text."""
    from safetensors.numpy import save_file

    tensors = {tensor_name(name): w[0] if name.endswith("/w") else w for name, w in weights.items()}
    save_file(tensors, folder / WEIGHTS, PRODUCER)
    (folder / WEIGHTS).chmod(0o644)  # It writes for the owner alone.
    marks = {"bos_token_id": token, "eos_token_id": token}
    write_json(folder / "config.json", describe(source.hparams) | marks)
    write_json(folder / "generation_config.json", marks)
    for name, theirs in zip(VOCABULARY_FILES, ("vocab.json", "merges.txt"), strict=True):
        shutil.copyfile(source.folder / name, folder / theirs)
    write_tokenizer(source, folder, token, begins=end.token is not None, template=template)


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def describe(hparams: Hparams) -> dict[str, Any]:
    """config.json, with every field that transformers writes for a GPT-2."""
    return {
        "activation_function": "gelu_new",
        "add_cross_attention": False,
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "dtype": "float32",
        "embd_pdrop": 0.1,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5,
        "model_type": "gpt2",
        "n_ctx": hparams.n_ctx,
        "n_embd": hparams.n_embd,
        "n_head": hparams.n_head,
        "n_inner": None,
        "n_layer": hparams.n_layer,
        "n_positions": hparams.n_ctx,
        "pad_token_id": None,
        "reorder_and_upcast_attn": False,
        "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": False,
        "scale_attn_weights": True,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": hparams.n_vocab,
    }


def write_tokenizer(source: CheckpointFolder, folder: Path, token: int, begins: bool, template: Template) -> None:
    """`begins` puts the token that ends a text before each, where the model saw it there."""
    import tokenizers
    from tokenizers.processors import TemplateProcessing

    source.tokenizer.save(folder / TOKENIZER)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
    if (mark := tokenizer.id_to_token(token)) is None:
        raise SettingError(
            f"--end is token {token}, which {source.folder}/encoder.json does not have: give another id."
        )
    tokenizer.add_special_tokens([tokenizers.AddedToken(mark, special=True, normalized=False)])
    if begins:
        tokenizer.post_processor = TemplateProcessing(single=f"{mark} $A", special_tokens=[(mark, token)])
    tokenizer.save(str(folder / TOKENIZER))
    marks = {"bos_token": mark, "eos_token": mark, "unk_token": mark}
    settings = marks | {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": source.hparams.n_ctx,
        "add_prefix_space": False,
        "add_bos_token": begins,
        "errors": "replace",
    }
    if (chat := jinja(template, mark)) is not None:
        settings["chat_template"] = "{{ bos_token }}" + chat if begins else chat
    write_json(folder / "special_tokens_map.json", dict(marks))
    write_json(folder / "tokenizer_config.json", settings)
