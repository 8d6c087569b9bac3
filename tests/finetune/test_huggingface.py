"""A GPT-2 from Hugging Face becomes a checkpoint and goes out again, bit for bit, or one sentence says why not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tokenizers
from safetensors.numpy import load_file, save_file

from app.engine.checkpoint_folder import open_checkpoint
from app.engine.prompts import TAGS
from app.engine.tensorflow import TensorflowEngine
from app.engine.tokenizer import END_OF_TEXT
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import read_weights, write_checkpoint
from finetune.commands.export import export
from finetune.commands.import_ import import_
from finetune.formats.huggingface_writer import FILES
from tests.conftest import TEXTS, write_tiny


@pytest.fixture(scope="session")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a Hugging Face folder."""
    out = tmp_path_factory.mktemp("huggingface") / "tiny"
    export(checkpoint, out, format="huggingface")
    return out


@pytest.fixture
def theirs(folder: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "theirs"))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(folder: Path, alter: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    path = folder / "model.safetensors"
    save_file({name: np.ascontiguousarray(w) for name, w in alter(load_file(path)).items()}, path)


def same_weights(a: Path, b: Path) -> bool:
    ours, others = read_weights(open_checkpoint(a)), read_weights(open_checkpoint(b))
    return all(np.array_equal(weight, others[name]) for name, weight in ours.items())


def test_the_names_and_shapes_are_those_of_transformers(folder: Path) -> None:
    """As transformers 5.23 writes a GPT2LMHeadModel, whose tied head is left out."""
    shapes = {name: weight.shape for name, weight in load_file(folder / "model.safetensors").items()}
    block = {
        "ln_1.weight": (32,),
        "ln_1.bias": (32,),
        "attn.c_attn.weight": (32, 96),
        "attn.c_attn.bias": (96,),
        "attn.c_proj.weight": (32, 32),
        "attn.c_proj.bias": (32,),
        "ln_2.weight": (32,),
        "ln_2.bias": (32,),
        "mlp.c_fc.weight": (32, 128),
        "mlp.c_fc.bias": (128,),
        "mlp.c_proj.weight": (128, 32),
        "mlp.c_proj.bias": (32,),
    }
    expected = {f"transformer.h.{layer}.{name}": shape for layer in range(3) for name, shape in block.items()}
    expected |= {"transformer.wte.weight": (300, 32), "transformer.wpe.weight": (64, 32)}
    assert shapes == expected | {"transformer.ln_f.weight": (32,), "transformer.ln_f.bias": (32,)}
    assert {path.name for path in folder.iterdir()} == set(FILES)


def test_out_and_in_again_is_the_same(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    import_(folder, tmp_path / "models" / "tiny")
    again = tmp_path / "models" / "tiny"
    assert same_weights(checkpoint, again)
    assert open_checkpoint(again).hparams == open_checkpoint(checkpoint).hparams
    assert json.loads((again / "encoder.json").read_text()) == json.loads((checkpoint / "encoder.json").read_text())
    assert (again / "vocab.bpe").read_text() == (checkpoint / "vocab.bpe").read_text()
    assert list(again.parent.iterdir()) == [again]


def test_gpt_2_simple_loads_what_came_in(
    checkpoint: Path, folder: Path, tmp_path: Path, reference: TensorflowEngine, tokens: np.ndarray
) -> None:
    expected = reference.all_logits(tokens)
    import_(folder, tmp_path / "tiny")
    assert np.array_equal(TensorflowEngine(tmp_path / "tiny").all_logits(tokens), expected)


def test_the_tokenizer_agrees(checkpoint: Path, folder: Path) -> None:
    ours = open_checkpoint(checkpoint).tokenizer
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in [TEXTS[0], " two  spaces\n\n", "Why? 鸭子 🦆"]:
        assert tokenizer.encode(text).ids == ours.encode(text)
    assert tokenizer.encode(END_OF_TEXT).ids == [ours.end_of_text]


def test_the_configuration(folder: Path, checkpoint: Path) -> None:
    end = open_checkpoint(checkpoint).tokenizer.end_of_text
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("gpt2", ["GPT2LMHeadModel"])
    assert (config["vocab_size"], config["n_positions"], config["n_embd"]) == (300, 64, 32)
    assert (config["n_head"], config["n_layer"], config["n_inner"]) == (4, 3, None)
    assert config["eos_token_id"] == config["bos_token_id"] == end
    assert json.loads((folder / "generation_config.json").read_text()) == {"bos_token_id": end, "eos_token_id": end}
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert (settings["model_max_length"], settings["eos_token"], settings["add_bos_token"]) == (64, END_OF_TEXT, False)
    assert "chat_template" not in settings


def test_a_model_whose_texts_begin_with_a_token_gets_it_there_too(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = open_checkpoint(checkpoint).tokenizer
    export(checkpoint, tmp_path / "out", end=str(tokenizer.end_of_text), template="chat", format="huggingface")
    encoded = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode("Why")
    assert encoded.ids == [tokenizer.end_of_text, *tokenizer.encode("Why")]
    chat = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["chat_template"]
    assert (
        chat == "{{ bos_token }}{% for message in messages %}{{ message['content'] + \"<|endoftext|>\" }}{% endfor %}"
    )


def test_a_question_is_put_as_in_training(checkpoint: Path, tmp_path: Path) -> None:
    """The very tags of prompts.py; what jinja2 makes of the rest was compared with `from_turns` by hand."""
    export(checkpoint, tmp_path / "out", template="qa", format="huggingface")
    chat = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["chat_template"]
    tag = f"('{TAGS['qa'][1]}' if message['role'] == 'assistant' else '{TAGS['qa'][0]}')"
    turns = f"{{% for message in messages %}}{{{{ {tag} + message['content'] + '\\n' }}}}{{% endfor %}}"
    assert chat == turns + "{% if add_generation_prompt %}[ANSWER]{% endif %}"


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


def as_old_vocabulary(folder: Path) -> None:
    remove(folder, "tokenizer.json", "tokenizer_config.json")


def without_version_line(folder: Path) -> None:
    as_old_vocabulary(folder)
    (folder / "merges.txt").write_text((folder / "merges.txt").read_text().split("\n", 1)[1].rstrip("\n"))


def only_merges(folder: Path, merges: bytes) -> None:
    remove(folder, "tokenizer.json")
    (folder / "merges.txt").write_bytes(merges)


def with_merges_as_text(folder: Path) -> None:
    """As tokenizers before 0.20 wrote them."""
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    change(path, model=model | {"merges": [" ".join(merge) for merge in model["merges"]]})


def with_masks(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    masks = {f"transformer.h.{layer}.attn.bias": np.ones((1, 1, 64, 64), np.uint8) for layer in range(3)}
    return weights | masks | {"transformer.h.0.attn.masked_bias": np.array(-1e4, np.float32)}


SAME: dict[str, Callable[[Path], object]] = {
    "shards": as_shards,
    "a vocabulary in two files": as_old_vocabulary,
    "merges as text": with_merges_as_text,
    "no version line": without_version_line,
    "names without their prefix": lambda folder: change_weights(
        folder, lambda weights: {name.removeprefix("transformer."): w for name, w in weights.items()}
    ),
    "masks": lambda folder: change_weights(folder, with_masks),
    "the head once more": lambda folder: change_weights(
        folder, lambda weights: weights | {"lm_head.weight": weights["transformer.wte.weight"]}
    ),
    "n_inner said": lambda folder: change(folder / "config.json", n_inner=128),
    "only what differs from the defaults": lambda folder: (folder / "config.json").write_text(
        '{"model_type": "gpt2", "vocab_size": 300, "n_positions": 64, "n_embd": 32, "n_head": 4, "n_layer": 3}'
    ),
}


@pytest.mark.parametrize("way", SAME)
def test_whichever_way_a_model_is_written_it_comes_in_the_same(
    checkpoint: Path, theirs: Path, tmp_path: Path, way: str
) -> None:
    SAME[way](theirs)
    import_(theirs, tmp_path / "out")
    assert same_weights(checkpoint, tmp_path / "out")
    assert (tmp_path / "out" / "vocab.bpe").read_text() == (checkpoint / "vocab.bpe").read_text()
    ours, original = open_checkpoint(tmp_path / "out").tokenizer, open_checkpoint(checkpoint).tokenizer
    assert ours.encode(TEXTS[0]) == original.encode(TEXTS[0])
    assert ours.end_of_text == original.end_of_text


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_weights_of_16_bits_keep_their_values(theirs: Path, tmp_path: Path, kind: Any) -> None:
    rounded: dict[str, np.ndarray] = {}

    def narrow(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rounded.update({name: w.astype(kind) for name, w in weights.items()})
        return rounded

    change_weights(theirs, narrow)
    import_(theirs, tmp_path / "out")
    weights = read_weights(open_checkpoint(tmp_path / "out"))
    assert np.array_equal(weights["h1/mlp/c_fc/w"][0], rounded["transformer.h.1.mlp.c_fc.weight"].astype(np.float32))
    assert np.array_equal(weights["wte"], rounded["transformer.wte.weight"].astype(np.float32))


@pytest.mark.parametrize("where", ["tokenizer.json", "added_tokens.json"])
def test_an_added_token_is_an_entry_like_any_other(theirs: Path, tmp_path: Path, where: str) -> None:
    """A padding token, say, or one with a space in it, which the vocabulary writes in its own alphabet."""
    if where == "tokenizer.json":
        tokenizer = tokenizers.Tokenizer.from_file(str(theirs / where))
        tokenizer.add_tokens(["[PAD]", "[A B]"])
        tokenizer.save(str(theirs / where))
    else:
        as_old_vocabulary(theirs)
        (theirs / where).write_text('{"[PAD]": 300, "[A B]": 301}')
    change(theirs / "config.json", vocab_size=302)
    change_weights(
        theirs,
        lambda weights: weights | {"transformer.wte.weight": np.resize(weights["transformer.wte.weight"], (302, 32))},
    )
    import_(theirs, tmp_path / "out")
    found = open_checkpoint(tmp_path / "out").tokenizer
    assert len(found) == 302
    assert found.decode([300, 301]) == "[PAD][A B]"


def untie(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return weights | {"lm_head.weight": weights["transformer.wte.weight"] + 1}


def without(name: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda weights: {other: w for other, w in weights.items() if other != name}


def only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_prefix_space(folder: Path) -> None:
    path = folder / "tokenizer.json"
    change(path, pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True})


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "config.json cannot be read"),
    "no model": (lambda f: remove(f, "model.safetensors"), "model.safetensors is missing"),
    "a pickle": (only_a_pickle, "has pytorch_model.bin, which can run programs, and no model.safetensors: let"),
    "a shard missing": (only_the_first_shard, "is missing or damaged"),
    "truncated": (lambda f: truncate(f / "model.safetensors"), "model.safetensors is missing or damaged"),
    "config truncated": (lambda f: truncate(f / "config.json"), "config.json is not the description of a GPT-2"),
    "config without a head": (lambda f: change(f / "config.json", n_head=0), "config.json is not the description"),
    "heads do not divide": (lambda f: change(f / "config.json", n_head=5), "n_embd 32, which 5 heads do not divide"),
    "another architecture": (lambda f: change(f / "config.json", model_type="llama"), 'has model_type "llama" where'),
    "another activation": (
        lambda f: change(f / "config.json", activation_function="relu"),
        'activation_function "relu" where',
    ),
    "another epsilon": (lambda f: change(f / "config.json", layer_norm_epsilon=1e-6), "layer_norm_epsilon 1e-06 where"),
    "unscaled": (lambda f: change(f / "config.json", scale_attn_weights=False), "has scale_attn_weights false where"),
    "scaled by layer": (
        lambda f: change(f / "config.json", scale_attn_by_inverse_layer_idx=True),
        "scale_attn_by_inverse_layer_idx true where",
    ),
    "cross attention": (lambda f: change(f / "config.json", add_cross_attention=True), "add_cross_attention true"),
    "wider inside": (lambda f: change(f / "config.json", n_inner=64), "n_inner 64 where gpt-2-simple's GPT-2 has 128"),
    "a head of its own": (lambda f: change_weights(f, untie), r"has an output head \(lm_head\) of its own"),
    "a tensor missing": (
        lambda f: change_weights(f, without("transformer.h.2.ln_2.bias")),
        r"transformer.h.2.ln_2.bias should be \[32\] by config.json and is not there",
    ),
    "another shape": (
        lambda f: change(f / "config.json", n_positions=128),
        r"transformer.wpe.weight should be \[128, 32\] by config.json and is \[64, 32\]",
    ),
    "a layer too many": (
        lambda f: change(f / "config.json", n_layer=2),
        r"has transformer.h.2.attn.c_attn.bias, which no GPT-2 has",
    ),
    "whole numbers": (
        lambda f: change_weights(f, lambda w: {name: x.astype(np.int8) for name, x in w.items()}),
        "as I8: save it in 32 or 16 bits",
    ),
    "more tokens said than there are": (
        lambda f: change(f / "config.json", vocab_size=320),
        r"the tokenizer has 300 tokens and config.json 320 \(vocab_size\)",
    ),
    "no vocabulary": (
        lambda f: remove(f, "tokenizer.json", "vocab.json"),
        "vocab.json cannot be read",
    ),
    "no merges": (
        lambda f: remove(f, "tokenizer.json", "merges.txt"),
        "merges.txt cannot be read",
    ),
    "merges that are none": (
        lambda f: only_merges(f, b"#version: 0.2\na b c\n"),
        "are not a GPT-2 vocabulary",
    ),
    "merges that are no text": (
        lambda f: only_merges(f, b"\xff\xfe"),
        "merges.txt is not text",
    ),
    "another kind of tokenizer": (
        lambda f: change(f / "tokenizer.json", model={"type": "Unigram", "vocab": [["a", 0.0]]}),
        "tokenizer.json is not a GPT-2 tokenizer",
    ),
    "a tokenizer that splits otherwise": (with_prefix_space, "tokenizer.json does not split text as GPT-2 does"),
    "a tokenizer that the library refuses": (
        lambda f: change(f / "tokenizer.json", pre_tokenizer={"type": "Nonsense"}),
        "tokenizer.json is damaged",
    ),
    "a token under two ids": (
        lambda f: change(f / "tokenizer.json", added_tokens=[{"id": 7, "content": END_OF_TEXT}]),
        "under two ids",
    ),
}


@pytest.mark.parametrize("damage", REFUSED)
def test_a_model_that_cannot_come_in_is_refused(theirs: Path, tmp_path: Path, damage: str) -> None:
    break_it, message = REFUSED[damage]
    break_it(theirs)
    with pytest.raises(CheckpointError, match=message) as caught:
        import_(theirs, tmp_path / "out")
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert {path.name for path in tmp_path.iterdir()} <= {"theirs"}


def test_a_run_that_is_there_is_not_imported_over(checkpoint: Path, folder: Path) -> None:
    before = sorted(path.name for path in checkpoint.iterdir())
    with pytest.raises(SettingError, match="which exists: name a new folder"):
        import_(folder, checkpoint)
    assert sorted(path.name for path in checkpoint.iterdir()) == before


def test_an_older_export_is_replaced_and_its_card_kept(checkpoint: Path, theirs: Path, tmp_path: Path) -> None:
    (theirs / "README.md").write_text("card")
    export(checkpoint, theirs, end="5", format="huggingface")
    assert json.loads((theirs / "config.json").read_text())["eos_token_id"] == 5
    assert (theirs / "README.md").read_text() == "card"
    assert list(tmp_path.iterdir()) == [theirs]


def test_somebodys_model_is_left_alone(checkpoint: Path, theirs: Path) -> None:
    """The same files, which transformers wrote: that model may be worth more than this one."""
    change_weights(theirs, lambda weights: weights)
    before = (theirs / "model.safetensors").read_bytes()
    with pytest.raises(SettingError, match="is not a Hugging Face folder that export wrote"):
        export(checkpoint, theirs, format="huggingface")
    assert (theirs / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 8}, "--bits is 8, and a Hugging Face folder keeps all 32"),
        ({"bits": 4}, "--bits is 4"),
        ({"end": "[END]"}, r"--end is '\[END\]', and in a Hugging Face folder a token ends a text"),
        ({"end": "300"}, "--end is token 300"),
    ],
)
def test_an_option_that_means_nothing_here_is_refused(
    checkpoint: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        export(checkpoint, tmp_path / "out", format="huggingface", **options)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert list(tmp_path.iterdir()) == []


def rewrite(checkpoint: Path, folder: Path, **weights: np.ndarray) -> None:
    source = open_checkpoint(checkpoint)
    write_checkpoint(folder, source.hparams, read_weights(source) | weights, vocabulary=checkpoint)


@pytest.mark.parametrize("form", ["huggingface", "gguf"])
def test_a_training_that_went_astray_does_not_go_out(checkpoint: Path, tmp_path: Path, form: Any) -> None:
    rewrite(checkpoint, tmp_path / "run", wpe=np.full((64, 32), np.nan, np.float32))
    with pytest.raises(CheckpointError, match="model/wpe holds numbers that are not finite"):
        export(tmp_path / "run", tmp_path / "out", format=form)
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


@pytest.mark.parametrize("form", ["huggingface", "gguf"])
def test_without_an_end_of_text_one_is_asked_for(tmp_path: Path, form: Any) -> None:
    write_tiny(tmp_path / "run")
    path = tmp_path / "run" / "encoder.json"
    path.write_text(path.read_text().replace(END_OF_TEXT, "nothing"))
    with pytest.raises(SettingError, match=r"--end names no token and .* has no <\|endoftext\|>"):
        export(tmp_path / "run", tmp_path / "out", format=form)
    export(tmp_path / "run", tmp_path / "out", end="5", format=form)


def test_an_end_that_the_vocabulary_skips(tmp_path: Path) -> None:
    write_tiny(tmp_path / "run")
    path = tmp_path / "run" / "encoder.json"
    vocabulary = {text: 400 if number == 5 else number for text, number in json.loads(path.read_text()).items()}
    path.write_text(json.dumps(vocabulary))
    with pytest.raises(SettingError, match=r"--end is token 5, which .*encoder\.json does not have"):
        export(tmp_path / "run", tmp_path / "out", end="5", format="huggingface")
    assert not (tmp_path / "out").exists()
