"""redaction.json of a dataset: what detectors found in its pictures, and what a person said of it.

It is written in one step, and kept from publishing to publishing: a picture is looked at once by a set of detectors.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from img2gps.files import canonical_json, sha256_bytes, write_json
from img2gps.text import safe_path

__all__ = [
    "FOUND",
    "UNSURE",
    "Box",
    "PictureRegion",
    "Redactions",
    "Verdict",
    "load_redactions",
    "merged_redactions",
    "redactions_path",
    "save_redactions",
    "without_photos",
]

FOUND: Final = 0.3
"""From this score on a region counts as found."""
UNSURE: Final = 0.15
"""From this score on a region is hidden, too, unless a person says no: a person should look at it."""

Verdict = Literal["", "hide", "show"]
_CAREFUL: Final[tuple[Verdict, ...]] = ("", "show", "hide")
"""What a person said, the last word last."""
_SCHEMA: Final = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Box:
    """A rectangle of a picture in pixels: `left` and `top` are in it, `right` and `bottom` are not."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area_px(self) -> int:
        """Its area in pixels."""
        return max(self.right - self.left, 0) * max(self.bottom - self.top, 0)

    def shared_with(self, other: "Box") -> float:
        """Return the area of the intersection over that of the union, 0..1 (0 where both are empty)."""
        shared = Box(
            left=max(self.left, other.left),
            top=max(self.top, other.top),
            right=min(self.right, other.right),
            bottom=min(self.bottom, other.bottom),
        ).area_px
        return shared / max(self.area_px + other.area_px - shared, 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PictureRegion:
    """A region of a working copy; `score` is None where a person drew it, `verdict` what a person said."""

    box: Box
    kind: str
    score: float | None = None
    verdict: Verdict = ""

    @property
    def is_hidden(self) -> bool:
        """Whether the region is made unrecognisable."""
        return self.verdict != "show"

    @property
    def is_unsure(self) -> bool:
        """Whether a person should look: found with little certainty, and nobody has said anything."""
        return not self.verdict and self.score is not None and self.score < FOUND


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Redactions:
    """The regions by photo, and by photo which detectors looked at which working copy."""

    regions: Mapping[str, Sequence[PictureRegion]] = dataclasses.field(default_factory=dict)
    looked: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def hidden(self, photo_id: str) -> list[Box]:
        """Return what is made unrecognisable of a photo."""
        return [region.box for region in self.regions.get(photo_id, ()) if region.is_hidden]


def redactions_path(dataset: Dataset) -> Path:
    """Return where the record of a dataset lies."""
    return dataset.root / "redaction.json"


def load_redactions(dataset: Dataset) -> Redactions:
    """Return what is known of a dataset's pictures, nothing where none was looked at. Raises InvalidDatasetError."""
    path = redactions_path(dataset)
    if not path.exists():
        return Redactions()
    try:
        document = json.loads(path.read_bytes())
        if document["digest"] != _digest(document) or document["schema"] != _SCHEMA:
            raise ValueError("digest")
        regions = {photo_id: [_region(entry) for entry in some] for photo_id, some in document["regions"].items()}
        return Redactions(regions=regions, looked=dict(document["looked"]))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InvalidDatasetError(
            f"{safe_path(path)} was damaged or changed after it was written: restore it from a backup, or delete it."
        ) from error


def save_redactions(dataset: Dataset, redactions: Redactions) -> None:
    """Replace the record; the caller holds the dataset's lock."""
    document: dict[str, Any] = {
        "schema": _SCHEMA,
        "looked": dict(sorted(redactions.looked.items())),
        "regions": {
            photo_id: [dataclasses.asdict(region) for region in some]
            for photo_id, some in sorted(redactions.regions.items())
            if some
        },
    }
    write_json(redactions_path(dataset), document | {"digest": _digest(document)})


def without_photos(redactions: Redactions, gone: Collection[str]) -> Redactions:
    """Return what is known of other photos than those of `gone` (ids)."""
    return Redactions(
        regions={key: some for key, some in redactions.regions.items() if key not in gone},
        looked={key: stamp for key, stamp in redactions.looked.items() if key not in gone},
    )


def merged_redactions(first: Redactions, second: Redactions) -> Redactions:
    """Return what two datasets know of the same pictures: of a region that one hides and the other shows, hidden."""
    regions: dict[str, list[PictureRegion]] = {}
    for known in (first, second):
        for photo_id, some in known.regions.items():
            regions[photo_id] = _united(regions.get(photo_id, []), some)
    return Redactions(regions=regions, looked={**second.looked, **first.looked})


def _united(one: Sequence[PictureRegion], other: Sequence[PictureRegion]) -> list[PictureRegion]:
    """Return the regions of both, each once."""
    found = {(region.box, region.kind): region for region in one}
    for region in other:
        here = found.setdefault((region.box, region.kind), region)
        verdict = max(here.verdict, region.verdict, key=_CAREFUL.index)
        found[region.box, region.kind] = dataclasses.replace(here, verdict=verdict)
    return list(found.values())


def _digest(document: Mapping[str, Any]) -> str:
    return sha256_bytes(canonical_json({key: value for key, value in document.items() if key != "digest"}))


def _region(entry: Mapping[str, Any]) -> PictureRegion:
    if entry["verdict"] not in get_args(Verdict):
        raise ValueError("verdict")
    return PictureRegion(box=Box(**entry["box"]), kind=entry["kind"], score=entry["score"], verdict=entry["verdict"])
