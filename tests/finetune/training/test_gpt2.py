"""The network: the same logits as gpt-2-simple, attention within documents, the unlikelihood loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.tensorflow import TensorflowEngine
from finetune.checkpoint import newest_whole


def test_gpt_2_simple_reads_what_was_trained_here(finished: Path, keras: Callable[..., Any]) -> None:
    """Its own model and its own loader give the same logits as the network that trained."""
    tokens = np.arange(30)
    theirs = TensorflowEngine(finished).all_logits(tokens)
    assert np.abs(theirs - keras(keras_logits, finished, tokens)).max() < 1e-4


def keras_logits(folder: Path, tokens: np.ndarray) -> np.ndarray:
    from keras import ops

    from finetune.training.gpt2 import GPT2

    source, weights = newest_whole(folder)
    model = GPT2(source.hparams)
    model.load(weights)
    inputs = {
        "tokens": tokens[None],
        "positions": np.arange(len(tokens))[None],
        "segments": np.ones((1, len(tokens)), np.int32),
    }
    return np.asarray(ops.convert_to_numpy(model.head(model(inputs)))[0])


def test_documents_in_one_row_do_not_attend_to_each_other(base: Path, keras: Callable[..., Any]) -> None:
    together, alone = keras(packed_and_alone, base / "init")
    assert np.abs(together - alone).max() < 1e-5


def packed_and_alone(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from keras import ops

    from finetune.training.gpt2 import GPT2

    source, weights = newest_whole(folder)
    model = GPT2(source.hparams)
    model.load(weights)
    tokens = np.arange(20)[None]
    row = {
        "tokens": tokens,
        "positions": np.array([[*range(8), *range(12)]]),
        "segments": np.array([[1] * 8 + [2] * 12]),
    }
    second = {name: array[:, 8:] for name, array in row.items()}
    together, alone = (ops.convert_to_numpy(model(inputs)) for inputs in (row, second))
    return together[:, 8:], alone


def test_unlikelihood_is_the_loss_of_the_paper(base: Path, keras: Callable[..., Any]) -> None:
    """-log p of the target, and -a log(1 - p) for each token of the set of earlier tokens without it (arXiv 1908.04319)."""
    logits, loss, tokens, targets = keras(unlikelihood_loss, base / "init")
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
    expected = []
    for segment in (range(5), range(5, 12)):
        for at in segment:
            earlier = {tokens[place] for place in segment if place <= at} - {targets[at], 299}
            expected.append(-np.log(p[at, targets[at]]) - 0.5 * sum(np.log(1 - p[at, token]) for token in earlier))
    assert loss == pytest.approx(np.mean(expected), abs=1e-4)


def unlikelihood_loss(folder: Path) -> tuple[np.ndarray, float, list[int], list[int]]:
    from keras import ops

    from finetune.training.gpt2 import GPT2

    source, weights = newest_whole(folder)
    model = GPT2(source.hparams, unlikelihood=0.5, end=299)
    model.load({name: w * 8 if w.ndim > 1 else w for name, w in weights.items()})
    # The second document has an end of text inside it, as conversations do, and the token 7 twice.
    tokens = [299, 5, 6, 5, 9, 299, 7, 7, 299, 8, 7, 4]
    targets = [5, 6, 5, 9, 299, 7, 7, 299, 8, 7, 4, 299]
    inputs = {
        "tokens": np.array([tokens]),
        "positions": np.array([[*range(5), *range(7)]]),
        "segments": np.array([[1] * 5 + [2] * 7]),
    }
    hidden = model(inputs)
    x = {name: ops.convert_to_tensor(array, "int32") for name, array in inputs.items()}
    loss = model.mean_loss(x, ops.convert_to_tensor([targets], "int32"), ops.ones((1, 12)), 12.0, training=True)
    return ops.convert_to_numpy(model.head(hidden))[0].astype(np.float64), float(loss), tokens, targets
