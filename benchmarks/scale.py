"""What very many photos cost: training, memory, the model's file, retrieval and prediction at 1,000 to 100,000 photos.

A generated campus is rendered; altered copies of its photos pass the backbone. What is beyond those copies is features
alone: those of a copy, moved along the difference of two others, a few metres away, on a walk of its own. So the site
and the spread of the features stay, and only the number of photos grows. Each size runs in a process of its own.

Seconds of training are processor time without the backbone's, which is linear. `train_per_photo_N` is that time per
photo over that at the smallest size. `predict_to_backbone_N` is photos per second of the model over those of the bare
backbone on the same pixels, the best of interleaved rounds; `_cpu` is the same by processor time, which says more where
other work goes on, and less with several threads. Recall is that of the 100 nearest by exact comparison.
`load_s` reads and checks the model; the libraries that every command imports first are `import_s`.

    python benchmarks/scale.py [--json] [--photos 1000 10000 100000] [--preset quick] [--rendered 160] [--threads 0]
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_TESTS = str(Path(__file__).resolve().parent.parent / "tests")
sys.path[0] = _TESTS  # benchmarks/train.py would hide the package

from feature_copies import BLOCK, FeatureCopies  # noqa: E402

from img2gps.threads import settle_threads  # noqa: E402

_SIZES = (1000, 10_000, 100_000)
_COPIES = 1000  # altered photos that pass the backbone
_ROUNDS = 5
_QUERIES = 256
_NEAREST = 100


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
    settle_threads()  # as every command does, before torch is loaded here or in a process of its own
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
    command = [sys.executable, str(Path(__file__).resolve()), "--in", str(folder), "--photos", str(size), *words]
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
    from train.runtime.devices import pick_device

    if options.threads:
        torch.set_num_threads(options.threads)
    values = {"device": "cpu", "threads": options.threads} | _changes(options.changes)
    config = changed(preset(options.preset), values)
    assert isinstance(config, ProbeConfig)
    size, device = options.photos[0], pick_device("cpu")  # memory is kept as in every command
    extractor = make_extractor(config, device)
    copies = FeatureCopies.of(folder, config, extractor, options.copies)
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
importing = time.monotonic()
import train.models.probe.model
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
found |= {"import_s": round(started - importing, 2), "load_s": round(loaded - started, 2)}
found |= {"first_answer_s": round(first - loaded, 2)}
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
    best, cpu = dict.fromkeys(ways, float("inf")), dict.fromkeys(ways, float("inf"))
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for name, way in ways.items():
                started, before = time.monotonic(), time.process_time()
                way()
                cpu[name] = min(cpu[name], time.process_time() - before)
                best[name] = min(best[name], time.monotonic() - started)
    backbone_s, backbone_cpu = (min(spent["bare_8"], spent["bare_32"]) for spent in (best, cpu))
    return {
        "predict_photos_per_s": round(len(images) / best["predict"], 1),
        "backbone_photos_per_s": round(len(images) / backbone_s, 1),
        "predict_cpu_ms": round(1000 * cpu["predict"] / len(images), 2),
        "backbone_cpu_ms": round(1000 * backbone_cpu / len(images), 2),
        "predict_to_backbone": round(backbone_s / best["predict"], 3),
        "predict_to_backbone_cpu": round(backbone_cpu / cpu["predict"], 3),
    }


def _recall(copies: "FeatureCopies", training: Any, localizer: Any) -> float:
    """Return the share of the 100 nearest by exact comparison that the gallery's candidates hold, of new copies."""
    import torch

    head = localizer.ensemble.heads["neighbours"]
    queries = localizer.ensemble.descriptor_model(copies.block(10**6, _QUERIES)).pooled
    photos = training.features.features
    blocks = torch.split(torch.arange(len(photos)), BLOCK)
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


def _machine() -> dict[str, Any]:
    return {"cpu_count": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()}


if __name__ == "__main__":
    main()
