"""Painted sites: a building whose pattern may tell the place, a van that may tell it, a person who never does."""

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from img2gps.dataset import Dataset
from img2gps.masks import CLASSES, ClassMask, write_class_table, write_mask
from img2gps.pixels import Pixels
from img2gps.types import Photo
from tests.datasets import NOON, make_dataset, make_photo

HEIGHT, WIDTH = 96, 128
PLACES = [(east, north) for east in (-75, -25, 25, 75) for north in (-60, 0, 60)]
MANY_PLACES = [(east, north) for east in range(-90, 91, 36) for north in range(-90, 91, 36)]
VAN = (slice(58, 82), slice(12, 52))
SKY, BUILDING, GROUND = (CLASSES.index(name) for name in ("sky", "building", "ground"))
PERSON, VEHICLE = CLASSES.index("person"), CLASSES.index("vehicle")


def _pattern(place: int, kind: int, size: tuple[int, int], world: int) -> Pixels:
    """Return blocks of colour, the same for the same place, kind and world."""
    blocks = np.random.default_rng([place, kind, world]).integers(20, 235, (3, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(blocks).resize(size[::-1], Image.Resampling.NEAREST))


def paint(place: int, visit: int, *, told_by: str, van: bool = True, world: int = 0) -> tuple[Image.Image, ClassMask]:
    """Return a photo of place number `place` on a visit, and its mask; `told_by` is building or vehicle.

    Another number of the `world` paints other buildings, vans and people.
    """
    rng = np.random.default_rng([place, visit, 7, world])
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    mask = np.empty((HEIGHT, WIDTH), np.uint8)
    for rows, kind, content in (
        (slice(0, 20), SKY, np.full((20, WIDTH, 3), rng.integers(120, 250, 3))),
        (slice(20, 66), BUILDING, _pattern(place if told_by == "building" else 999, 0, (46, WIDTH), world)),
        (slice(66, HEIGHT), GROUND, np.full((30, WIDTH, 3), 110)),
    ):
        picture[rows], mask[rows] = content, kind
    if van:
        number = place if told_by == "vehicle" else int(rng.integers(1000, 2000))
        picture[VAN], mask[VAN] = _pattern(number, 1, (24, 40), world), VEHICLE
    left = int(rng.integers(60, 110))
    picture[54:90, left : left + 12], mask[54:90, left : left + 12] = rng.integers(0, 255, 3), PERSON
    noisy = picture + rng.normal(0, 5, picture.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), mask


def painted_dataset(
    root: Path,
    masks: Path,
    *,
    told_by: str,
    visits: int = 9,
    places: Sequence[tuple[int, int]] = PLACES,
    van_in_test: bool = True,
    held_out: str = "test",
    world: int = 0,
) -> Dataset:
    """Write a dataset of walks past all places, a third of them test, and the masks of its photos."""
    masks.mkdir(parents=True)
    write_class_table(masks)
    rows, contents = [], []
    for visit in range(visits):
        for place, (east, north) in enumerate(places):
            picture, mask = paint(place, visit, told_by=told_by, van=van_in_test or visit % 3 > 0, world=world)
            name = f"{visit}-{place}.jpg"
            write_mask(masks / f"{name}.png", mask)
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=95)
            contents.append(buffer.getvalue())
            rows.append(
                make_photo(
                    name,
                    east,
                    north,
                    walk=f"walk-{visit}",
                    group=f"group-{visit}-{place}",
                    captured_at=NOON + timedelta(days=visit, seconds=30 * place),
                    split=held_out if visit % 3 == 0 else "train",
                )
            )
    dataset = make_dataset(root, [], grouped=True)
    return make_dataset(root, [_store(dataset, *pair) for pair in zip(rows, contents, strict=True)], grouped=True)


def _store(dataset: Dataset, photo: Photo, content: bytes) -> Photo:
    path = dataset.photo_path(photo.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return dataclasses.replace(photo, photo_sha256=digest, width=WIDTH, height=HEIGHT)
