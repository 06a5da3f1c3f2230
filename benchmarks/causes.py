"""How often the cause that `evaluate` names is the true one, on generated campuses.

In a copy of a simulated and split dataset, causes are planted. Of the test photos some are darkened or blurred, and
some labels are moved by 60 m. The training photos around the easternmost are left out. What training photos show
around the westernmost is shown by others, too, some 60 m away. A run of `quick` is then trained and evaluated. A cause
counts where the error is over 25 m: a photo that is placed all the same has none. A label that was over 25 m
wrong from the start counts as doubtful, too. Nobody planted a cause on the other photos with large errors. There the
cause is right only if it holds by the true places; "other" and "alike elsewhere" are not judged.

`recall` is the share of photos with a planted cause that is named, `precision` the share of named causes that are true,
both with 95 % intervals over walks. The ratio is the precision over all causes.
Example: python benchmarks/causes.py CAMPUS DATASET CAMPUS DATASET --json
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
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageFilter

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package

from img2gps.dataset import Dataset
from img2gps.geo import FloatArray
from img2gps.manifest import photos_of, read_table, write_manifest
from img2gps.types import Photo
from train import train
from train.evaluation.bootstrap import Clusters, mean_interval
from train.evaluation.causes import CAUSES, FAR_M, SAME_WAY_DEG, SEEN_M
from train.evaluation.evaluate import evaluate_run

DARK, LABEL, UNSEEN, ALIKE, OTHER, NONE = *CAUSES, "nothing"
TAINTED = "beside what was planted"
MOVED_M, LEFT_OUT_M, TWIN_M = 60.0, 20.0, 12.0
_SHARE_AT_EDGE = 0.15


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """By photo id: the true places (metres of the site's frame) and headings in degrees, and what was planted."""

    xy: dict[str, FloatArray]
    heading_deg: dict[str, float]
    kinds: dict[str, str]


def planted(dataset: Dataset, truth: pd.DataFrame, seed: int) -> tuple[list[Photo], Truth]:
    """Change the copies and rows of a dataset; return its photos and what is true of them."""
    photos, frame = photos_of(read_table(dataset.manifest_path)[0]), dataset.site().frame
    rng = np.random.default_rng(seed)
    rows = truth.set_index("file_name").loc[[Path(photo.source_name).name for photo in photos]]
    east, north = frame.to_local(rows["longitude"].to_numpy(), rows["latitude"].to_numpy())
    xy = {photo.id: np.array([e, n]) for photo, e, n in zip(photos, east, north, strict=True)}
    headings = {photo.id: float(deg) for photo, deg in zip(photos, rows["heading_deg"], strict=True)}
    test = [photo.id for photo in photos if photo.split == "test"]
    training = {photo.id: photo for photo in photos if photo.split in ("train", "val")}
    low, high = np.quantile([xy[one][0] for one in test], [_SHARE_AT_EDGE, 1 - _SHARE_AT_EDGE])
    kinds = {one: _kind(xy[one][0], low, high, rng) for one in test}
    twins = _twins(xy, kinds, list(training))
    for source, twin in twins.items():
        training[twin] = _repainted(dataset, training[twin], _opened(dataset, source))
    for one in kinds:
        if kinds[one] != ALIKE and any(np.hypot(*(xy[twin] - xy[one])) < TWIN_M for twin in twins.values()):
            kinds[one] = TAINTED
    unseen = np.array([xy[one] for one in test if kinds[one] == UNSEEN])
    made = []
    for photo in photos:
        kind = kinds.get(photo.id)
        photo = training.get(photo.id, photo)
        if kind == DARK:
            photo = _repainted(dataset, photo, _spoiled(_opened(dataset, photo.id), dark=bool(rng.random() < 0.5)))
        elif kind == LABEL:
            angle = rng.uniform(0, 2 * np.pi)
            lon, lat = frame.to_lonlat(*(xy[photo.id] + MOVED_M * np.array([np.cos(angle), np.sin(angle)])))
            photo = dataclasses.replace(photo, lon=float(lon), lat=float(lat))
        elif kind is None and np.hypot(*(unseen - xy[photo.id]).T).min() < LEFT_OUT_M:
            photo = dataclasses.replace(photo, split="excluded")
        made.append(photo)
    return made, Truth(xy=xy, heading_deg=headings, kinds=kinds)


def _kind(east_m: float, low: float, high: float, rng: np.random.Generator) -> str:
    if east_m >= high:
        return UNSEEN
    return ALIKE if east_m <= low else str(rng.choice([DARK, LABEL, NONE], p=[0.25, 0.25, 0.5]))


def _twins(xy: dict[str, FloatArray], kinds: dict[str, str], training: list[str]) -> dict[str, str]:
    """Return, for each training photo near a test photo that shall look alike, another 60 m east to show the same."""
    alike = np.array([xy[one] for one, kind in kinds.items() if kind == ALIKE])
    sources = [one for one in training if np.hypot(*(alike - xy[one]).T).min() < TWIN_M]
    free = [one for one in training if one not in sources and np.hypot(*(alike - xy[one]).T).min() > MOVED_M / 2]
    twins: dict[str, str] = {}
    for source in sources:
        if not free:
            break
        apart = [float(np.hypot(*(xy[one] - xy[source] - np.array([MOVED_M, 0.0])))) for one in free]
        twins[source] = free.pop(int(np.argmin(apart)))
    return twins


def _opened(dataset: Dataset, photo_id: str) -> Image.Image:
    with Image.open(dataset.photo_path(photo_id)) as image:
        return image.convert("RGB")


def _spoiled(picture: Image.Image, *, dark: bool) -> Image.Image:
    if dark:
        return picture.point(lambda value: value * 0.1)
    return picture.filter(ImageFilter.GaussianBlur(picture.width / 50))


def _repainted(dataset: Dataset, photo: Photo, picture: Image.Image) -> Photo:
    """Put a picture in the place of a photo's copy."""
    path, buffer = dataset.photo_path(photo.id), io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    path.unlink()
    path.write_bytes(buffer.getvalue())
    width, height = picture.size
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    return dataclasses.replace(photo, photo_sha256=digest, width=width, height=height)


def measure(campus: Path, source: Path, seed: int) -> pd.DataFrame:
    """Return the test photos with an error over 25 m: what was planted, the cause named, and whether that is right."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "dataset"
        shutil.copytree(source, root, ignore=shutil.ignore_patterns(".cache"))
        dataset = Dataset.open(root)
        info = read_table(dataset.manifest_path)[1]
        photos, truth = planted(dataset, pd.read_csv(campus / "truth.csv"), seed)
        write_manifest(dataset.manifest_path, photos, info)
        run = train(root, preset="quick", name="planted", runs=Path(folder) / "runs", threads=1).root
        scores = evaluate_run(run, split="test", write=False).scores
    training = [photo.id for photo in photos if photo.split in ("train", "val")]
    far = scores[scores["error_m"] > FAR_M]
    labels = far[["east_m", "north_m"]].to_numpy(dtype=np.float64)
    rows = []
    for (_, row), label in zip(far.iterrows(), labels, strict=True):
        own, named = str(row["id"]), str(row["cause"])
        wrong_label = float(np.hypot(*(label - truth.xy[own]))) > FAR_M
        kind = LABEL if wrong_label and truth.kinds[own] in (NONE, LABEL) else truth.kinds[own]
        right = _right(own, named, kind, truth, training, wrong_label=wrong_label)
        walk = f"{seed} {row['walk']}"
        rows.append({"campus": seed, "walk": walk, "planted": kind, "named": named, "right": right})
    return pd.DataFrame(rows)


def _right(own: str, named: str, kind: str, truth: Truth, training: Sequence[str], *, wrong_label: bool) -> bool | None:
    """Return whether the named cause is true of a photo; None where nobody knows."""
    if kind == TAINTED:
        return None
    if named == kind:
        return True
    if named == LABEL:
        return wrong_label
    if named == UNSEEN:
        return _unseen(own, truth, training)
    return None if kind == NONE else False


def _unseen(own: str, truth: Truth, training: Sequence[str]) -> bool:
    """Return whether no training photo was taken near a photo, looking the same way, by the true places."""
    for other in training:
        turned = abs((truth.heading_deg[other] - truth.heading_deg[own] + 180) % 360 - 180)
        if np.hypot(*(truth.xy[other] - truth.xy[own])) <= SEEN_M and turned <= SAME_WAY_DEG:
            return False
    return True


def share(rows: pd.DataFrame) -> dict[str, object]:
    """Return how many of some photos have a right cause, their share and its interval over walks."""
    right = rows["right"].to_numpy(dtype=np.float64)
    if not len(right):
        return {"photos": 0, "right": 0, "share": None, "interval": None}
    bounds = mean_interval(right, Clusters.of("walks", rows["walk"].to_numpy(dtype=str)))
    return {"photos": len(right), "right": int(right.sum()), "share": float(right.mean()), "interval": bounds}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pairs", type=Path, nargs="+", metavar="CAMPUS DATASET", help="what `simulate` and `split` made"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is planted")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pairs = list(zip(arguments.pairs[::2], arguments.pairs[1::2], strict=True))
    found = pd.concat([measure(*pair, arguments.seed + number) for number, pair in enumerate(pairs)])
    judged = found[found["right"].notna()]
    figures = {
        "recall": {kind: share(judged[judged["planted"] == kind]) for kind in (DARK, LABEL, UNSEEN, ALIKE)},
        "precision": {cause: share(judged[judged["named"] == cause]) for cause in CAUSES},
        "all": share(judged),
        "by_campus": [
            share(judged[judged["walk"].str.startswith(f"{arguments.seed + k} ")]) for k in range(len(pairs))
        ],
        "table": {kind: dict(rows["named"].value_counts()) for kind, rows in found.groupby("planted")},
    }
    figures["table"] = {kind: {k: int(v) for k, v in row.items()} for kind, row in figures["table"].items()}
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__}
    if arguments.json:
        ratios = {"right": figures["all"]["share"]}
        print(json.dumps({"machine": machine, "figures": figures, "ratios": ratios}, indent=1))
        return
    for name in ("recall", "precision"):
        for cause, one in figures[name].items():
            print(f"{name} of {cause}: {one['right']} of {one['photos']}, {one['share']}, {one['interval']}")
    print(f"all: {figures['all']}")
    for kind, counts in figures["table"].items():
        print(f"planted {kind}: named " + ", ".join(f"{cause} {count}" for cause, count in counts.items()))


if __name__ == "__main__":
    main()
