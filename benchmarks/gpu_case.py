"""How fast does one case train on this GPU? `benchmarks.gpu` runs each case in a process of its own.

Every program is ready (imported, weights and rows made) before it is told to go on, so that it can get ready beside the case
before it. It touches the GPU only then. Its first step is timed from the weights in memory to the first loss: that includes
compiling. Then it trains for about two seconds and waits for the last loss.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.engine.bundle import Hparams

Program = Literal["ours", "transformers", "jax", "torch"]
Rows = Literal["full", "packed", "product"]
Figures = dict[str, Any]
SHAPES = {
    "124M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12),
    "355M": Hparams(n_vocab=50257, n_ctx=1024, n_embd=1024, n_head=16, n_layer=24),
}
TINY = Hparams(n_vocab=512, n_ctx=64, n_embd=32, n_head=2, n_layer=2)
BATCHES = 8
"""Different batches, which are made before the clock starts and taken in turn."""


@dataclass(frozen=True)
class Scale:
    """How large and how long: everything, or with --tiny what a CPU does in moments."""

    shapes: dict[str, Hparams]
    seconds: float
    product: int


FULL_SCALE = Scale(SHAPES, seconds=2.0, product=8192)
TINY_SCALE = Scale(dict.fromkeys(SHAPES, TINY), seconds=0.1, product=256)


@dataclass(frozen=True)
class Case:
    """One row of the table: a program that trains, or the product of two large matrices through one library."""

    program: Program
    model: str
    precision: Literal["bfloat16", "float32"]
    rows: Rows
    batch: int

    @property
    def name(self) -> str:
        return "-".join(str(value) for value in dataclasses.astuple(self) if value)


def flops_per_token(shape: Hparams, attended: float) -> float:
    """Operations of the forward and backward pass for a token: 6N + 12·L·E·T (PaLM, arXiv 2204.02311, appendix B).

    N: parameters, L: layers, E: width, T (`attended`): the length of what a token may attend to.
    """
    from finetune.checkpoint import variable_shapes

    parameters = sum(math.prod(each) for each in variable_shapes(shape).values())
    return 6 * parameters + 12 * shape.n_layer * shape.n_embd * attended


def document_lengths(rows: Rows, tokens: int, window: int) -> NDArray[np.int64]:
    """The lengths of at least this many tokens of documents.

    Full rows are documents as long as the window. Packed documents are ragged: log-normal, with a median of 60 tokens where
    the window is 1,024, as comments have.
    """
    if rows == "full":
        return np.full(-(-tokens // window), window)
    median = window * 60 / 1024
    drawn = np.random.default_rng(0).lognormal(math.log(median), 0.8, int(2 * tokens / median))
    lengths = np.clip(drawn, 2, window).astype(np.int64)
    return lengths[: int(np.searchsorted(np.cumsum(lengths), tokens)) + 1]


def ours(case: Case, scale: Scale) -> Callable[[], Figures]:
    """The Trainer of this project on JAX, with the options that `train` has by default."""
    import jax

    from finetune.checkpoint import initial_weights
    from finetune.data.packing import Packed, batch
    from finetune.data.prepared import Documents
    from finetune.training.options import TrainingOptions
    from finetune.training.trainer import Trainer

    shape = scale.shapes[case.model]
    end = shape.n_vocab - 1
    lengths = document_lengths(case.rows, BATCHES * case.batch * shape.n_ctx, shape.n_ctx)
    tokens = np.random.default_rng(1).integers(end, size=lengths.sum(), dtype=np.uint16)
    ends = np.cumsum(lengths)
    tokens[ends - 1] = end
    packed = Packed(Documents(tokens, np.zeros(len(tokens), np.uint8), ends), end, shape.n_ctx)
    batches = [batch(packed, number, case.batch) for number in range(BATCHES)]
    weights = initial_weights(shape)
    options = TrainingOptions(data=Path(), out=Path(), batch_size=case.batch, precision=case.precision)

    def go() -> Figures:
        began = time.perf_counter()
        trainer = Trainer(options, shape, weights, end, packed.segments)
        first_loss = float(trainer.step(batches[:1]))
        figures = {"first_step_s": time.perf_counter() - began, "first_loss": first_loss}
        figures |= timed(lambda number: trainer.step([batches[number % BATCHES]]), scale.seconds)
        counted = float(np.mean([each.counted for each in batches]))
        attended = float((lengths**2).sum() / lengths.sum())
        figures |= rates(figures, counted, flops_per_token(shape, attended))
        figures["counted_share"] = counted / (case.batch * shape.n_ctx)
        memory = jax.devices()[0].memory_stats()
        return figures | {"peak_gb": memory["peak_bytes_in_use"] / 1e9 if memory else None}

    return go


def transformers(case: Case, scale: Scale) -> Callable[[], Figures]:
    """The peer: GPT2LMHeadModel with torch.compile, as fast as it is usually set up, and trained in the same way as ours."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = scale.shapes[case.model]
    config = GPT2Config(
        vocab_size=shape.n_vocab, n_positions=shape.n_ctx, n_embd=shape.n_embd, n_layer=shape.n_layer, n_head=shape.n_head,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, attn_implementation="sdpa",
        bos_token_id=shape.n_vocab - 1, eos_token_id=shape.n_vocab - 1,
    )  # fmt: skip
    drawn = np.random.default_rng(1).integers(shape.n_vocab, size=(BATCHES, case.batch, shape.n_ctx))
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def go() -> Figures:
        batches = torch.from_numpy(drawn).pin_memory() if device == "cuda" else torch.from_numpy(drawn)
        began = time.perf_counter()
        torch.set_float32_matmul_precision("high")  # TF32 in float32, which is JAX's default.
        with torch.device(device):
            model = GPT2LMHeadModel(config).train()
        compiled = torch.compile(model)
        optimizer = torch.optim.AdamW(decayed(model.parameters()), lr=1e-4, eps=1e-8, fused=True)

        def step(number: int) -> Any:
            tokens = batches[number % BATCHES].to(device, non_blocking=True)
            with torch.autocast(device, torch.bfloat16, enabled=case.precision == "bfloat16"):
                loss = compiled(input_ids=tokens, labels=tokens).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.detach()

        first_loss = float(step(0))
        figures = {"first_step_s": time.perf_counter() - began, "first_loss": first_loss}
        figures |= timed(step, scale.seconds)
        figures |= rates(figures, case.batch * shape.n_ctx, flops_per_token(shape, shape.n_ctx))
        return figures | {"peak_gb": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None}

    return go


