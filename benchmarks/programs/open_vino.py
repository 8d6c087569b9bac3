"""How fast is OpenVINO? `python -m benchmarks.programs.open_vino FOLDER` runs what optimum-intel exported."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.programs.worker import TOP_K, clock, ids, serve


class OpenVino:
    def __init__(self, folder: str) -> None:
        import openvino

        options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        self.request = (
            openvino.Core().compile_model(f"{folder}/openvino_model.xml", "CPU", options).create_infer_request()
        )
        self.random = np.random.default_rng(1)

    def write(self, rows: int, prompt: int, steps: int) -> list[float]:
        self.request.reset_state()
        given, ends = np.tile(np.array(ids(prompt)), (rows, 1)), []
        for step in range(steps):
            given = self._step(given, prompt + step - 1 if step else 0)[:, np.newaxis]
            ends.append(clock())
        return ends

    def _step(self, given: Any, start: int) -> Any:
        rows, count = given.shape
        inputs = {
            "input_ids": given,
            "attention_mask": np.ones((rows, start + count), np.int64),
            "position_ids": np.tile(np.arange(start, start + count), (rows, 1)),
            "beam_idx": np.arange(rows, dtype=np.int32),
        }
        self.request.infer(inputs, share_inputs=True, share_outputs=True)
        logits = self.request.get_output_tensor(0).data[:, -1]
        likeliest = np.argpartition(logits, -TOP_K, axis=1)[:, -TOP_K:]
        noisy = np.take_along_axis(logits, likeliest, 1) + self.random.gumbel(size=likeliest.shape)
        return np.take_along_axis(likeliest, noisy.argmax(1)[:, np.newaxis], 1)[:, 0]

    def read(self, prompt: int) -> float:
        began = clock()
        return self.write(1, prompt, 1)[-1] - began


def keep_newest(model: Any) -> None:
    """Compute the logits of the newest token alone, as OpenVINO's own pipelines do."""
    from openvino import opset13

    head = model.output(0).get_node().input_value(0).get_node()
    while head.get_type_name() != "MatMul":
        head = head.input_value(0).get_node()
    newest = opset13.slice(head.input_value(0), *([value] for value in (-1, -2, -1)), [1])
    head.input(0).replace_source_output(newest.output(0))


if __name__ == "__main__":
    serve(lambda: OpenVino(sys.argv[1]))
