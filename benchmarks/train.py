"""How close training comes to the device's own speed, and how far ahead of the usual ways it is.

One run measures, at one input size and two batch sizes, in photos per second:

  limit      the same network, precision and batch on random tensors that already lie on the device, kernel by kernel
  ours       `train.models.network.epoch.train_epoch`: uint8 cache, batched preparation on the device, loss, optimiser
  loader     a DataLoader of worker processes over working copies (512 px JPEG), the same network
  published  full-size JPEGs decoded by PIL in a DataLoader every epoch, plain layout and optimiser

`ours_to_limit` is the lower of the two batch sizes. Both take turns and the fastest round of each counts: what
else runs on a machine only ever slows a round down. Example: python benchmarks/train.py --json
"""

import argparse
import dataclasses
import hashlib
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

# This script has the name of the package it measures, and Python puts a script's folder first.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

from img2gps.dataset import Dataset as PhotoDataset  # noqa: E402
from img2gps.files import write_json  # noqa: E402
from img2gps.manifest import ManifestInfo, write_manifest  # noqa: E402
from img2gps.site import Site, load_site  # noqa: E402
from img2gps.types import Photo  # noqa: E402
from train.config.presets import preset  # noqa: E402
from train.config.schema import TrainConfig  # noqa: E402
from train.config.values import changed  # noqa: E402
from train.data.training_data import read_photos, select_split  # noqa: E402
from train.models.network.epoch import stepping_of, train_epoch  # noqa: E402
from train.models.network.fit import prepare  # noqa: E402
from train.models.network.model import build_network, parameter_groups  # noqa: E402
from train.runtime.devices import autocast, device_name, pick_device  # noqa: E402

BATCHES = (16, 256)
BATCHES_PER_WORKER = 4
FULL_SIZE = (4032, 3024)
WORKING_SIZE = (512, 683)
IMAGENET = (torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None])


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", type=int, help="input side in pixels; 64 on a CPU, 224 on a GPU")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    size = arguments.size or (64 if device.type == "cpu" else 224)
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), device, model=arguments.model, size=size, rounds=arguments.rounds)
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{arguments.model} at {size} px on {report['machine']['device']}, photos per second")
    for name, figures in report["figures"].items():
        print(f"  {name:24}" + "  ".join(f"{key} {value}" for key, value in figures.items()))
    print("  " + "  ".join(f"{name} {value:.3f}" for name, value in report["ratios"].items()))


def measure(folder: Path, device: torch.device, *, model: str, size: int, rounds: int) -> dict[str, Any]:
    """Return the report of one run; `folder` takes the generated photos."""
    on_cpu = device.type == "cpu"
    root = make_photos(folder, count=256 if on_cpu else 512)
    figures: dict[str, dict[str, float]] = {}
    ratios: list[float] = []
    for batch in BATCHES:
        photos = (96 if batch == 16 else 256) if on_cpu else 512
        config = changed(preset("published"), {"model": model, "size": size, "batch_size": batch}, where="measure()")
        limit, ours = limit_of(config, device, photos), ours_of(config, device, root, photos)
        limit(), ours()  # warm-up: kernels are chosen, memory is taken
        pairs = [(limit(), ours()) for _ in range(rounds)]
        fastest_limit, fastest_ours = max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)
        ratios.append(fastest_ours / fastest_limit)
        figures[f"batch {batch}"] = {
            "limit": round(fastest_limit, 1),
            "ours": round(fastest_ours, 1),
            "ours_to_limit": round(ratios[-1], 3),
        }
    config = changed(preset("published"), {"model": model, "size": size}, where="measure()")
    loader = loader_of(config, device, sorted((folder / "working").iterdir()), ours=True)
    published = loader_of(config, device, sorted((folder / "full").iterdir()), ours=False)
    figures["batch 16, usual ways"] = {"loader": round(loader, 1), "published": round(published, 1)}
    return {
        "machine": machine(device) | {"model": model, "size_px": size},
        "figures": figures,
        "ratios": {"ours_to_limit": min(ratios), "ours_to_published": figures["batch 16"]["ours"] / published},
    }


