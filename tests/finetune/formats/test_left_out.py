"""What an imported model cannot keep is said, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from app.engine.checkpoint_folder import open_checkpoint
from finetune.checkpoint import read_weights
from finetune.commands.import_ import import_
from tests.conftest import TEXTS
from tests.finetune.formats.huggingface_folders import as_old_vocabulary, change, change_weights


def add_tokens(folder: Path, *texts: str) -> None:
    """As tokenizer.add_special_tokens does, which leaves the embedding as it is."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(list(texts))
    tokenizer.save(str(folder / "tokenizer.json"))


def say_one_more(folder: Path) -> None:
    """As `model.config.vocab_size = len(tokenizer)` does."""
    add_tokens(folder, "[PAD]")
    change(folder / "config.json", vocab_size=301)


def add_token_to_old_files(folder: Path) -> None:
    as_old_vocabulary(folder)
    (folder / "added_tokens.json").write_text('{"[PAD]": 300}')


def list_token_in_vocabulary(folder: Path) -> None:
    as_old_vocabulary(folder)
    change(folder / "vocab.json", **{"[PAD]": 300})


def pad_embedding(folder: Path, rows: int = 320) -> None:
    def padded(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        wte = weights["transformer.wte.weight"]
        return weights | {
            "transformer.wte.weight": np.concatenate([wte, np.full((rows - len(wte), 32), 5.0, np.float32)])
        }

    change_weights(folder, padded)
    change(folder / "config.json", vocab_size=rows)


def pad_head_too(folder: Path) -> None:
    pad_embedding(folder)
    change_weights(folder, lambda weights: weights | {"lm_head.weight": weights["transformer.wte.weight"]})


def pad_and_add(folder: Path) -> None:
    add_tokens(folder, "[PAD]")
    pad_embedding(folder)


def with_value_head(folder: Path) -> None:
    """TRL saves the model under a name of its own, beside the head that predicts rewards."""
    change_weights(
        folder,
        lambda weights: (
            {f"pretrained_model.{name}": w for name, w in weights.items()}
            | {"v_head.summary.weight": np.ones((1, 32), np.float32)}
        ),
    )


def in_64_bits(folder: Path) -> None:
    change_weights(folder, lambda weights: {name: w.astype(np.float64) for name, w in weights.items()})


def with_chat_template(folder: Path) -> None:
    change(
        folder / "tokenizer_config.json",
        chat_template="{% for message in messages %}{{ message['content'] }}{% endfor %}",
    )


def with_prefix_space(folder: Path) -> None:
    as_old_vocabulary(folder)
    (folder / "tokenizer_config.json").write_text('{"add_prefix_space": true}')


LEFT_OUT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a padding token": (
        lambda f: add_tokens(f, "[PAD]"),
        "Left out: the token [PAD], for which the embedding has no row.",
    ),
    "a padding token in old files": (add_token_to_old_files, "Left out: the token [PAD], for which the embedding"),
    "a padding token in the vocabulary": (
        list_token_in_vocabulary,
        "Left out: the token [PAD], for which the embedding",
    ),
    "many tokens": (
        lambda f: add_tokens(f, *(f"<{number}>" for number in range(9))),
        "Left out: the tokens <0>, <1>, <2>, <3>, <4> and 4 more, for which the embedding has no row.",
    ),
    "a token with a space": (
        lambda f: add_tokens(f, "[A B]"),
        "Left out: the token [A B], for which the embedding has no row.",
    ),
    "the vocabulary said larger than it is": (
        say_one_more,
        "config.json says vocab_size 301; the 300 rows of the embedding count.",
    ),
    "rows that pad": (pad_embedding, "Left out: the last 20 rows of the embedding, which have no token."),
    "rows that pad, in the head too": (pad_head_too, "Left out: the last 20 rows of the embedding"),
    "weights in 64 bits": (in_64_bits, "Rounded from 64 to 32 bits: the weights in model.safetensors."),
    "a value head": (with_value_head, "Left out: v_head.summary.weight, which does not write text."),
    "a chat template": (with_chat_template, "Left out: the chat template, which is none that the app knows"),
    "a space before each text": (
        with_prefix_space,
        "Left out: the space before each text (add_prefix_space). Begin prompts with one.",
    ),
    "an end of text": (lambda _: None, "By config.json its texts end with token 299: `export --end 299`."),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_said_and_nothing_else_changes(
    checkpoint: Path, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """A tokenizer with [PAD] beside an embedding without its row was refused: forums advise to add the token, not the row."""
    alter, said = LEFT_OUT[case]
    alter(theirs)
    import_(str(theirs), out=tmp_path / "out")
    assert said in capsys.readouterr().out
    ours, original = open_checkpoint(tmp_path / "out"), open_checkpoint(checkpoint)
    assert ours.hparams == original.hparams
    assert all(np.array_equal(w, read_weights(original)[name]) for name, w in read_weights(ours).items())
    assert (tmp_path / "out/encoder.json").read_bytes() == (checkpoint / "encoder.json").read_bytes()
    assert ours.tokenizer.encode(TEXTS[0]) == original.tokenizer.encode(TEXTS[0])


def test_a_padding_token_that_has_a_row_in_a_padded_embedding_is_kept(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pad_and_add(theirs)
    import_(str(theirs), out=tmp_path / "out")
    ours = open_checkpoint(tmp_path / "out")
    assert (ours.hparams.n_vocab, ours.tokenizer.decode([300])) == (301, "[PAD]")
    assert np.array_equal(read_weights(ours)["wte"][300], np.full(32, 5.0, np.float32))
    said = capsys.readouterr().out
    assert "Left out: the last 19 rows of the embedding" in said
    assert "In a prompt, the added token [PAD] will be read as ordinary text." in said


def test_ids_without_a_token_get_names(theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_old_vocabulary(theirs)
    (theirs / "added_tokens.json").write_text('{"[PAD]": 319}')
    pad_embedding(theirs)
    import_(str(theirs), out=tmp_path / "out")
    ours = open_checkpoint(tmp_path / "out")
    assert ours.tokenizer.decode([300, 319]) == "[unused300][PAD]"
    assert "Added: names for 19 ids without a token, such as [unused300]." in capsys.readouterr().out


def test_a_model_without_biases_gets_biases_of_zero(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """NanoGPT trains so. A model that lacks only some of its biases is damaged."""
    change_weights(theirs, lambda weights: {name: w for name, w in weights.items() if not name.endswith(".bias")})
    import_(str(theirs), out=tmp_path / "out")
    weights = read_weights(open_checkpoint(tmp_path / "out"))
    assert not any(w.any() for name, w in weights.items() if name.endswith("/b"))
    assert "Added: biases of 0" in capsys.readouterr().out
