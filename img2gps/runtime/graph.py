"""The graph of an exported model in onnxruntime: pixels in, distributions and matches out."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.errors import DeviceError, InvalidCheckpointError, UsageError
from img2gps.runtime.description import GALLERY, MODEL, Description
from img2gps.runtime.tensors import read_arrays
from img2gps.text import safe_path, safe_text

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["Graph"]

_AT_ONCE: Final = 8  # photos per pass: bounds the memory of their maps
_ERRORS_ONLY: Final = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A session of onnxruntime and the gallery that it is given beside the photos."""

    session: "InferenceSession"
    gallery: dict[str, NDArray[Any]]
    batch: int

    @classmethod
    def load(cls, folder: Path, description: Description, *, threads: int = 0) -> Self:
        """Return the graph of an export on the CPU; `threads` is 0 for onnxruntime's own choice.

        Raises UsageError where onnxruntime is not installed, InvalidCheckpointError where a file is missing or damaged.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(
                "An exported model needs onnxruntime: install it with `pip install 'img2gps[runtime]'`."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        path = folder / MODEL
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own types, one per kind of damage
            reason = safe_text(str(error).splitlines()[0], limit=120)
            raise InvalidCheckpointError(f"{safe_path(path)} cannot be loaded ({reason}): export again.") from error
        gallery = read_arrays(folder / GALLERY) if description.compares else {}
        return cls(session=session, gallery=gallery, batch=min(description.batch or _AT_ONCE, _AT_ONCE))

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Return the outputs of a uint8 batch (N, 3, height, width), N >= 1, by name, each with N first.

        Raises DeviceError where memory runs out.
        """
        names = [output.name for output in self.session.get_outputs()]
        parts: list[list[NDArray[Any]]] = [self._pass(chunk, names) for chunk in self._chunks(images)]
        outputs = {name: np.concatenate([part[k] for part in parts]) for k, name in enumerate(names)}
        return {name: values[: len(images)] for name, values in outputs.items()}

    def _pass(self, images: NDArray[np.uint8], names: list[str]) -> list[NDArray[Any]]:
        given = {part.name for part in self.session.get_inputs()}
        inputs = {"images": images} | {name: values for name, values in self.gallery.items() if name in given}
        try:
            found: list[NDArray[Any]] = self.session.run(names, inputs)
        except MemoryError as error:
            raise DeviceError("There is not enough memory for the model: close other programs.") from error
        except Exception as error:  # onnxruntime's own types
            reason = safe_text(str(error).splitlines()[0], limit=160)
            raise InvalidCheckpointError(f"The exported model does not work ({reason}): export again.") from error
        return found

    def _chunks(self, images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(images), self.batch):
            yield np.ascontiguousarray(images[start : start + self.batch])
