"""The loss over the vocabulary in pieces: the value and the gradients of the whole computed at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def in_pieces_and_whole(piece: int, multiple: int) -> list[list[np.ndarray]]:
    import jax
    from jax import numpy as jnp

    from finetune.training.cross_entropy import cross_entropy

    random = np.random.default_rng(0)
    hidden, table = random.normal(size=(2, 10, 8)).astype("f4"), random.normal(size=(37, 8)).astype("f4")
    targets, weights = random.integers(0, 37, (2, 10)), random.random((2, 10), np.float32)

    def whole(hidden: Any, table: Any) -> Any:
        log_p = jax.nn.log_softmax(hidden @ table.T)
        return -3 * (jnp.take_along_axis(log_p, jnp.asarray(targets)[..., None], -1)[..., 0] * weights).sum()

    def in_pieces(hidden: Any, table: Any) -> Any:
        return 3 * cross_entropy(hidden, table, targets, weights, piece=piece, multiple=multiple)

    return [
        [np.asarray(array) for array in jax.tree.leaves(jax.value_and_grad(loss, (0, 1))(hidden, table))]
        for loss in (in_pieces, whole)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("piece", "multiple"), [(10, 1), (4, 16)])
def test_pieces_and_padding_change_nothing(four_devices: Callable[..., Any], piece: int, multiple: int) -> None:
    pieces, whole = four_devices(in_pieces_and_whole, piece, multiple)
    for one, other in zip(pieces, whole, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)
