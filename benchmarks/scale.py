"""What very many photos cost: training, memory, the model's file, retrieval and prediction at 1,000 to 100,000 photos.

A generated campus is rendered; altered copies of its photos pass the backbone. What is beyond those copies is features
alone: those of a copy, moved along the difference of two others, a few metres away, on a walk of its own. So the site
and the spread of the features stay, and only the number of photos grows. Each size runs in a process of its own.

Seconds of training are processor time without the backbone's, which is linear. `train_per_photo_N` is that time per
photo over that at the smallest size. `predict_to_backbone_N` is photos per second of the model over those of the bare
backbone on the same pixels, the best of interleaved rounds. Recall is that of the 100 nearest by exact comparison.

    python benchmarks/scale.py [--json] [--photos 1000 10000 100000] [--preset quick] [--rendered 160] [--threads 0]
"""

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SIZES = (1000, 10_000, 100_000)
_COPIES = 1000  # altered photos that pass the backbone
_MOVED = 0.35  # of the difference between two photos
_APART_M = 3.0
_LOOKED_AT = 64  # photos of a round of prediction
_ROUNDS = 5
_QUERIES = 256
_NEAREST = 100
_BLOCK = 1000


def main() -> None:
    """Measure every size and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--photos", type=int, nargs="+", default=list(_SIZES))
    parser.add_argument("--preset", default="quick", choices=("quick", "default"))
    parser.add_argument("--rendered", type=int, default=160)
    parser.add_argument("--copies", type=int, default=_COPIES, help="altered photos that pass the backbone")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:  # one size, in a process of its own
        print(json.dumps(_measured(options.folder, options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = {str(size): _of_size(Path(folder), size) for size in _sizes(Path(folder), options)}
    report = {"machine": _machine(), "figures": figures, "ratios": _ratios(figures)}
    if options.json:
        print(json.dumps(report, indent=1))
        return
    names = list(next(iter(figures.values())))
    print(f"{'photos':<28}" + "".join(f"{int(size):>12,}" for size in figures))
    for name in names:
        print(f"{name:<28}" + "".join(f"{found[name]:>12.4g}" for found in figures.values()))
    for name, ratio in report["ratios"].items():
        print(f"{name:<40}{ratio:>12.3f}")


def _sizes(folder: Path, options: argparse.Namespace) -> list[int]:
    """Render the campus and pass its copies through the backbone; return the sizes to measure, the smallest first."""

    def run(*words: str) -> None:
        subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)

    run("-m", "img2gps", "simulate", "campus", "--photos", str(options.rendered), "--size", "320")
    run("-m", "img2gps", "ingest", "campus/photos", "quad", "--site", "penn-engineering-quad")
    words = ("--preset", options.preset, "--copies", str(options.copies), "--threads", str(options.threads))
    changes = [word for change in options.changes for word in ("--set", change)]
    (folder / "words.json").write_text(json.dumps([*words, *changes]), encoding="utf-8")
    return sorted(set(options.photos))


def _of_size(folder: Path, size: int) -> dict[str, float]:
    words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--in", str(folder), "--photos", str(size), *words]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(f"{size:,} photos: {found['train_cpu_s']} s of processor time", file=sys.stderr)
    return found


def _ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    first, *others = figures
    ratios = {}
    for size in others:
        own, least = (figures[key]["train_cpu_s"] / int(key) for key in (size, first))
        ratios[f"train_per_photo_{size}"] = round(own / least, 3)
    return ratios | {f"predict_to_backbone_{key}": found["predict_to_backbone"] for key, found in figures.items()}


def _measured(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Train on one size, write and load the model, and predict."""
    import torch

    from train.config.presets import preset
    from train.config.schema import ProbeConfig
    from train.config.values import changed
    from train.models.probe.fit import ProbeTraining, fitted
    from train.models.probe.model import make_extractor
    from train.models.probe.site_model import DatasetFeatures
    from train.models.probe.state import save_probe
    from train.runs.folder import RunFolder

    if options.threads:
        torch.set_num_threads(options.threads)
    values = {"device": "cpu", "threads": options.threads} | _changes(options.changes)
    config = changed(preset(options.preset), values)
    assert isinstance(config, ProbeConfig)
    size, device = options.photos[0], torch.device("cpu")
    extractor = make_extractor(config, device)
    copies = _Copies.of(folder, config, extractor, options.copies)
    data = copies.data(size)
    features = copies.features(folder / f"features-{size}.safetensors", size, config)
    training = ProbeTraining(
        config=config,
        data=data,
        features=DatasetFeatures(features=features, views=None),
        extractor=extractor,
        device=device,
    )
    before, started = time.process_time(), time.monotonic()
    localizer, _ = fitted(training)
    figures: dict[str, float] = {
        "train_cpu_s": round(time.process_time() - before, 2),
        "train_wall_s": round(time.monotonic() - started, 2),
    }
    run = RunFolder(root=folder / f"run-{size}")
    save_probe(localizer, data, run, {})
    figures["train_peak_mb"] = peak_mb()
    figures["model_mb"] = round((run.best / "model.safetensors").stat().st_size / 1e6, 1)
    figures["cells"] = len(localizer.ensemble.cells)
    figures |= {"recall_of_100": _recall(copies, training, localizer)}
    del localizer, training, features
    loaded = subprocess.run(
        [sys.executable, "-c", _LOADING, str(run.best), str(folder / "images.npy"), str(options.threads)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return figures | json.loads(loaded.stdout)


_LOADING = """
import json, sys, time
from pathlib import Path
import numpy as np
import torch
sys.path.append(%r)
import scale
if int(sys.argv[3]):
    torch.set_num_threads(int(sys.argv[3]))
from train.inference.load import load_localizer
images = torch.from_numpy(np.load(sys.argv[2]))
started = time.monotonic()
localizer = load_localizer(Path(sys.argv[1]), device="cpu")
loaded = time.monotonic()
loaded_mb = scale.peak_mb()
localizer.locate(images[:1])
first = time.monotonic()
found = scale.pace(localizer, images)
peak_mb = scale.peak_mb()
found |= {"load_s": round(loaded - started, 2), "first_answer_s": round(first - loaded, 2)}
print(json.dumps(found | {"loaded_mb": loaded_mb, "predict_peak_mb": peak_mb}))
""" % str(Path(__file__).resolve().parent)  # noqa: UP031  braces abound


def peak_mb() -> int:
    """Return the most memory that this process has had; a new process is told its parent's by `getrusage`."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3)
    except (OSError, StopIteration):
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def pace(localizer: Any, images: Any) -> dict[str, float]:
    """Return photos per second of a model, and of its bare backbones on the same pixels, the better of two batches."""
    import torch

    from train.models.backbones import build_backbone
    from train.models.pretrained import load_weights

    bare = []
    for reader in localizer.extractor.readers:
        backbone = build_backbone(reader.name, height=reader.spec.height, width=reader.spec.width).module.eval()
        load_weights(backbone, reader.name, localizer.config.weights)
        bare.append((backbone.to(memory_format=torch.channels_last), reader.normalised(images)))

    def forward(batch: int) -> None:
        for backbone, inputs in bare:
            for part in torch.split(inputs, batch):
                backbone(part)

    ways: dict[str, Any] = {
        "predict": lambda: localizer.locate(images),
        "bare_8": lambda: forward(8),
        "bare_32": lambda: forward(32),
    }
    best = dict.fromkeys(ways, float("inf"))
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for name, way in ways.items():
                started = time.monotonic()
                way()
                best[name] = min(best[name], time.monotonic() - started)
    backbone_s = min(best["bare_8"], best["bare_32"])
    return {
        "predict_photos_per_s": round(len(images) / best["predict"], 1),
        "backbone_photos_per_s": round(len(images) / backbone_s, 1),
        "predict_to_backbone": round(backbone_s / best["predict"], 3),
    }


def _recall(copies: "_Copies", training: Any, localizer: Any) -> float:
    """Return the share of the 100 nearest by exact comparison that the gallery's candidates hold, of new copies."""
    import torch

    head = localizer.ensemble.heads["neighbours"]
    queries = localizer.ensemble.descriptor_model(copies.block(10**6, _QUERIES)).pooled
    photos = training.features.features
    blocks = torch.split(torch.arange(len(photos)), _BLOCK)
    cosine = torch.cat(
        [queries @ localizer.ensemble.descriptor_model(photos.take(rows).loaded()).pooled.T for rows in blocks], dim=1
    )
    exact = cosine.topk(min(_NEAREST, len(photos)), dim=1).indices
    found = head.gallery.nearest(queries, _NEAREST)[1]
    hits = [len(set(a.tolist()) & set(b.tolist())) / len(a) for a, b in zip(exact, found, strict=True)]
    return round(sum(hits) / len(hits), 4)


def _changes(changes: list[str]) -> dict[str, Any]:
    pairs = (change.partition("=") for change in changes)
    return {name: json.loads(value) for name, _, value in pairs}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Copies:
    """Altered copies of rendered photos: their `known` features, and which photo of `source` each is a copy of."""

    source: Any
    known: Any
    of_photo: Any

    @classmethod
    def of(cls, folder: Path, config: Any, extractor: Any, count: int) -> "_Copies":
        """Return the copies, kept in `folder` for the next size, as are the pixels of the first."""
        import numpy as np
        import torch

        from train.data.training_data import read_photos
        from train.models.probe.features.extractor import Features
        from train.models.probe.features.stored_features import features_of, named_tensors

        source, kept = read_photos(folder / "quad"), folder / "copies.pt"
        of_photo = np.arange(count) % len(source.photos)
        if not kept.is_file():
            parts = []
            for images in _altered(source, config, of_photo):
                if not parts:
                    np.save(folder / "images.npy", images.numpy())
                parts.append(extractor(images))
            torch.save(named_tensors(Features.concatenate(parts)), kept)
        return cls(source=source, known=features_of(torch.load(kept)), of_photo=of_photo)

    def block(self, number: int, count: int) -> Any:
        """Return the features of `count` photos: those of copies, moved along the difference of two others.

        Block 0 is the copies themselves.
        """
        import torch

        from train.models.probe.features.extractor import Features

        base, one, other = (torch.from_numpy(rows) for rows in self._drawn(number, count))
        share = _MOVED if number else 0.0

        def moved(part: Any) -> Any:
            return (part[base].float() + share * (part[one].float() - part[other].float())).to(part.dtype)

        return Features(
            pooled=tuple(map(moved, self.known.pooled)),
            brightness=moved(self.known.brightness),
            pyramids=tuple(tuple(map(moved, grids)) for grids in self.known.pyramids),
        )

    def _drawn(self, number: int, count: int) -> Any:
        import numpy as np

        draws = np.random.default_rng(number).integers(0, len(self.known), (3, count))
        if not number:
            draws[0] = np.arange(count) % len(self.known)
        return draws

    def features(self, path: Path, count: int, config: Any) -> Any:
        """Return the features of `count` photos, in memory where training has them there, else in a file at `path`."""
        import torch

        from train.models.probe.features.stored_features import StoredFeatures, features_of, named_tensors
        from train.models.probe.features.tensor_file import TensorFile

        blocks = (named_tensors(self.block(number, rows)) for number, rows in _blocks(count))
        file = TensorFile.write(path, count, blocks)
        rows = torch.arange(count)
        if count <= config.exact_photos:
            return features_of(file.rows(rows.numpy()))
        return StoredFeatures(file=file, rows=rows, device=torch.device("cpu"))

    def data(self, count: int) -> Any:
        """Return `count` photos as training data: where the photos were taken, give or take, in walks of 200."""
        import numpy as np

        from train.data.training_data import Photos, TrainingData

        base = np.concatenate([self._drawn(number, rows)[0] for number, rows in _blocks(count)])
        taken = self.source.photos.take(self.of_photo[base])
        draws, order = np.random.default_rng(count), np.arange(count)
        walk = np.asarray([f"walk-{number:05d}" for number in order % max(5, count // 200)])
        columns: dict[str, Any] = {field.name: getattr(taken, field.name) for field in dataclasses.fields(Photos)}
        columns |= {"ids": np.asarray([f"{number:064x}" for number in order]), "captured_s": 20.0 * order}
        columns |= {name: columns[name] + draws.normal(0, _APART_M, count) for name in ("east_m", "north_m")}
        photos = Photos(**{**columns, "walk": walk, "group": walk})
        return TrainingData(source=dataclasses.replace(self.source, photos=photos), train=photos)


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each block of photos and how many it has."""
    for start in range(0, count, _BLOCK):
        yield start // _BLOCK, min(_BLOCK, count - start)


def _altered(source: Any, config: Any, of_photo: Any) -> Iterator[Any]:
    """Yield the pixels of altered copies, some at a time."""
    import numpy as np
    import torch

    from train.data.augmentation import Augmentation, augment, photo_keys, photo_uniforms
    from train.data.pixel_cache import cached_pixels

    pixels, keys = cached_pixels(source, config.pixels), photo_keys(source.photos.ids)
    strength = Augmentation(crop=0.2, rotate_deg=5.0, colour=0.4)
    for rows in np.split(of_photo, range(_LOOKED_AT, len(of_photo), _LOOKED_AT)):
        epoch = int(rows[0]) + len(rows)
        uniforms = torch.from_numpy(photo_uniforms(keys[rows], seed=int(rows[-1]), epoch=epoch)).float()
        yield augment(torch.from_numpy(pixels[rows]).float(), uniforms, strength).round().clamp(0, 255).to(torch.uint8)


def _machine() -> dict[str, Any]:
    return {"cpu_count": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()}


if __name__ == "__main__":
    main()