def decayed(parameters: Any) -> list[dict[str, Any]]:
    """Matrices and embeddings are decayed; biases and the gains of layer norms are not. As in our Trainer."""
    every = list(parameters)
    matrices, others = ([each for each in every if (each.dim() > 1) is matrix] for matrix in (True, False))
    return [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]


def product_of_jax(case: Case, scale: Scale) -> Callable[[], Figures]:
    import jax

    def go() -> Figures:
        keys = jax.random.split(jax.random.key(0))
        left, right = (jax.random.normal(key, (scale.product, scale.product), jax.numpy.bfloat16) for key in keys)
        multiply = jax.jit(jax.numpy.matmul)
        return product_rate(lambda: multiply(left, right), lambda product: float(product[0, 0]), scale)

    return go


def product_of_torch(case: Case, scale: Scale) -> Callable[[], Figures]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def go() -> Figures:
        left, right = torch.randn(2, scale.product, scale.product, device=device, dtype=torch.bfloat16)
        return product_rate(lambda: left @ right, lambda product: float(product[0, 0]), scale)

    return go


def product_rate(multiply: Callable[[], Any], wait: Callable[[Any], float], scale: Scale) -> Figures:
    """The best of three runs of a hundred products."""
    wait(multiply())
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(100):
            product = multiply()
        wait(product)
        seconds.append((time.perf_counter() - began) / 100)
    return {"tflops": 2 * scale.product**3 / min(seconds) / 1e12}


def timed(step: Callable[[int], Any], seconds: float) -> Figures:
    """Steps for about so many seconds. They are sent off one after the other, and only the last loss is waited for."""
    float(step(1))
    began = time.perf_counter()
    float(step(2))
    steps = max(3, round(seconds / (time.perf_counter() - began)))
    began = time.perf_counter()
    for number in range(steps):
        loss = step(number)
    last = float(loss)
    taken = time.perf_counter() - began
    if not math.isfinite(last):
        raise ArithmeticError(f"the loss is {last} after {steps} steps")
    return {"step_ms": 1000 * taken / steps, "steps": steps, "last_loss": last}


def rates(figures: Figures, tokens: float, flops: float) -> Figures:
    """Tokens and operations a second, from the tokens of a step and the operations of a token."""
    speed = tokens / (figures["step_ms"] / 1000)
    return {"tokens_per_s": speed, "tflops": speed * flops / 1e12}


def program_of(case: Case) -> Callable[[Case, Scale], Callable[[], Figures]]:
    programs = {"ours": ours, "transformers": transformers, "jax": product_of_jax, "torch": product_of_torch}
    return programs[case.program]


def reason(error: BaseException) -> str:
    """One short line that says why a case failed."""
    from finetune.out_of_memory import is_out_of_memory

    if is_out_of_memory(error):
        return "out of memory"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def main(arguments: Sequence[str]) -> None:
    """`python -m benchmarks.gpu_case CASE RESULT`: get ready, wait for a line, write the figures or why there are none."""
    described, result = json.loads(arguments[0]), Path(arguments[1])
    tiny = described.pop("tiny")
    case = Case(**described)
    try:
        go = program_of(case)(case, TINY_SCALE if tiny else FULL_SCALE)
        if not sys.stdin.readline():
            return  # Who started it is gone.
        figures = go()
    except Exception as error:  # Whatever it is, the table says it and the next case runs.
        figures = {"failed": reason(error)}
    result.write_text(json.dumps(figures))
    sys.stdout.flush()
    os._exit(0)  # At once: compilers' workers and libraries' clean-up would take seconds.


if __name__ == "__main__":
    main(sys.argv[1:])
