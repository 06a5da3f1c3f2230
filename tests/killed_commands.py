"""The commands that publish, fetch, merge, forget and move a dataset, each as `kills.Killed`."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectors import write_detector
from fake_hub import FakeHub
from ingest_runs import fingerprint, run_ingest
from interruptions import assert_sound, content
from kills import Killed
from photos import write_walk
from publishing_scene import LAT, LON, make_published

from collect.api import publish
from collect.publishing.fetch import fetch_folder
from collect.verification import verify_dataset
from img2gps.corrections import read_corrections

COLLECT_MODULES = (
    *("collect.api", "collect.commands.publish", "collect.publishing.publish", "collect.publishing.fetch"),
    *("collect.forgetting.forget", "collect.merging.merge", "collect.migration.migrate", "collect.outlining.positions"),
    *("astral.sun", "filelock", "geopandas", "huggingface_hub", "onnx", "onnxruntime", "pyarrow.dataset"),
    *("pyarrow.parquet", "rich.progress", "scipy.spatial", "unittest", "uvicorn"),
)
TRAIN_MODULES = ("train.api", "train.exporting.formats", "timm", "pyarrow.parquet", "geopandas")
HUB_NAME = "our-lab/quad"
_BEFORE = {"README.md": b"before", "data/old-00000-of-00001.parquet": b"old"}


def make_scene(folder: Path) -> Path:
    """Make `quad`, split, corrected and looked at for people, what was published of it, an `other` half, a detector."""
    write_detector(folder / "plates.onnx", [20, 20, 40, 30, 0.9, 0])
    root = make_published(folder).dataset.root
    publish(root, folder / "first", license="mit", detectors=[folder / "plates.onnx"])  # its redaction.json stays
    write_walk(folder / "in", 6, first_seed=90, size=(96, 72), prefix="OTHER_", start=(LON + 8e-4, LAT))
    shutil.copy(next((folder / "raw").rglob("KIM1_*.jpg")), folder / "in")
    run_ingest(folder / "in", folder / "other")
    return folder


def publish_killed(scene: Path) -> Killed:
    """Publish with regions of people into a folder that was published before."""

    def lay_out(place: Path) -> None:
        shutil.copytree(scene / "quad", place / "quad")
        (place / "quad/redaction.json").unlink()
        shutil.copytree(scene / "out", place / "out")

    def check(place: Path) -> None:
        assert_sound(place / "quad")
        if (place / "out").exists():  # for a moment between two renames there is none
            fetch_folder(place / "out", place / "unused", source="out", dry_run=True)

    return Killed(
        name="publish",
        words=["publish", "quad", "out", "--license", "mit", "--detector", str(scene / "plates.onnx"), "--also", "csv"],
        lay_out=lay_out,
        check=check,
        result=lambda place: [fingerprint(place / name) for name in ("quad", "out")],
    )


def fetch_killed(scene: Path) -> Killed:
    """Fetch a published folder."""
    return Killed(
        name="fetch",
        words=["fetch", str(scene / "out"), "back"],
        lay_out=lambda _place: None,
        check=lambda place: assert_sound(place / "back"),
        result=_content_of("back"),
        is_done=lambda place: (place / "back").exists(),
    )


def push_killed(scene: Path, hub: FakeHub) -> Killed:
    """Publish and push a dataset to a repository that holds an earlier one."""

    def lay_out(place: Path) -> None:
        shutil.copytree(scene / "quad", place / "quad")
        hub.objects.clear()
        hub.files[HUB_NAME] = dict(_BEFORE)

    return Killed(
        name="push",
        words=["publish", "quad", "out", "--license", "mit", "--push", HUB_NAME],
        lay_out=lay_out,
        check=lambda place: _check_pushed(hub, place / "out"),
        result=lambda place: [fingerprint(place / "out"), _digests(hub)],
    )


def fetch_from_hub_killed(scene: Path, hub: FakeHub) -> Killed:
    """Fetch a dataset from the Hub."""
    hub.files[HUB_NAME] = _files(scene / "out")
    words = ["fetch", HUB_NAME, "back"]
    return dataclasses.replace(fetch_killed(scene), name="fetch_from_hub", words=words)


def export_killed(run: Path, hub: FakeHub) -> Killed:
    """Export a run for the Hub and push it to a repository that holds an earlier one."""

    def lay_out(_place: Path) -> None:
        hub.objects.clear()
        hub.files[HUB_NAME] = {"README.md": _BEFORE["README.md"]}

    return Killed(
        name="export",
        words=["export", str(run), "out", "--format", "hub", "--license", "mit", "--push", HUB_NAME],
        lay_out=lay_out,
        check=lambda place: _check_pushed(hub, place / "out"),
        result=lambda place: [fingerprint(place / "out"), _digests(hub)],
    )


def merge_killed(scene: Path) -> Killed:
    """Merge the two datasets of a scene."""
    return Killed(
        name="merge",
        words=["merge", str(scene / "quad"), str(scene / "other"), "--into", "both"],
        lay_out=lambda _place: None,
        check=lambda place: assert_sound(place / "both"),
        result=_content_of("both"),
        is_done=lambda place: (place / "both").exists(),
    )


def forget_killed(scene: Path) -> Killed:
    """Forget a walk's photos; once the list of what to forget is there, the next ingest ends it as well."""

    def by_ingest(place: Path) -> None:
        if (place / "quad/forgotten.txt").exists():
            run_ingest(scene / "raw", place / "quad")

    def is_done(place: Path) -> bool:
        return (place / "quad/forgotten.txt").exists() and verify_dataset(place / "quad").to_forget == 0

    return Killed(
        name="forget",
        words=["forget", "quad", "--source-name", "KIM0_*"],
        lay_out=_copied(scene / "quad"),
        check=lambda place: assert_sound(place / "quad"),
        result=lambda place: {**_content_of("quad")(place), "sources": None},
        is_done=is_done,
        other=by_ingest,
    )


def migrate_killed(old: Path) -> Killed:
    """Write a dataset of an earlier schema anew."""
    without = ("ingests.jsonl", ".lock", "rejected.sha256")
    return Killed(
        name="migrate",
        words=["migrate", "quad"],
        lay_out=_copied(old),
        check=lambda place: assert_sound(place / "quad"),
        result=lambda place: fingerprint(place / "quad", without=without),
    )


def _copied(root: Path) -> Callable[[Path], None]:
    def lay_out(place: Path) -> None:
        shutil.copytree(root, place / "quad")

    return lay_out


def _content_of(name: str) -> Callable[[Path], dict[str, Any]]:
    """Return a function that tells everything that a dataset holds but times."""

    def result(place: Path) -> dict[str, Any]:
        root = place / name
        people = root / "redaction.json"
        return {
            **content(root),
            "corrections": read_corrections(root / "corrections.csv"),
            "people": people.read_bytes() if people.exists() else None,
            "site": (root / "site.geojson").read_bytes(),
            "orphans": verify_dataset(root).orphans,
        }

    return result


def variables_of(hub: FakeHub) -> dict[str, str]:
    """Return what tells the program where the Hub is, and to keep what it loads in its working folder."""
    return {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_fake", "HF_HOME": "home"}


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _digests(hub: FakeHub) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in hub.files[HUB_NAME].items()}


def _check_pushed(hub: FakeHub, out: Path) -> None:
    """Raise AssertionError where the Hub shows neither what was there before nor the whole folder."""
    shown = hub.files[HUB_NAME]
    if shown.get("README.md") != _BEFORE["README.md"]:
        assert shown == _files(out)