def limit_of(config: TrainConfig, device: torch.device, photos: int) -> Callable[[], float]:
    """Return a function that trains on random resident tensors and gives photos per second."""
    network = build_network(config, device=device, with_weights=True)
    optimizer = torch.optim.Adam(parameter_groups(network, config), lr=1e-4, fused=device.type != "mps")
    images = torch.randn(config.batch_size, 3, config.size, config.size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.randn(config.batch_size, 2, device=device)
    network.train()

    def run() -> float:
        steps = max(1, photos // config.batch_size)
        started = time.perf_counter()
        for _ in range(steps):
            with autocast(device):
                outputs = network.head(network.backbone(images))
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(outputs.float(), targets).backward()
            optimizer.step()
        synchronise(device)
        return steps * config.batch_size / (time.perf_counter() - started)

    return run


def ours_of(config: TrainConfig, device: torch.device, root: Path, photos: int) -> Callable[[], float]:
    """Return a function that trains one epoch on the first `photos` of the dataset and gives photos per second."""
    data = select_split(read_photos(root))
    count = photos // config.batch_size * config.batch_size
    train = data.train.take(np.arange(len(data.train)) < count)
    training = prepare(config, dataclasses.replace(data, train=train), device=device)
    stepping, epochs = stepping_of(training), iter(range(1000))

    def run() -> float:
        started = time.perf_counter()
        train_epoch(training, stepping, next(epochs), lambda _steps=1, *, note=None: None)
        synchronise(device)
        return count / (time.perf_counter() - started)

    return run


class Jpegs(Dataset[tuple[Tensor, Tensor]]):
    """The usual data set: PIL, resize, to tensor, normalise, one photo at a time."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.paths[index]) as image:
            small = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255.0
        return (pixels - IMAGENET[0]) / IMAGENET[1], torch.zeros(2)


def loader_of(config: TrainConfig, device: torch.device, paths: list[Path], *, ours: bool) -> float:
    """Return photos per second of one epoch through a DataLoader, its workers' start left out.

    The photos are repeated until every worker has its batches: with fewer, workers would stand idle.
    """
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    paths = list(itertools.islice(itertools.cycle(paths), BATCHES_PER_WORKER * workers * config.batch_size))
    network: nn.Module = build_network(config, device=device, with_weights=True)
    if not ours:
        network = network.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=ours and device.type != "mps")
    loader = DataLoader(
        Jpegs(paths, config.size),
        batch_size=config.batch_size,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    network.train()
    seconds = 0.0
    for _epoch in range(2):  # the first one starts the workers
        started = time.perf_counter()
        for images, targets in loader:
            outputs = network.head(network.backbone(images.to(device)))  # type: ignore[operator]
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(outputs, targets.to(device)).backward()
            optimizer.step()
        synchronise(device)
        seconds = time.perf_counter() - started
    return len(paths) / seconds


def make_photos(folder: Path, count: int) -> Path:
    """Write a dataset of `count` generated working copies, and a few full-size photos; return the dataset."""
    generator = np.random.default_rng(0)
    site = load_site("penn-engineering-quad")
    dataset = PhotoDataset(root=folder / "dataset")
    (folder / "full").mkdir(parents=True)
    (folder / "working").mkdir()
    for number in range(8):
        scene(generator).resize(FULL_SIZE, Image.Resampling.BICUBIC).save(folder / "full" / f"{number}.jpg", quality=92)
    photos = [stored_photo(dataset, folder / "working", site, generator, number) for number in range(count)]
    write_json(dataset.site_path, site.to_geojson())
    info = ManifestInfo(site_name=site.name, site_sha256=site.sha256, device_salt=site.sha256)
    write_manifest(dataset.manifest_path, photos, info)
    return dataset.root


def scene(generator: "np.random.Generator") -> Image.Image:
    """Return a small picture of coloured patches, to be scaled up: about as compressible as a photo."""
    return Image.fromarray(generator.integers(0, 255, (60, 80, 3), dtype=np.uint8))


def stored_photo(
    dataset: PhotoDataset, working: Path, site: Site, generator: "np.random.Generator", number: int
) -> Photo:
    """Write one working copy, also as a plain file for the DataLoader, and return its row."""
    photo_id = hashlib.sha256(str(number).encode()).hexdigest()
    path = dataset.photo_path(photo_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    scene(generator).resize(WORKING_SIZE, Image.Resampling.BICUBIC).save(path, quality=90)
    (working / f"{number:04d}.jpg").write_bytes(path.read_bytes())
    lon, lat = site.frame.to_lonlat(generator.uniform(-90, 90), generator.uniform(-90, 90))
    moment = datetime(2025, 6, 2, tzinfo=UTC)
    return Photo(
        id=photo_id,
        file_name=path.name,
        photo_sha256=photo_id,
        lon=float(lon),
        lat=float(lat),
        gps_source="exif",
        width=WORKING_SIZE[0],
        height=WORKING_SIZE[1],
        phash="0" * 16,
        source_name=path.name,
        bytes=path.stat().st_size,
        site_relation="inside",
        device="",
        walk="walk",
        group=str(number),
        ingested_at=moment,
        ingest="benchmark",
    )


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def machine(device: torch.device) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "device": device_name(device),
        "cpus": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
