"""What the figures of `benchmarks.speed` say: medians, ratios in the same round, and shares of the memory's bandwidth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender


def megabytes(path: Path) -> float:
    """What a file, or a folder with all in it, takes on the disk."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 1)


def weight_bytes(contender: Contender) -> float:
    """What one step reads of the weights. For a graph of ours, all that is not a table of which a row is looked up."""
    folder = contender.files()
    graph = folder / ("batch.onnx" if contender.rows > 1 else "model.onnx")
    return graph_bytes(graph) if graph.exists() else contender.weight_bytes


def graph_bytes(path: Path) -> float:
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    looked_up = {
        name for node in graph.node if node.op_type.startswith("Gather") for name in (node.input[0], *node.input[2:])
    }
    return sum(
        float(math.prod(tensor.dims)) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        for tensor in graph.initializer
        if tensor.name not in looked_up
    )


Figures = Sequence[float | None]


def median(figures: Figures) -> float | None:
    found = [figure for figure in figures if figure is not None]
    return statistics.median(found) if found else None


def ratio(ours: Figures, theirs: Figures) -> float | None:
    """The median of the ratios of figures that were measured in the same round."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a is not None and b is not None]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def share(program: dict[str, Any], case: str, gb_per_s: float) -> float | None:
    """What a step read a second, of what the memory gives."""
    rate, rows = median(program["cases"].get(case, [])), int(case.rpartition("x")[2])
    return rate / rows * program["step_mb"][case] / 1e3 / gb_per_s if rate else None
