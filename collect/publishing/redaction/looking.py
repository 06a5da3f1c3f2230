"""Detectors let loose on a dataset's pictures, and regions that a person drew, in one record."""

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from collect.publishing.redaction.detection import Detection, Detector, usable
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.progress import track
from img2gps.redactions import (
    FOUND,
    UNSURE,
    Box,
    PictureRegion,
    Redactions,
    load_redactions,
    save_redactions,
)
from img2gps.text import format_count, safe_path, safe_text
from img2gps.types import Photo

__all__ = ["add_boxes", "found_box", "look", "read_boxes", "redaction_facts", "redaction_sentences"]

_MARGIN: Final = 0.3  # of a face's size: hair and chin tell who somebody is, too
_SAME: Final = 0.5
_BATCH: Final = 200
_COLUMNS: Final = ("photo", "left", "top", "right", "bottom")


def look(
    dataset: Dataset, photos: Sequence[Photo], detectors: Sequence[Detector], *, lowest: float = UNSURE
) -> Redactions:
    """Return the regions of the photos; those that these detectors have not looked at are looked at now.

    `lowest` is the score, 0..1, from which on a region is hidden.

    What a person drew or said stays. Interrupted, what was found so far is kept. Raises DatasetLockedError.
    """
    known = load_redactions(dataset)
    stamp = usable(detectors, lowest)
    todo = [photo for photo in photos if known.looked.get(photo.id) != f"{photo.photo_sha256}:{stamp}"]
    if not todo or not detectors:
        return known
    with dataset.lock():
        known = load_redactions(dataset)
        regions, looked = {key: list(some) for key, some in known.regions.items()}, dict(known.looked)
        try:
            for number, photo in enumerate(track(todo, "Looking for people", len(todo)), start=1):
                found = _found(dataset, photo, detectors, lowest)
                regions[photo.id] = _merged(found, regions.get(photo.id, []))
                looked[photo.id] = f"{photo.photo_sha256}:{stamp}"
                if number % _BATCH == 0:
                    save_redactions(dataset, Redactions(regions=regions, looked=looked))
        finally:
            save_redactions(dataset, Redactions(regions=regions, looked=looked))
    return Redactions(regions=regions, looked=looked)


def _found(dataset: Dataset, photo: Photo, detectors: Sequence[Detector], lowest: float) -> list[PictureRegion]:
    with Image.open(dataset.photo_path(photo.id), formats=("JPEG",)) as image:
        picture = image.convert("RGB")
    return [
        PictureRegion(box=found_box(finding, picture.size), kind=detector.name, score=round(finding.score, 4))
        for detector in detectors
        for finding in detector.find(picture)
        if finding.score >= lowest
    ]


def found_box(finding: Detection, size: tuple[int, int]) -> Box:
    """Return a finding with its margin, in whole pixels of the picture."""
    wide, high = _MARGIN * (finding.right - finding.left), _MARGIN * (finding.bottom - finding.top)
    return Box(
        left=max(0, math.floor(finding.left - wide)),
        top=max(0, math.floor(finding.top - high)),
        right=min(size[0], math.ceil(finding.right + wide)),
        bottom=min(size[1], math.ceil(finding.bottom + high)),
    )


def _merged(found: Sequence[PictureRegion], before: Sequence[PictureRegion]) -> list[PictureRegion]:
    """Return what was found now, and every region that a person drew or judged before, as that person left it.

    Another detector finds other edges. A finding that is nearly a judged region is that region.
    """
    judged = [region for region in before if region.score is not None and region.verdict]
    drawn = [region for region in before if region.score is None]
    new = [one for one in found if not any(_are_one(one, region) for region in judged)]
    return [*judged, *new, *drawn]


def _are_one(one: PictureRegion, other: PictureRegion) -> bool:
    """Return whether two regions of a kind share over `_SAME` of their union."""
    return one.kind == other.kind and one.box.shared_with(other.box) > _SAME


