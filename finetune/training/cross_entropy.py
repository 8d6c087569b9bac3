"""The loss over the vocabulary, in pieces: the logits of a whole batch would take more memory than all other activations.

With GPT-2's 50,257 tokens, the logits of 1,024 positions take 200 MB. A piece's gradients are computed with its loss, while its
logits are there. Keeping the logits of all pieces for the backward pass would cost the memory, computing them again a third
of the projection's time. The gradients are those that automatic differentiation would give.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def cross_entropy(
    hidden: Tensor, table: Tensor, targets: Tensor, weights: Tensor, *, piece: int, multiple: int = 1
) -> Tensor:
    """The sum over all positions of weight · -log p(target), in float32.

    Args:
        hidden: the last layer's output [batch, length, n_embd]
        table: the token embedding, which is the projection transposed, [n_vocab, n_embd]
        targets: [batch, length]
        weights: [batch, length]
        piece: positions of each row whose logits are in memory at the same time
        multiple: pad the vocabulary to a multiple of this; the matrix units of a GPU are slow on 50,257 columns
    """
    n_vocab, length = table.shape[0], hidden.shape[1]

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def total(hidden: Tensor, table: Tensor) -> tuple[Tensor, Any]:
        columns = ops.cast(table, hidden.dtype)
        if extra := -n_vocab % multiple:
            columns = ops.pad(columns, ((0, extra), (0, 0)))
        loss: Tensor = 0.0
        of_hidden: list[Tensor] = []
        of_table: Tensor = 0.0
        for start in range(0, length, piece):
            part = slice(start, min(start + piece, length))
            found = losses_and_gradients(hidden[:, part], columns, targets[:, part], weights[:, part], n_vocab)
            loss += found[0]
            of_hidden.append(found[1])
            of_table += ops.cast(found[2], "float32")

        def gradient(*arguments: Tensor, upstream: Tensor = None) -> tuple[Tensor, Tensor]:
            scale = ops.cast(arguments[0] if upstream is None else upstream, "float32")
            through_hidden = ops.cast(ops.concatenate(of_hidden, axis=1), "float32") * scale
            return ops.cast(through_hidden, hidden.dtype), ops.cast(of_table[:n_vocab] * scale, table.dtype)

        return loss, gradient

    return total(hidden, ops.convert_to_tensor(table))


def losses_and_gradients(
    hidden: Tensor, columns: Tensor, targets: Tensor, weights: Tensor, n_vocab: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a piece, and its gradients by `hidden` and by `columns`."""
    logits = ops.cast(ops.matmul(hidden, ops.transpose(columns)), "float32")
    if n_vocab < columns.shape[0]:
        logits = ops.where(ops.arange(columns.shape[0]) < n_vocab, logits, -float("inf"))
    log_total = ops.logsumexp(logits, axis=-1, keepdims=True)
    log_p = ops.take_along_axis(logits, targets[..., None], axis=-1) - log_total
    loss = -ops.sum(log_p[..., 0] * weights)
    target = ops.one_hot(targets, columns.shape[0])
    of_logits = ops.cast((ops.exp(logits - log_total) - target) * weights[..., None], hidden.dtype)
    return loss, ops.matmul(of_logits, columns), ops.einsum("blv,ble->ve", of_logits, hidden)
