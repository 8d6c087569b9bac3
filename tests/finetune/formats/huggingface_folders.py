"""The ways in which Hugging Face folders differ, and may be damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tokenizers
from safetensors.numpy import load_file, save_file

from tests.damage import point_to_lfs


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(folder: Path, alter: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    path = folder / "model.safetensors"
    save_file({name: np.ascontiguousarray(w) for name, w in alter(load_file(path)).items()}, path)


def as_shards(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))


def only_the_first_shard(folder: Path) -> None:
    as_shards(folder)
    next(folder.glob("model-00002*")).unlink()


def remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def rename(alter: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: change_weights(folder, lambda weights: {alter(name): w for name, w in weights.items()})


def wrap(prefix: str) -> Callable[[Path], None]:
    """The names with something before them, as programs leave it there that save the object which they wrapped a model in."""
    return rename(lambda name: prefix + name)


def as_linear_layers(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Matrices as [outputs, inputs], as nanoGPT and PyTorch's own layers have them."""
    matrices = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
    return {name: w.T if name.endswith(matrices) else w for name, w in weights.items()}


def without_index(folder: Path) -> None:
    as_shards(folder)
    (folder / "model.safetensors.index.json").unlink()


def as_other_files(folder: Path) -> None:
    """All JSON indented and with escapes, all text with the line ends of Windows and a byte-order mark."""
    remove(folder, "tokenizer.json")
    for path in folder.glob("*.json"):
        text = json.dumps(dict(reversed(json.loads(path.read_text()).items())), indent=4, ensure_ascii=True)
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    merges = (folder / "merges.txt").read_text()
    (folder / "merges.txt").write_bytes(b"\xef\xbb\xbf" + merges.replace("\n", "\r\n").encode())


def without_type(folder: Path) -> None:
    """As OpenAI's own models on the hub, whose files are older than other types of tokenizers."""
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    change(path, model={name: value for name, value in model.items() if name != "type"})


def as_after_a_batch(folder: Path) -> None:
    """A tokenizer that cut and filled up a batch writes that down."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(folder / "tokenizer.json"))


def with_special_tokens_first(folder: Path, text: str = "<|endoftext|>") -> None:
    """A token of special text at id 0, listed among the byte pairs too, as tokenizers trained from scratch have it."""
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    first = next(token for token, number in model["vocab"].items() if number == 0)
    vocab = {token: number for token, number in model["vocab"].items() if token != "<|endoftext|>"} | {
        first: 299,
        text: 0,
    }
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False) | {"special": True}
    change(path, model=model | {"vocab": vocab}, added_tokens=[{"id": 0, "content": text} | flags])

    def exchanged(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        wte = weights["transformer.wte.weight"]
        return weights | {"transformer.wte.weight": np.concatenate([wte[299:], wte[1:299], wte[:1]])}

    change_weights(folder, exchanged)


def as_old_vocabulary(folder: Path) -> None:
    remove(folder, "tokenizer.json", "tokenizer_config.json")


def without_version_line(folder: Path) -> None:
    as_old_vocabulary(folder)
    (folder / "merges.txt").write_text((folder / "merges.txt").read_text().split("\n", 1)[1].rstrip("\n"))


def only_merges(folder: Path, merges: bytes) -> None:
    remove(folder, "tokenizer.json")
    (folder / "merges.txt").write_bytes(merges)


def only_another_vocabulary(folder: Path, name: str) -> None:
    remove(folder, "tokenizer.json", "vocab.json", "merges.txt")
    (folder / name).write_bytes(b"[PAD]\n[UNK]\n")


def with_merges_as_text(folder: Path) -> None:
    """As tokenizers before 0.20 wrote them."""
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    change(path, model=model | {"merges": [" ".join(merge) for merge in model["merges"]]})


def with_masks(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    masks = {f"transformer.h.{layer}.attn.bias": np.ones((1, 1, 64, 64), np.uint8) for layer in range(3)}
    return weights | masks | {"transformer.h.0.attn.masked_bias": np.array(-1e4, np.float32)}


def untie(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return weights | {"lm_head.weight": weights["transformer.wte.weight"] + 1}


def without(name: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda weights: {other: w for other, w in weights.items() if other != name}


def only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def only_a_pointer_for_a_pickle(folder: Path) -> None:
    only_a_pickle(folder)
    point_to_lfs(folder / "pytorch_model.bin")


def wrap_with_head(folder: Path) -> None:
    change_weights(folder, lambda weights: weights | {"lm_head.weight": weights["transformer.wte.weight"]})
    wrap("_orig_mod.")(folder)


def as_adapter(folder: Path) -> None:
    """What PEFT saves: only the adapter, with the name of the model that it belongs to."""
    remove(folder, "config.json")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "gpt2", "peft_type": "LORA", "r": 8}')
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def with_adapter(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What torch.save of a PEFT model has: the weights and, beside them, what was not merged into them."""
    renamed = {
        f"base_model.model.{name.replace('c_attn.weight', 'c_attn.base_layer.weight')}": w
        for name, w in weights.items()
    }
    low_rank = "base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight"
    return renamed | {low_rank: np.ones((8, 32), np.float32)}


def in_a_folder(folder: Path, *names: str) -> None:
    """Move all into folders of these names, as the Trainer of transformers writes them."""
    files = list(folder.iterdir())
    for name in names:
        (folder / name).mkdir()
        for path in files:
            shutil.copy(path, folder / name / path.name)
    for path in files:
        path.unlink()


def with_prefix_space(folder: Path) -> None:
    path = folder / "tokenizer.json"
    change(path, pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True})


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
