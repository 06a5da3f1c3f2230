"""Detectors as ONNX files for tests."""

from pathlib import Path

import numpy as np


def write_detector(path: Path, corners: list[float]) -> Path:
    """Write a detector that answers every picture with one box: corners, score, class."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    answer = numpy_helper.from_array(np.array([[corners]], dtype=np.float32), "answer")
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 96, 96])
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 1, 6])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["answer"], ["boxes"])], "one", [picture], [boxes], [answer]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
