"""From a pure function to a file that onnxruntime reads."""

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from img2gps.errors import UsageError
from img2gps.pixels import PixelSpec

if TYPE_CHECKING:
    import onnx

__all__ = ["OPSET", "write_graph"]

OPSET: Final = 20
"""The version of ONNX's operators: onnxruntime reads it since 1.17, onnxruntime-web, too."""

_EXAMPLES: Final = 2  # a batch of one would be taken for a constant
_LEAST_NUMBERS: Final = 1024  # of a tensor that is worth half its bytes


def write_graph(
    path: Path,
    module: nn.Module,
    spec: PixelSpec,
    gallery: Mapping[str, Tensor],
    *,
    outputs: Sequence[str],
    half: bool,
    exact: tuple[str, ...] = (),
) -> int | None:
    """Write the graph of ``module(images, gallery)`` and return how many photos it takes at once, None for any number.

    Inputs are ``images`` (N, 3, height, width) uint8 and the tensors of `gallery` by their names. Where torch cannot
    export a network for any number of photos, N is 1. With `half`, large weights are stored in 16 bits, but for those
    whose names begin with one of `exact`. Raises UsageError where the extra ``export`` is missing, or torch
    can export the network for no number.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise UsageError(
            "To export takes onnx and onnxscript: install them with `pip install 'img2gps[export]'`."
        ) from error
    batch: int | None = None
    try:
        program = _exported(module, spec, gallery, outputs, photos=_EXAMPLES, any_number=True)
    except Exception:  # noqa: BLE001  torch.export raises types of many kinds where a network asks for one size
        batch = 1
        program = _exported_one(module, spec, gallery, outputs)
    model: Any = program.model_proto
    if half:
        _halve(model, exact)
    _name_batch(model, batch)
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path))
    return batch


def _exported_one(module: nn.Module, spec: PixelSpec, gallery: Mapping[str, Tensor], outputs: Sequence[str]) -> Any:
    try:
        return _exported(module, spec, gallery, outputs, photos=1, any_number=False)
    except Exception as error:  # torch.export's own types, with pages of advice for programmers
        raise UsageError(
            "torch cannot export this network to ONNX: train one of convolutions, such as resnet18 or "
            "timm/tf_efficientnet_lite0."
        ) from error


def _exported(
    module: nn.Module,
    spec: PixelSpec,
    gallery: Mapping[str, Tensor],
    outputs: Sequence[str],
    *,
    photos: int,
    any_number: bool,
) -> Any:
    images = torch.zeros(photos, 3, spec.height, spec.width, dtype=torch.uint8)
    sizes = {"images": {0: torch.export.Dim("photos")}, "gallery": [None] * len(gallery)} if any_number else None
    with warnings.catch_warnings(), _quiet(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's own parts, for its developers
        return torch.onnx.export(
            module.eval(),
            (images, list(gallery.values())),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=sizes,
            input_names=["images", *gallery],
            output_names=list(outputs),
            verbose=False,
        )


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep what torch's exporter prints and logs for its developers off the terminal."""
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _halve(model: "onnx.ModelProto", exact: tuple[str, ...]) -> None:
    """Store large float32 weights in 16 bits, each followed by a cast: computation stays in 32 bits."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != onnx.TensorProto.FLOAT or values.size < _LEAST_NUMBERS:
            continue
        if tensor.name.startswith(exact):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), name=f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _name_batch(model: "onnx.ModelProto", batch: int | None) -> None:
    """Give the number of photos one name, whatever torch calls it."""
    if batch is not None:
        return
    for value in (*model.graph.input[:1], *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "photos"
