"""GPT-2 as an ONNX graph for texts that are written beside each other, each at its own position.

One pass reads the next token of each running row and, beside them, a chunk of one more text.

Inputs   tokens, positions int64 [tokens]: of the rows first, then of the chunk
         pick int64 [picked]: the tokens whose logits are wanted
         row_last int32 [rows], chunk_last int32 [1]: the index of the newest position; row_total, chunk_total int32 scalar:
         positions of the KV cache that are in use, of the longest row
         rows_to, chunk_from, chunk_to, from, to int64 [1]: where rows end and the chunk begins and ends among the tokens, and
         which part of (rows, chunk) the pass goes on with
         past_key_N, past_value_N int8 [rows, n_head, capacity, n_embd / n_head], chunk_past_key_N, chunk_past_value_N
         float32 [1, …] for each layer
Outputs  logits float32 [picked, n_vocab]; key_N, value_N, chunk_key_N, chunk_value_N, to be bound to the memory of past_*;
         chunk_N int8 [chunk, 2 * n_embd]: keys and values of the chunk, rounded

A text's bits depend on nothing but its own tokens. Projections are sums of integers (`projections`, columns), all else works
on one token alone, and attention on one row. The KV cache has 8 bits, with a scale for each channel. Running rows read it
as it is. The chunk attends in float32, to keys and values that have been rounded and restored: those that the 8-bit cache
has. So it does not matter how a text was cut into chunks, nor which of its beginning had been read before.

`com.microsoft.GroupQueryAttention` must never get zero rows, which ends the process. So a pass without a chunk passes the
first row's token as the chunk too, over a cache of one position, and cuts its result off; a pass without rows does the same
the other way round.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from app.engine.bundle import Hparams
from app.engine.slots import SCALES
from finetune.checkpoint import Array
from finetune.export.graph import Gpt2Graph, GraphOptions
from finetune.export.quantization import SMALL_BLOCK

BOUNDS = ("rows_to", "chunk_from", "chunk_to", "from", "to")
CacheScales = Sequence[tuple[Array, Array]]
"""For each layer the scales of keys and values, [n_embd] each."""


class BatchGraph(Gpt2Graph):
    """Builds the graph of one model."""

    def __init__(self, hparams: Hparams, weights: Mapping[str, Array], scales: CacheScales) -> None:
        super().__init__(hparams, weights, GraphOptions(8, "columns", {}))
        self.scales = scales

    @property
    def embedding_block(self) -> int:
        return SMALL_BLOCK

    def attend(self, qkv: str, layer: int) -> str:
        """Attention of the rows and of the chunk, [tokens, n_embd]."""
        graph, name, width = self.graph, f"h{layer}", self.hparams.n_embd
        rows = graph.add("Slice", [qkv, graph.integers("start", [0]), "rows_to"], f"{name}/rows")
        chunk = graph.add("Slice", [qkv, "chunk_from", "chunk_to"], f"{name}/chunk")
        rows = graph.add("Reshape", [rows, graph.integers("rows_shape", [-1, 1, 3 * width])], f"{name}/rows_in")
        rounded = self.round_cached(chunk, layer)
        chunk = graph.add("Reshape", [rounded, graph.integers("chunk_shape", [1, -1, 3 * width])], f"{name}/chunk_in")
        flat = graph.integers("flat_shape", [-1, width])
        both = [self.attend_rows(rows, layer), self.attention(chunk, layer, "chunk_", "chunk_last", "chunk_total")]
        both = [graph.add("Reshape", [part, flat], f"{part}.flat") for part in both]
        return graph.add("Slice", [graph.add("Concat", both, f"{name}/both", axis=0), "from", "to"], f"{name}/mixed")

    def attend_rows(self, qkv: str, layer: int) -> str:
        heads = self.hparams.n_head
        scales = [
            self.graph.constant(f"{part}_scales_{layer}", values.reshape(heads, 1, -1))
            for part, values in zip(("key", "value"), self.scales[layer], strict=True)
        ]
        more = {"kv_cache_bit_width": 8, "k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL"}
        return self.attention(qkv, layer, "", "row_last", "row_total", scales=[""] * 5 + scales, **more)

    def round_cached(self, qkv: str, layer: int) -> str:
        """Keys and values as the 8-bit cache restores them. Rounded, they are an output.

        QuantizeLinear and DequantizeLinear with a scale for each channel take ten times as long as these nodes.
        """
        graph, name, width = self.graph, f"h{layer}", self.hparams.n_embd
        scales = np.concatenate(self.scales[layer])
        sizes = graph.integers("qkv_sizes", [width, 2 * width])
        graph.add("Split", [qkv, sizes], f"{name}/q", more=(f"{name}/kv",), axis=1)
        inverse = graph.constant(f"{name}/inverse", (1 / scales).astype(np.float32))
        unit = [graph.constant("one", np.array(1, np.float32)), graph.constant("kv_zero", np.array(0, np.int8))]
        steps = graph.add("Mul", [f"{name}/kv", inverse], f"{name}/steps")
        rounded = graph.add("QuantizeLinear", [steps, *unit], f"chunk_{layer}")
        whole = graph.add("Cast", [rounded], f"{name}/whole", to=TensorProto.FLOAT)
        restored = graph.add("Mul", [whole, graph.constant(f"{name}/scales", scales)], f"{name}/restored")
        return graph.add("Concat", [f"{name}/q", restored], f"{name}/qkv", axis=1)

    def pick(self, x: str) -> str:
        return self.graph.add("Gather", [x, "pick"], "picked")

    def build(self) -> onnx.ModelProto:
        model = super().build()
        scales = np.array(self.scales, np.float32)
        helper.set_model_props(model, {SCALES: base64.b64encode(scales.tobytes()).decode()})
        return model

    def interface(self) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
        """The graph's inputs and outputs."""
        info, hparams = helper.make_tensor_value_info, self.hparams
        inputs = [info(name, TensorProto.INT64, ["tokens"]) for name in ("tokens", "positions")]
        inputs += [
            info("pick", TensorProto.INT64, ["picked"]),
            *(info(name, TensorProto.INT64, [1]) for name in BOUNDS),
        ]
        for name, texts in (("row", "rows"), ("chunk", 1)):
            inputs += [info(f"{name}_last", TensorProto.INT32, [texts]), info(f"{name}_total", TensorProto.INT32, [])]
        outputs = [info("logits", TensorProto.FLOAT, ["picked", hparams.n_vocab])]
        rows, chunk = self.caches("", "rows", TensorProto.INT8), self.caches("chunk_", 1, TensorProto.FLOAT)
        rounded: list[str | int | None] = ["chunk", 2 * hparams.n_embd]
        outputs += [info(f"chunk_{layer}", TensorProto.INT8, rounded) for layer in range(hparams.n_layer)]
        return inputs + rows[0] + chunk[0], outputs + rows[1] + chunk[1]


def build_batch_graph(hparams: Hparams, weights: Mapping[str, Array], scales: CacheScales) -> onnx.ModelProto:
    """The graph that the module's docstring describes, with weights of 8 bits."""
    return BatchGraph(hparams, weights, scales).build()
