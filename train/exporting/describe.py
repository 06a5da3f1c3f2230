"""``model.json`` of an export: see docs/guides/export.md for what its keys mean."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from img2gps import __version__
from img2gps.answers import UNFAMILIAR_BELOW
from img2gps.errors import Img2GPSError
from img2gps.files import canonical_json, sha256_bytes, sha256_file
from img2gps.pixels import PADDING
from img2gps.runtime.description import FORMAT_VERSION, GALLERY, THUMBNAILS
from train.config.schema import NetworkConfig, ProbeConfig
from train.exporting.graphs.to_onnx import OPSET
from train.exporting.licences import licence_of
from train.exporting.options import ExportOptions
from train.inference.load import checkpoint_path
from train.models.localizer import Localizer
from train.models.network.model import NetworkLocalizer
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import ProbeLocalizer
from train.runs.checkpoint import MODEL, read_checkpoint
from train.runs.names import open_run

__all__ = ["describe"]


def describe(
    path: Path,
    localizer: Localizer,
    options: ExportOptions,
    *,
    batch: int | None,
    ids: list[str] | None,
    thumbnails: int,
    figures: Mapping[str, object] | None,
) -> dict[str, Any]:
    """Return the values of model.json, but for the parity, which is measured on the folder that it belongs to."""
    checkpoint = read_checkpoint(checkpoint_path(path, fold=options.fold))
    config = localizer.config if isinstance(localizer, ProbeLocalizer) else _network_config(checkpoint.state)
    spec = localizer.pixels
    values: dict[str, Any] = {
        "format": "img2gps-onnx",
        "version": FORMAT_VERSION,
        "site": str(checkpoint.state.get("site", "")),
        "method": config.method,
        "preset": config.preset,
        "model": config.model,
        "weights": {"from": config.weights, **licence_of(config)},
        "opset": OPSET,
        "half": options.half,
        "batch": batch,
        "pixels": {**dataclasses.asdict(spec), "padding": list(PADDING), "resize": "Pillow bilinear, antialiased"},
        "frame": dataclasses.asdict(localizer.frame),
        "unfamiliar_below": UNFAMILIAR_BELOW,
        "run": _run(path, checkpoint.folder),
        "figures": dict(figures) if figures is not None else _run_figures(checkpoint.state),
        "made_by": {"img2gps": __version__, "torch": importlib.metadata.version("torch")},
    }
    if isinstance(localizer, ProbeLocalizer):
        return values | _probe(localizer, options, ids=ids, thumbnails=thumbnails)
    assert isinstance(localizer, NetworkLocalizer)
    nothing = dict.fromkeys(("cells", "gallery", "calibration", "walk_calibration", "answer", "bandwidth_m"))
    return values | nothing | {"familiarity": {"held_out": [], "power": None}, "target": localizer.scale.to_json()}


def _network_config(state: Mapping[str, Any]) -> NetworkConfig | ProbeConfig:
    from train.config.values import network_of

    return network_of(state["config"], where="the run")


def _probe(
    localizer: ProbeLocalizer, options: ExportOptions, *, ids: list[str] | None, thumbnails: int
) -> dict[str, Any]:
    ensemble, familiarity = localizer.ensemble, localizer.familiarity
    head = ensemble.heads.get("neighbours")
    gallery = None
    if isinstance(head, Neighbours):
        gallery = {
            "file": GALLERY,
            "photos": len(head.xy),
            "ids": ids,
            "round_m": options.round_m,
            "thumbnails": f"{THUMBNAILS}/%05d.jpg" if thumbnails else None,
        }
    return {
        "heads": list(ensemble.heads),
        "cells": {"size_m": ensemble.cells.size_m, "centres": ensemble.cells.centres.double().tolist()},
        "answer": localizer.config.answer,
        "bandwidth_m": localizer.config.bandwidth_m,
        "calibration": dataclasses.asdict(localizer.calibration),
        "walk_calibration": dataclasses.asdict(localizer.walk_calibration),
        "familiarity": {
            "held_out": familiarity.held_out.double().tolist(),
            "power": None if familiarity.power is None else dataclasses.asdict(familiarity.power),
        },
        "gallery": gallery,
        "round_m": options.round_m,  # of cells, too: a model without a gallery may be coarse
        "target": None,
    }


def _run(path: Path, checkpoint: Path) -> dict[str, Any]:
    """Return what tells this run from any other: its fingerprint is a digest of the rest."""
    facts: dict[str, Any] = {"model_sha256": sha256_file(checkpoint / f"{MODEL}.safetensors")}
    try:
        run = open_run(path)
        info = run.read_info_quietly()
        facts |= {"name": run.root.resolve().name, "site_sha256": info.site_sha256, "rows_sha256": info.rows_sha256}
        facts |= {"split_ids": dict(info.split_ids), "made_by": dict(info.made_by)}
    except Img2GPSError:  # a checkpoint on its own
        facts["name"] = checkpoint.resolve().name
    return {**facts, "fingerprint": sha256_bytes(canonical_json(facts))}


def _run_figures(state: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the errors on the validation photos that training measured, None where it had none."""
    metrics = state.get("metrics") or {}
    named = {name: metrics.get(f"val/{name}") for name in ("rmse_m", "mean_m", "median_m", "p90_m")}
    return None if named["rmse_m"] is None else {"split": "val", **named}
