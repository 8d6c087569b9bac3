"""What a bundle's graphs must declare for the engine to run them: the shape in the manifest, and the inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.engine.graph_file import ANY, FLOAT, INT8, INT32, INT64, GraphFile, Tensor, read_graph_file
from app.engine.slot_memory import cache_names

if TYPE_CHECKING:
    from app.engine.bundle import Hparams

Tensors = dict[str, Tensor]
BATCH_INPUTS = {
    **dict.fromkeys(("tokens", "positions", "pick"), Tensor(INT64, (ANY,))),
    **dict.fromkeys(("rows_to", "chunk_from", "chunk_to", "from", "to"), Tensor(INT64, (1,))),
    "row_last": Tensor(INT32, (ANY,)),
    "chunk_last": Tensor(INT32, (1,)),
    **dict.fromkeys(("row_total", "chunk_total"), Tensor(INT32, ())),
}
"""Those of a graph for batches, besides its caches."""
INPUTS = {
    "tokens": Tensor(INT64, (ANY, ANY)),
    "positions": Tensor(INT64, (ANY,)),
    "last": Tensor(INT32, (ANY,)),
    "total": Tensor(INT32, ()),
}


def graph_fault(path: Path, hparams: Hparams, batch: bool = False) -> str:
    """How a graph differs from `hparams` or from what the engine runs, in half a sentence; "" if it does not."""
    try:
        graph = read_graph_file(path.read_bytes())
    except ValueError as error:
        return f"is not a graph ({error})"
    for name, value in declared_shape(graph).items():
        if value != (said := getattr(hparams, name)):
            return f"has {name} {value} and the manifest says {said}"
    if not {"wpe"} & graph.embeddings.keys() or not {"wte", "wte.q"} & graph.embeddings.keys():
        return "lacks the embeddings of a GPT-2"
    inputs, outputs = interface(hparams, batch)
    return difference("input", graph.inputs, inputs) or difference("output", graph.outputs, outputs)


def declared_shape(graph: GraphFile) -> dict[str, int]:
    """The hparams of a graph, as far as it declares them."""
    found = {"n_layer": sum(name.startswith("past_key_") for name in graph.inputs)}
    cache = graph.inputs.get("past_key_0", Tensor(0, ())).shape
    if len(cache) == 4:
        found |= {"n_head": cache[1], "n_embd": cache[1] * cache[3]}
    rows = {"n_ctx": graph.embeddings.get("wpe"), "n_vocab": graph.embeddings.get("wte", graph.embeddings.get("wte.q"))}
    return found | {name: shape[0] for name, shape in rows.items() if shape}


def difference(what: str, found: Tensors, expected: Tensors) -> str:
    """The first input or output that is not as expected, in half a sentence."""
    if missing := sorted(expected.keys() - found.keys()):
        return f"lacks the {what} {missing[0]}"
    if unknown := sorted(found.keys() - expected.keys()):
        return f"has the unknown {what} {unknown[0][:40]!r}"
    wrong = next((name for name, tensor in expected.items() if found[name] != tensor), None)
    return f"has the {what} {wrong} in another type or shape" if wrong else ""


def interface(hparams: Hparams, batch: bool) -> tuple[Tensors, Tensors]:
    """The inputs and the outputs of a graph, or of one for batches."""
    names = cache_names(hparams)
    inputs = dict(BATCH_INPUTS if batch else INPUTS)
    outputs = {"logits": Tensor(FLOAT, (ANY, hparams.n_vocab))}
    caches = [("", ANY, INT8), ("chunk_", 1, FLOAT)] if batch else [("", ANY, FLOAT)]
    for prefix, texts, kind in caches:
        cache = Tensor(kind, (texts, hparams.n_head, ANY, hparams.n_embd // hparams.n_head))
        inputs |= {f"{prefix}past_{name}": cache for name in names}
        outputs |= {f"{prefix}{name}": cache for name in names}
    if batch:
        outputs |= {f"chunk_{layer}": Tensor(INT8, (ANY, 2 * hparams.n_embd)) for layer in range(hparams.n_layer)}
    return inputs, outputs