def add_boxes(dataset: Dataset, photos: Sequence[Photo], file: Path) -> int:
    """Take regions over that a person drew (see `read_boxes`). Returns how many are new."""
    drawn = read_boxes(photos, file)
    with dataset.lock():
        known = load_redactions(dataset)
        regions = {key: list(some) for key, some in known.regions.items()}
        new = 0
        for photo_id, some in drawn.items():
            fresh = [region for region in some if region not in regions.get(photo_id, [])]
            regions.setdefault(photo_id, []).extend(fresh)
            new += len(fresh)
        save_redactions(dataset, Redactions(regions=regions, looked=known.looked))
    return new


def read_boxes(photos: Sequence[Photo], file: Path) -> dict[str, list[PictureRegion]]:
    """Return the regions of a CSV by photo: photo (id or file name), left, top, right, bottom in pixels.

    Pixels are those of the working copy. Raises NotFoundError, and UsageError naming the row.
    """
    if not file.is_file():
        raise NotFoundError(f"No file {safe_path(file)}.")
    by_name = {photo.id: photo for photo in photos} | {Path(photo.source_name).name: photo for photo in photos}
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{safe_path(file)} is no CSV in UTF-8.") from error
    drawn: dict[str, list[PictureRegion]] = {}
    for number, row in enumerate(rows, start=2):
        photo, box = _drawn(row, by_name, f"{safe_path(file)}, row {number},")
        drawn.setdefault(photo.id, []).append(PictureRegion(box=box, kind="hand"))
    return drawn


def _drawn(row: Mapping[str, Any], photos: Mapping[str, Photo], where: str) -> tuple[Photo, Box]:
    missing = [name for name in _COLUMNS if not row.get(name)]
    if missing:
        raise UsageError(f"{where} lacks {', '.join(missing)}: its columns are {', '.join(_COLUMNS)}.")
    photo = photos.get(str(row["photo"]))
    if photo is None:
        raise UsageError(f"{where} names {safe_text(str(row['photo']))}, which is no photo of the dataset.")
    try:
        left, top, right, bottom = (round(float(row[name])) for name in _COLUMNS[1:])
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where} has a side that is no number of pixels.") from error
    if not (0 <= left < right <= photo.width and 0 <= top < bottom <= photo.height):
        raise UsageError(f"{where} draws outside the picture, which has {photo.width} x {photo.height} pixels.")
    return photo, Box(left=left, top=top, right=right, bottom=bottom)


def redaction_facts(
    redactions: Redactions, ids: Sequence[str], detectors: Sequence[Detector], *, lowest: float = UNSURE
) -> dict[str, Any]:
    """Return what was looked for and found in the photos, fit for JSON; `lowest` as in `look`."""
    some = [region for photo_id in ids for region in redactions.regions.get(photo_id, ())]
    return {
        "detectors": [{"name": one.name, "sha256": one.sha256} for one in detectors],
        "found_from": FOUND,
        "unsure_from": lowest,
        "hidden": dict(Counter(region.kind for region in some if region.is_hidden)),
        "hidden_photos": sum(any(r.is_hidden for r in redactions.regions.get(photo_id, ())) for photo_id in ids),
        "unsure": sum(region.is_unsure for region in some),
        "kept_by_a_person": sum(region.verdict == "show" for region in some),
    }


def redaction_sentences(facts: Mapping[str, Any]) -> list[str]:
    """Return what the card says of it."""
    hidden = ", ".join(f"{count} ({safe_text(kind)})" for kind, count in facts["hidden"].items()) or "none"
    photos = format_count(facts["hidden_photos"], "photo")
    return [
        f"Regions made unrecognisable as coarse mosaics: {hidden}, in {photos}. Nothing outside them changed.",
        f"Hidden to be on the safe side, found with little certainty: {facts['unsure']}.",
        "Detectors miss people who are far, turned away or in the dark: look at the pictures before relying on this.",
    ]
