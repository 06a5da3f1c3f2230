"""The format ``hub``: a run as a folder for a model repository of the Hugging Face Hub, which stays a run.

What tells of this machine or of people stays behind: the path of the dataset, the predictions, the plots. What says on
which photos the model must not be scored comes along.
"""

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps.errors import UsageError
from img2gps.files import fsync_folder, write_atomic, write_json, write_sums
from img2gps.hub.licenses import check_license
from train.exporting.describe import describe
from train.exporting.hub_card import hub_card
from train.exporting.options import ExportOptions, ExportResult
from train.exporting.sizes import file_sizes
from train.inference.load import checkpoint_path, load_localizer
from train.models.localizer import Localizer
from train.models.probe.model import ProbeLocalizer
from train.runs.checkpoint import MODEL, STATE
from train.runs.folder import RunFolder
from train.runs.names import open_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONFIG_JSON", "HUB_FILES", "check_hub", "write_hub"]

CONFIG_JSON: Final = "config.json"
HUB_FILES: Final = (
    *("README.md", "SHA256SUMS", "best/SHA256SUMS", f"best/{MODEL}.safetensors", f"best/{STATE}"),
    *(CONFIG_JSON, "config.toml", "photos.parquet"),
)
"""What every such folder holds."""

_NO_DATASET: Final = Path("dataset-that-was-not-published")
_COMPANIONS: Final = ("metrics.jsonl", "metrics.sha256", "refined.json")
_WORDS: Final = frozenset({"none", "bundled", "imagenet"})
_OF_GRAPHS: Final = ("format", "version", "opset", "half", "batch", "round_m", "cells", "gallery", "familiarity")


def write_hub(path: Path, out: Path, options: ExportOptions) -> ExportResult:
    """Write the run at `path` into the empty folder `out`, to be published, and to be used as a run again.

    Raises UsageError without a licence or for options that change a model, and what `load_localizer` raises.
    """
    started = time.perf_counter()
    words = check_hub(options)
    localizer = load_localizer(path, fold=options.fold, device="cpu")
    source, checkpoint = open_run(path), checkpoint_path(path, fold=options.fold)
    folder = source if options.fold is None else source.fold(options.fold)
    neighbours = localizer.neighbours if isinstance(localizer, ProbeLocalizer) else None
    photos = folder.read_photos()
    _write_checkpoint(checkpoint, out / "best")
    _write_run(folder, source, out)
    RunFolder(root=out).write_photos(photos if neighbours is not None else _at_their_mean(photos))
    values = describe(path, localizer, options, batch=None, ids=None, thumbnails=0, figures=None)
    values = {name: value for name, value in values.items() if name not in _OF_GRAPHS}
    values |= {"format": "img2gps-run", "license": words, **_familiarity(localizer)}
    write_json(out / CONFIG_JSON, values)
    gallery = 0 if neighbours is None else len(neighbours.xy)
    text, notes = hub_card(source, values, words, photos=len(photos), gallery=gallery, fold=options.fold)
    write_atomic(out / "README.md", text.encode())
    return ExportResult(
        out=out,
        format="hub",
        files=file_sizes(out),
        notes=notes,
        parity_m=None,
        parity_photos=0,
        figures=None,
        seconds=time.perf_counter() - started,
    )


def _familiarity(localizer: Localizer) -> dict[str, object]:
    """Return whether the model tells photos of elsewhere, and how well."""
    if not isinstance(localizer, ProbeLocalizer):
        return {"tells_strangers": False, "familiarity_power": None}
    power = localizer.familiarity.power
    held_out = bool(len(localizer.familiarity.held_out))
    return {"tells_strangers": held_out, "familiarity_power": None if power is None else dataclasses.asdict(power)}


def check_hub(options: ExportOptions) -> str:
    """Return the licence. Raises UsageError without one, and for options that change a model."""
    if options.half or options.heads is not None or options.round_m:
        raise UsageError(
            "The format hub publishes the run as it is, without --half, --heads and --round-m: for coarse positions "
            "train on a coarse dataset (`img2gps publish --round-m`, then `img2gps fetch`)."
        )
    return check_license(options.license, what="model is")


def _write_checkpoint(checkpoint: Path, best: Path) -> None:
    """Copy the weights, and the state without paths of this machine."""
    best.mkdir()
    _copy(checkpoint / f"{MODEL}.safetensors", best / f"{MODEL}.safetensors")
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_bytes())
    state["config"] = state["config"] | {"weights": _named(str(state["config"]["weights"]))}
    write_atomic(best / STATE, f"{json.dumps(state, indent=1, ensure_ascii=False, allow_nan=False)}\n".encode())
    write_sums(best)
    fsync_folder(best)


def _write_run(folder: RunFolder, source: RunFolder, out: Path) -> None:
    """Write config.toml without paths of this machine, and what else a run has beside its checkpoints."""
    info = source.read_info_quietly()
    config = info.config.model_copy(update={"weights": _named(info.config.weights)})
    RunFolder(root=out).write_info(dataclasses.replace(info, config=config, dataset=_NO_DATASET, folds=False))
    for name in _COMPANIONS:
        if (folder.root / name).is_file():
            _copy(folder.root / name, out / name)


def _named(weights: str) -> str:
    """Return the word or the name of a file without its folder, which may hold a person's name."""
    return weights if weights in _WORDS else Path(weights).name


def _at_their_mean(photos: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows with the mean position of their role: no single place, and the mean predictor as it was."""
    means = photos.groupby("role")[["lon", "lat"]].transform("mean")
    return photos.assign(lon=means["lon"], lat=means["lat"])


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
