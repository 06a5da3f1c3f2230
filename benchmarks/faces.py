"""How many heads marked by hand does the face detector hide, and how much else? Pictures stay where they are.

`heads.json` beside this file has the marks of 16 and 60 photos. A head counts as found where a region that would be
hidden holds its middle; a region is right where it holds the middle of a head. Regions on posters count neither way.

Usage: python benchmarks/faces.py PHOTOS [--sizes 768 1536 768,1536] [--from 0.1 0.15 0.3] [--json]
           (PHOTOS has the folders campus/images and penn)
"""

import argparse
import dataclasses
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # benchmarks/train.py would hide the package

from collect.publishing.redaction.detection import FaceDetector, face_detector  # noqa: E402
from collect.publishing.redaction.looking import found_box  # noqa: E402
from img2gps.redactions import Box  # noqa: E402

FOLDERS = {"campus": "campus/images", "penn": "penn"}


def holds(box: Box, sides: list[int]) -> bool:
    """Return whether a region holds the middle of a mark (left, top, right, bottom, ...)."""
    x, y = (sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2
    return box.left <= x < box.right and box.top <= y < box.bottom


def regions_of(detector: FaceDetector, path: Path, short_side_px: int) -> list[tuple[float, Box]]:
    """Return the score and the box of each region in a photo, upright, reduced to its short side."""
    with Image.open(path) as image:
        picture = ImageOps.exif_transpose(image).convert("RGB")
    scale = min(1.0, short_side_px / min(picture.size))
    size = (round(picture.width * scale), round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture
    return [(found.score, found_box(found, picture.size)) for found in detector.find(picture)]


def main() -> None:
    """Count and print, by place, size and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["768", "1536", "768,1536"], help="short sides in pixels")
    parser.add_argument("--from", dest="scores", type=float, nargs="+", default=[0.1, 0.15, 0.3])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    marks: dict[str, Any] = json.loads(Path(__file__).with_name("heads.json").read_bytes())
    rows: list[dict[str, Any]] = []
    for sizes in arguments.sizes:
        sides = tuple(int(side) for side in sizes.split(","))
        detector = dataclasses.replace(face_detector(), short_sides_px=sides)
        for place, heads in marks["heads"].items():
            folder = arguments.photos / FOLDERS[place]
            began = time.process_time()
            found = {name: regions_of(detector, folder / name, marks["short_side_px"][place]) for name in heads}
            cost = round((time.process_time() - began) / len(heads), 2)
            about = {"sizes": sizes, "place": place, "cpu_s_per_photo": cost}
            rows += [about | {"from": score} | counts(found, marks, place, score) for score in arguments.scores]
    if arguments.json:
        print(json.dumps({"machine": {"python": platform.python_version()}, "figures": {"rows": rows}, "ratios": {}}))
    else:
        for row in rows:
            print(", ".join(f"{key} {value}" for key, value in row.items()))


def counts(
    found: dict[str, list[tuple[float, Box]]], marks: dict[str, Any], place: str, score: float
) -> dict[str, int]:
    """Return the heads and faces found, of how many, and the regions that hold a head, of how many."""
    total = dict.fromkeys(("heads", "heads_found", "faces", "faces_found", "regions", "regions_right"), 0)
    for name, heads in marks["heads"][place].items():
        posters = marks["posters"][place].get(name, [])
        boxes = [box for value, box in found[name] if value >= score]
        boxes = [box for box in boxes if not any(holds(box, sides) for sides in posters)]
        for sides in heads:
            hit = any(holds(box, sides) for box in boxes)
            total["heads"] += 1
            total["heads_found"] += hit
            total["faces"] += sides[4]
            total["faces_found"] += hit * sides[4]
        total["regions"] += len(boxes)
        total["regions_right"] += sum(any(holds(box, sides) for sides in heads) for box in boxes)
    return total


if __name__ == "__main__":
    main()
