"""How often the cause that `evaluate` names is the one that was planted, on a generated campus.

Of the test photos of a simulated and split dataset, some are darkened or blurred, and some labels are moved by 60 m.
The training photos around the easternmost are left out. A run of `quick` is then trained and evaluated. A cause counts
where the error is over 25 m: a photo that is placed all the same has none. The ratio is the share of planted photos
with such an error whose named cause is the planted one.
Example: python benchmarks/causes.py --in DATASET --json
"""

import argparse
import dataclasses
import hashlib
import io
import json
import os
import platform
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package

from img2gps.dataset import Dataset
from img2gps.manifest import photos_of, read_table, write_manifest
from img2gps.types import Photo
from train import train
from train.evaluation.evaluate import evaluate_run

DARK, LABEL, UNSEEN, NONE = "dark or blurred", "label doubtful", "unseen place", "nothing"
PLACED = "placed within 25 m"
MOVED_M, LEFT_OUT_M = 60.0, 20.0


def planted(dataset: Dataset, seed: int) -> tuple[list[Photo], dict[str, str]]:
    """Change the copies and rows of a dataset; return its photos and what was planted on each test photo."""
    table, _ = read_table(dataset.manifest_path)
    photos, frame = photos_of(table), dataset.site().frame
    rng = np.random.default_rng(seed)
    xy = {photo.id: np.array(frame.to_local(photo.lon, photo.lat), dtype=float) for photo in photos}
    test = [photo.id for photo in photos if photo.split == "test"]
    edge = np.quantile([xy[one][0] for one in test], 0.8)
    kinds = {
        one: UNSEEN if xy[one][0] >= edge else str(rng.choice([DARK, LABEL, NONE], p=[0.3, 0.3, 0.4])) for one in test
    }
    unseen = np.array([xy[one] for one in test if kinds[one] == UNSEEN])
    made = []
    for photo in photos:
        kind = kinds.get(photo.id)
        if kind == DARK:
            photo = _spoiled(dataset, photo, dark=bool(rng.random() < 0.5))
        elif kind == LABEL:
            angle = rng.uniform(0, 2 * np.pi)
            lon, lat = frame.to_lonlat(*(xy[photo.id] + MOVED_M * np.array([np.cos(angle), np.sin(angle)])))
            photo = dataclasses.replace(photo, lon=float(lon), lat=float(lat))
        elif kind is None and np.hypot(*(unseen - xy[photo.id]).T).min() < LEFT_OUT_M:
            photo = dataclasses.replace(photo, split="excluded")
        made.append(photo)
    return made, kinds


def _spoiled(dataset: Dataset, photo: Photo, *, dark: bool) -> Photo:
    path = dataset.photo_path(photo.id)
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture = (
        picture.point(lambda value: value * 0.1)
        if dark
        else picture.filter(ImageFilter.GaussianBlur(picture.width / 50))
    )
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    path.unlink()
    path.write_bytes(buffer.getvalue())
    return dataclasses.replace(photo, photo_sha256=hashlib.sha256(buffer.getvalue()).hexdigest())


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in", dest="source", type=Path, required=True, help="a dataset with a test split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.source, arguments.seed)
    ratios = {kind: _right(kind, counts) for kind, counts in figures.items() if kind != NONE}
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__}
    if arguments.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": ratios}, indent=1))
        return
    for kind, counts in figures.items():
        named = ", ".join(f"{cause} {count}" for cause, count in sorted(counts.items(), key=lambda pair: -pair[1]))
        print(f"planted {kind}: named {named}")


def measure(source: Path, seed: int) -> dict[str, dict[str, int]]:
    """Return, for what was planted, how many photos have each cause; `PLACED` are those with a small error."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "dataset"
        shutil.copytree(source, root, ignore=shutil.ignore_patterns(".cache"))
        dataset = Dataset.open(root)
        info = read_table(dataset.manifest_path)[1]
        photos, kinds = planted(dataset, seed)
        write_manifest(dataset.manifest_path, photos, info)
        run = train(root, preset="quick", name="planted", runs=Path(folder) / "runs", threads=1).root
        scores = evaluate_run(run, write=False).scores
    found: dict[str, Counter[str]] = {}
    for photo_id, cause in zip(scores["id"], scores["cause"], strict=True):
        found.setdefault(kinds[photo_id], Counter())[cause or PLACED] += 1
    return {kind: dict(counts) for kind, counts in sorted(found.items())}


def _right(kind: str, counts: dict[str, int]) -> float | None:
    erring = sum(count for cause, count in counts.items() if cause != PLACED)
    return counts.get(kind, 0) / erring if erring else None


if __name__ == "__main__":
    main()
