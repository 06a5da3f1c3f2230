"""A dataset with all its files and a run of each kind, made in seconds, for damages."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ingest_runs import run_ingest
from photos import write_photo, write_walk

from collect.splits.split import split_dataset
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.manifest import photos_of, read_table
from train.config.presets import preset
from train.config.schema import TrainConfig
from train.config.values import changed
from train.training.session import start_run

_SPLIT = ("--by", "random", "--test", "4")
_TINY: dict[str, Any] = {
    "model": "timm/test_efficientnet",
    "weights": "none",
    "size": 32,
    "device": "cpu",
    "threads": 1,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A dataset with corrections, splits and folds, and a run of each kind, below one folder."""

    root: Path

    @property
    def dataset(self) -> Path:
        return self.root / "ds"

    @property
    def photos(self) -> Path:
        return self.root / "in"

    def run(self, name: str) -> Path:
        return self.root / "runs" / name

    def commands(self, path: Path) -> dict[str, list[str]]:
        """Return the commands that read the file at `path`, by name."""
        ds = str(self.dataset)
        if path.is_relative_to(self.dataset):
            return {
                "verify": ["verify", ds, "--json"],
                "queue": ["label", ds, "--queue", "--json"],
                "audit": ["audit", ds, "--json"],
                "split": ["split", ds, *_SPLIT, "--val", "4", "--folds", "2", "--json"],
                "resplit": ["split", ds, *_SPLIT, "--val", "5", "--folds", "3", "--json"],
                "evaluate": ["evaluate", str(self.run("network")), "--json"],
                "ingest": ["ingest", str(self.photos), ds, "--jobs", "1", "--json"],
                "train": ["train", ds, "--preset", "published", *_typed(epochs=1), "--name", "new", "--json"],
                "probe": ["train", ds, "--preset", "quick", *_typed(epochs=2), "--name", "new", "--json"],
            }
        name = path.relative_to(self.root / "runs").parts[0]
        run, photo = str(self.run(name)), str(self.photos / "IMG_0001.jpg")
        commands = {
            "verify": ["verify", run, "--json"],
            "evaluate": ["evaluate", run, "--json"],
            "resume": ["train", "--resume", run, "--epochs", "3", "--json"],
        }
        if name == "folds":
            return commands | {"queue": ["label", ds, "--queue", "--run", run, "--json"]}
        predict = {"predict": ["predict", run, photo, "--json"], "last": ["predict", f"{run}/last", photo, "--json"]}
        return commands | predict


def _typed(**values: Any) -> list[str]:
    return [part for name, value in (_TINY | values).items() for part in (f"--{name}", str(value))]


def tiny(name: str, **values: Any) -> TrainConfig:
    """Return a config that trains in a moment."""
    return changed(preset(name), _TINY | values)


def make_scene(root: Path, *, photos: int = 24) -> Scene:
    """Make the dataset and the runs ``network``, ``probe`` and ``folds``, and evaluate the first two."""
    scene = Scene(root=root)
    write_walk(scene.photos, photos, size=(64, 48), every_s=4.0)
    write_walk(scene.photos / "more", photos // 2, size=(64, 48), first_seed=500, start=(8.002, 50.001))
    write_photo(scene.photos / "far.jpg", seed=9000, lon=9.0, size=(64, 48))
    _write_beside(scene.photos)
    run_ingest(scene.photos, scene.dataset)
    run_ingest(scene.photos, scene.dataset, site=_narrower(root), allow_shrink=True)
    dataset = Dataset.open(scene.dataset)
    first, second = photos_of(read_table(dataset.manifest_path)[0])[:2]
    place = {"from_lon": first.lon, "from_lat": first.lat, "lon": first.lon + 1e-5, "lat": first.lat}
    line = {"at": "2025-06-02T16:00:00+00:00", "by": "Ada", "why": "a tree"}
    moved = Correction(photo_id=first.id, action="move", **line, **place)
    unsure = Correction(photo_id=second.id, action="unsure", from_lon=second.lon, from_lat=second.lat, **line)
    append_corrections(dataset.corrections_path, [moved, unsure])
    split_dataset(dataset, val=4, test=4, by="random", folds="2")
    start_run(scene.dataset, tiny("published", epochs=2), runs=root / "runs", name="network")
    start_run(scene.dataset, tiny("quick", epochs=2), runs=root / "runs", name="probe")
    start_run(scene.dataset, tiny("published", epochs=2), runs=root / "runs", name="folds", folds=True)
    return scene


def _write_beside(folder: Path) -> None:
    """Write a photo whose position stands in a sidecar of Takeout."""
    place = {"latitude": 50.0005, "longitude": 8.0005}
    write_photo(folder / "beside.jpg", seed=9100, lon=None, lat=None, size=(64, 48))
    (folder / "beside.jpg.json").write_text(json.dumps({"title": "beside.jpg", "geoData": place}))


def _narrower(root: Path) -> Path:
    """Write a site that leaves some photos of the square one outside, with all that a site can say."""
    document = json.loads((root / "square.geojson").read_text())
    feature = document["features"][0] if "features" in document else document
    feature["properties"]["title"] = "The square, redrawn"
    ring = feature["geometry"]["coordinates"][0]
    top = sorted({lat for _, lat in ring})[-1]
    feature["geometry"]["coordinates"][0] = [[lon, 50.0013 if lat == top else lat] for lon, lat in ring]
    (root / "narrow.geojson").write_text(json.dumps(document))
    return root / "narrow.geojson"


@contextlib.contextmanager
def without_drawing() -> Iterator[None]:
    """Leave out what is drawn and reads no file: it takes longer than everything else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.training.curves.draw_curves", lambda _run: None)
        patch.setattr("train.evaluation.evaluate.write_plots", lambda *_, **__: None)
        patch.setattr("train.evaluation.page.write_report", lambda *_, **__: None)
        yield


def files_of(scene: Scene) -> list[Path]:
    """Return every file of the dataset and of the runs that a command reads."""
    unread = ("README.md", ".lock", "CACHEDIR.TAG", "report.html")
    files = [path for folder in (scene.dataset, scene.root / "runs") for path in sorted(folder.rglob("*"))]
    return [
        path
        for path in files
        if path.is_file() and path.name not in unread and not {"plots", "audit"} & set(path.parts)
    ]


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make `folder` the working directory: new runs go to runs/ in it."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
