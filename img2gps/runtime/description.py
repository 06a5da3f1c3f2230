"""``model.json``: everything about an exported model that is no tensor."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from img2gps.errors import InvalidCheckpointError, NotFoundError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.pixels import PixelSpec
from img2gps.text import safe_path, safe_text

__all__ = [
    "BASEMAP",
    "FORMAT_VERSION",
    "GALLERY",
    "MODEL",
    "MODEL_JSON",
    "SITE",
    "THUMBNAILS",
    "Description",
    "RegionScale",
]

FORMAT_VERSION: Final = 1
MODEL: Final = "model.onnx"
MODEL_JSON: Final = "model.json"
GALLERY: Final = "gallery.safetensors"
THUMBNAILS: Final = "thumbnails"
SITE: Final = "site.geojson"
BASEMAP: Final = "basemap.geojson"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RegionScale:
    """How far regions are stretched so that they hold what they claim: `train.models.calibration.Calibration`."""

    temper: float
    inflation_50: float
    inflation_90: float

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """Return the stretch of a table of model.json. Raises KeyError, TypeError or ValueError."""
        return cls(**{field.name: _finite(value[field.name]) for field in dataclasses.fields(cls)})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A model as its ``model.json`` describes it; `values` is all of that file.

    `centres` (C, 2) are the places its cells stand for, east and north in metres of `frame`. They are None for a model
    that gives a point alone; `target` turns its numbers into metres or degrees. `held_out` (M,), ascending, is how
    similar photos of the site are. `batch` is how many photos its graph takes at once, None for any number.
    """

    values: Mapping[str, Any]
    pixels: PixelSpec
    frame: LocalFrame
    batch: int | None
    answer: str
    bandwidth_m: float
    centres: FloatArray | None
    cell_m: float
    alone: RegionScale | None
    walks: RegionScale | None
    held_out: FloatArray
    target: Mapping[str, Any] | None
    gallery_ids: tuple[str, ...] | None

    @property
    def compares(self) -> bool:
        """Whether the model compares photos with a gallery."""
        return self.values.get("gallery") is not None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the description of the export in `folder`. Raises NotFoundError, InvalidCheckpointError."""
        path = folder / MODEL_JSON
        if not path.is_file():
            raise NotFoundError(f"{safe_path(folder)} holds no exported model: make one with `img2gps export RUN OUT`.")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["version"] != FORMAT_VERSION:
                raise ValueError(f"version {values['version']!r} of the format")
            return cls._of(values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = safe_text(f"{type(error).__name__}: {error}", limit=120)
            raise InvalidCheckpointError(f"{safe_path(path)} cannot be used ({reason}): export again.") from error

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> Self:
        cells, gallery, pixels = values["cells"], values["gallery"], values["pixels"]
        return cls(
            values=values,
            pixels=PixelSpec(height=int(pixels["height"]), width=int(pixels["width"]), fit=pixels["fit"]),
            frame=LocalFrame(**{name: _finite(values["frame"][name]) for name in ("origin_lon", "origin_lat")}),
            batch=values["batch"],
            answer=str(values["answer"]),
            bandwidth_m=_finite(values["bandwidth_m"] or 1.0),
            centres=None if cells is None else _centres(cells["centres"]),
            cell_m=0.0 if cells is None else _finite(cells["size_m"]),
            alone=None if cells is None else RegionScale.of(values["calibration"]),
            walks=None if cells is None else RegionScale.of(values["walk_calibration"]),
            held_out=np.asarray(values["familiarity"]["held_out"], dtype=np.float64),
            target=values["target"],
            gallery_ids=None if gallery is None or gallery["ids"] is None else tuple(map(str, gallery["ids"])),
        )


def _centres(values: object) -> FloatArray:
    centres = np.asarray(values, dtype=np.float64)
    if centres.ndim != 2 or centres.shape[1] != 2 or not len(centres) or not np.isfinite(centres).all():
        raise ValueError("cells without places")
    return centres


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # what is no number raises TypeError
    if not math.isfinite(number):
        raise ValueError(f"{number} in place of a number")
    return number
