"""Stand-in of ais_bench: computes the .om of the stand-in of ATC with ONNX Runtime, and records its calls.

It checks what the real one takes as bytes: types, shapes and order in memory, and the batches that were compiled.
"""

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime

_TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}


class InferSession:
    """Graph on a chip. `calls` are the mode and the inputs of each call; `freed` counts `free_resource`."""

    opened: list["InferSession"] = []

    def __init__(self, device_id: int, model_path: str) -> None:
        path = Path(model_path)
        if path.read_text() == "not for this chip":
            raise RuntimeError("load model from file failed, ret 145000")
        self._content = json.loads(path.read_text())
        self._graph = onnxruntime.InferenceSession(
            str(path.with_name(self._content["model"])), providers=["CPUExecutionProvider"]
        )
        self.device_id, self.calls, self.freed = device_id, [], 0
        self._context = threading.local()
        self._busy = threading.Lock()
        self.opened.append(self)

    def get_inputs(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(name=value.name, datatype=SimpleNamespace(name=kind), shape=shape)
            for value, kind, shape in zip(self._graph.get_inputs(), *self._expected(), strict=True)
        ]

    def set_context(self) -> None:
        self._context.is_set = True

    def infer(self, feeds: list[np.ndarray], mode: str = "static") -> list[np.ndarray]:
        assert getattr(self._context, "is_set", False), "this thread has no context of the chip"
        assert self._busy.acquire(blocking=False), "two calls at a time"
        try:
            time.sleep(0.005)  # long enough that calls of several threads would meet
            return self._compute(feeds, mode)
        finally:
            self._busy.release()

    def free_resource(self) -> None:
        self.freed += 1

    def _compute(self, feeds: list[np.ndarray], mode: str) -> list[np.ndarray]:
        self.calls.append((mode, feeds))
        batch = len(feeds[0])
        assert mode == ("dymbatch" if self._content["batches"] else "static")
        assert not self._content["batches"] or batch in self._content["batches"], f"no batch {batch}"
        for value, kind, shape in zip(feeds, *self._expected(), strict=True):
            assert value.flags.c_contiguous and value.dtype.name == kind
            assert value.shape == tuple(batch if size == -1 else size for size in shape)
        inputs = {value.name: feed for value, feed in zip(self._graph.get_inputs(), feeds, strict=True)}
        if self._content["aipp"]:
            inputs["crop"] = self._aipp(inputs["crop"])
        return self._graph.run(None, inputs)

    def _expected(self) -> tuple[list[str], list[list[int]]]:
        kinds = [_TYPES[value.type] for value in self._graph.get_inputs()]
        shapes = list(self._content["shapes"])
        if self._content["aipp"]:
            batch, channels, height, width = shapes[0]
            kinds[0], shapes[0] = "uint8", [batch, height, width, channels]
        return kinds, shapes

    def _aipp(self, crops: np.ndarray) -> np.ndarray:
        values = self._content["aipp"]
        assert values["aipp_mode"] == "static" and values["input_format"] == "RGB888_U8"
        assert values["csc_switch"] == values["rbuv_swap_switch"] == "false" and values["related_input_rank"] == "0"
        assert crops.shape[1:3] == (int(values["src_image_size_h"]), int(values["src_image_size_w"]))
        least = [float(values[f"min_chn_{channel}"]) for channel in range(3)]
        scale = [float(values[f"var_reci_chn_{channel}"]) for channel in range(3)]
        return np.ascontiguousarray(((crops - np.float32(least)) * np.float32(scale)).transpose(0, 3, 1, 2))
