"""How fast does one case train on this GPU? `benchmarks.gpu` runs each case in a process of its own.

`python -m benchmarks.gpu_programs CASE RESULT` imports the case's program and makes weights and rows. Then it waits for a line on
its standard input, so that it can get ready beside the case before it, and touches the GPU only after that. The first step is
timed from the weights in memory to the first loss, which includes compiling.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.engine.bundle import Hparams
from benchmarks.gpu_case import (
    BATCHES,
    FULL_SCALE,
    TINY_SCALE,
    Case,
    Figures,
    Scale,
    document_lengths,
    rates,
    timed,
)
from finetune.training.model_flops import flops_per_token

MOST_STEPS = 1_000_000


def ours(case: Case, scale: Scale) -> Callable[[], Figures]:
    """The Trainer of this project on JAX, with the options that `train` has by default. Rows are filled ahead, as there."""
    import jax

    from finetune.checkpoint import initial_weights
    from finetune.data.packing import Packed, batch
    from finetune.data.prepared import Documents
    from finetune.training.batches_ahead import batches_ahead
    from finetune.training.options import TrainingOptions
    from finetune.training.trainer import Trainer

    shape = scale.shapes[case.model]
    end = shape.n_vocab - 1
    lengths = document_lengths(case.rows, BATCHES * case.batch * shape.n_ctx, shape.n_ctx)
    tokens = np.random.default_rng(1).integers(end, size=lengths.sum(), dtype=np.uint16)
    ends = np.cumsum(lengths)
    tokens[ends - 1] = end
    packed = Packed(Documents(tokens, np.zeros(len(tokens), np.uint8), ends), end, shape.n_ctx)
    weights = initial_weights(shape)
    options = TrainingOptions(data=Path(), out=Path(), batch_size=case.batch, precision=case.precision)

    def go() -> Figures:
        began = time.perf_counter()
        trainer = Trainer(options, shape, weights, end, packed.segments)
        ahead = batches_ahead(lambda step: [batch(packed, step, case.batch)], range(MOST_STEPS))
        counted = []

        def step(number: int) -> Any:
            batches = next(ahead)
            counted.append(batches[0].counted)
            return trainer.step(batches)

        first_loss = float(step(0))
        figures: Figures = {"first_step_s": time.perf_counter() - began, "first_loss": first_loss}
        figures |= timed(step, scale.seconds)
        tokens_a_step = float(np.mean(counted[-figures["steps"] :]))
        attended = round(float((lengths**2).sum() / lengths.sum()))
        figures |= rates(figures, tokens_a_step, flops_per_token(shape, attended))
        figures["counted_share"] = tokens_a_step / (case.batch * shape.n_ctx)
        memory = jax.devices()[0].memory_stats()
        return figures | {"peak_gb": memory["peak_bytes_in_use"] / 1e9 if memory else None}

    return go


def transformers(case: Case, scale: Scale) -> Callable[[], Figures]:
    """The peer: GPT2LMHeadModel with torch.compile, set up as it usually is and trained in the same way as ours."""
    import torch
    import torch._inductor.compile_fx  # What torch.compile would import. The first step is without imports, as ours is.
    from transformers import GPT2LMHeadModel  # noqa: F401 - The same.

    shape = scale.shapes[case.model]
    drawn = np.random.default_rng(1).integers(shape.n_vocab, size=(BATCHES, case.batch, shape.n_ctx))
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def go() -> Figures:
        batches = torch.from_numpy(drawn).pin_memory() if device == "cuda" else torch.from_numpy(drawn)
        began = time.perf_counter()
        torch.set_float32_matmul_precision("high")  # TF32 in float32, which is JAX's default.
        model = peer(shape, device, tuned=case.program == "transformers-tuned")
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
        figures: Figures = {"first_step_s": time.perf_counter() - began, "first_loss": first_loss}
        figures |= timed(step, scale.seconds)
        figures |= rates(figures, case.batch * shape.n_ctx, flops_per_token(shape, shape.n_ctx))
        return figures | {"peak_gb": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None}

    return go


def peer(shape: Hparams, device: str, tuned: bool) -> Any:
    """GPT2LMHeadModel with random weights and no dropout.

    Compiled, it hands SDPA a mask, which SDPA's flash kernel does not take, and a warning splits its graph before the loss.
    `tuned` is without both: SDPA under a name for which no mask is made, and a loss that needs no warning.
    """
    import torch
    from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    AttentionInterface.register("sdpa_without_mask", sdpa_attention_forward)
    config = GPT2Config(
        vocab_size=shape.n_vocab, n_positions=shape.n_ctx, n_embd=shape.n_embd, n_layer=shape.n_layer, n_head=shape.n_head,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, bos_token_id=0, eos_token_id=0,
        attn_implementation="sdpa_without_mask" if tuned else "sdpa",
    )  # fmt: skip
    with torch.device(device):
        model = GPT2LMHeadModel(config).train()
    if tuned:
        model.loss_type = "ForCausalLM"
    return model


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


def program_of(case: Case) -> Callable[[Case, Scale], Callable[[], Figures]]:
    return {
        "ours": ours,
        "transformers": transformers,
        "transformers-tuned": transformers,
        "jax": product_of_jax,
        "torch": product_of_torch,
    }[case.program]


def reason(error: BaseException) -> str:
    """One short line that says why a case failed."""
    from finetune.out_of_memory import is_out_of_memory

    if is_out_of_memory(error):
        return "out of memory"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def main(arguments: Sequence[str]) -> None:
    """`python -m benchmarks.gpu_programs CASE RESULT`: get ready, wait for a line, write the figures or why there are none."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # Keras on JAX imports it where it is installed.
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
