"""The training photo that a photo matches best, and which fields of both match: of models that compare photos."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageDraw

from img2gps.errors import UsageError
from img2gps.pixels import Pixels, UnreadableImageError, read_pixels
from img2gps.progress import bar
from img2gps.text import safe_path
from train.explanation.content import picture_area
from train.inference.serving import RunBackend, serving_backend
from train.models.probe.features.descriptors import Descriptors
from train.models.probe.heads.neighbours import band_penalty
from train.models.probe.model import ProbeLocalizer

__all__ = ["FieldPair", "MatchedPhotos", "best_matches", "match_of", "side_by_side"]

_PAIRS: Final = 6
_COLOURS: Final = ("#d62828", "#2a6fdb", "#2a9d3a", "#e08a00", "#8e3fc0", "#008c95")
_GAP_PX: Final = 8

Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FieldPair:
    """A field of a photo and the field of its match that is most alike, each the other's best: boxes in pixels.

    Boxes are (left, top, right, bottom). `cosine` is their similarity.
    """

    own: Box
    other: Box
    cosine: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MatchedPhotos:
    """A photo, the training photo most like it, and their matching fields; pictures are (3, height, width)."""

    path: Path
    other: Path
    lon: float
    lat: float
    own_picture: Pixels
    other_picture: Pixels
    pairs: tuple[FieldPair, ...]

    def to_dict(self) -> dict[str, object]:
        """The match for JSON; positions are those of the training photo."""
        return {"photo": safe_path(self.other), "lon": self.lon, "lat": self.lat, "fields": len(self.pairs)}


def best_matches(run: Path, paths: Sequence[Path], *, device: str = "auto") -> list[MatchedPhotos | None]:
    """Return the best match of each photo, None for one that cannot be read.

    Raises UsageError for a run that compares no photos, or whose training photos are not at hand.
    """
    backend = serving_backend(run, device=device)
    if not isinstance(backend.localizer, ProbeLocalizer) or backend.localizer.neighbours is None:
        raise UsageError(f"{safe_path(run)} compares no photos: a match needs a run of preset quick or default.")
    if not backend.photos:
        raise UsageError(f"The training photos of {safe_path(run)} are not at hand: bring its dataset back.")
    with bar("Matching", len(paths)) as advance:
        found = []
        for path in paths:
            found.append(match_of(backend, path))
            advance(1)
    return found


def match_of(backend: RunBackend, path: Path) -> MatchedPhotos | None:
    """Return the best match of one photo; None where it or its match cannot be read, or the model compares none."""
    model = backend.localizer
    places = backend.model.alike_lonlat
    if not isinstance(model, ProbeLocalizer) or places is None or not backend.photos:
        return None
    try:
        own = read_pixels(path, model.pixels)
        features = model.extractor(torch.from_numpy(own[None]))
        number = model.most_alike(features, 1)[0][0]
        other = read_pixels(backend.photos[number], model.pixels)
    except UnreadableImageError:
        return None
    both = model.extractor(torch.from_numpy(np.stack([own, other])))
    described = model.ensemble.descriptor_model(both.loaded())
    return MatchedPhotos(
        path=path,
        other=backend.photos[number],
        lon=float(places[number, 0]),
        lat=float(places[number, 1]),
        own_picture=own,
        other_picture=other,
        pairs=_pairs(described, own, other),
    )


def _pairs(both: Descriptors, own_picture: Pixels, other_picture: Pixels) -> tuple[FieldPair, ...]:
    """Return the fields of two photos that are each other's best match in about the same row, the most alike first.

    Fields that lie on the bars around a photo are none of it.
    """
    if not both.local:
        return ()
    grids = both.local[-1][-1].float()
    _, rows, columns, _ = grids.shape
    own, other = grids.flatten(1, 2)
    cosine = own @ other.T + band_penalty(rows, columns).to(own)
    shown = [_shown(picture, rows, columns).to(own.device) for picture in (own_picture, other_picture)]
    cosine = cosine.masked_fill(~(shown[0][:, None] & shown[1][None]), -torch.inf)
    best, back = cosine.argmax(dim=1), cosine.argmax(dim=0)
    fields = torch.arange(len(own), device=best.device)
    mutual = fields[(back[best] == fields) & cosine[fields, best].isfinite()]
    order = mutual[cosine[mutual, best[mutual]].argsort(descending=True)][:_PAIRS].tolist()
    _, height, width = own_picture.shape
    step = (width / columns, height / rows)
    return tuple(
        FieldPair(
            own=_box(number, columns, step),
            other=_box(int(best[number]), columns, step),
            cosine=float(cosine[number, best[number]]),
        )
        for number in order
    )


def _shown(picture: Pixels, rows: int, columns: int) -> torch.Tensor:
    """Return which fields of a grid have their middle within a photo's bars, (rows * columns,)."""
    _, height, width = picture.shape
    own_rows, own_columns = picture_area(picture)
    down, across = (np.arange(rows) + 0.5) * height / rows, (np.arange(columns) + 0.5) * width / columns
    inside = ((down >= own_rows.start) & (down < own_rows.stop))[:, None]
    return torch.from_numpy((inside & (across >= own_columns.start) & (across < own_columns.stop)[None]).ravel())


def _box(number: int, columns: int, step: tuple[float, float]) -> Box:
    row, column = divmod(number, columns)
    return column * step[0], row * step[1], (column + 1) * step[0], (row + 1) * step[1]


def side_by_side(match: MatchedPhotos) -> Image.Image:
    """Return a photo and its match as one picture: fields of one colour and number match."""
    pictures = [Image.fromarray(one.transpose(1, 2, 0)) for one in (match.own_picture, match.other_picture)]
    width, height = pictures[0].size
    canvas = Image.new("RGB", (2 * width + _GAP_PX, height), "white")
    for place, picture in enumerate(pictures):
        canvas.paste(picture, (place * (width + _GAP_PX), 0))
    draw = ImageDraw.Draw(canvas)
    for number, pair in enumerate(match.pairs):
        for place, (left, top, right, bottom) in enumerate((pair.own, pair.other)):
            shift = place * (width + _GAP_PX)
            colour = _COLOURS[number % len(_COLOURS)]
            draw.rectangle((left + shift, top, right + shift - 1, bottom - 1), outline=colour, width=2)
            draw.text((left + shift + 3, top + 2), str(number + 1), fill=colour)
    return canvas
