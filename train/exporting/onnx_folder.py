"""The format ``onnx``: a folder that `img2gps.runtime.Locator` reads, and on which the other formats build."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from img2gps.basemap.features import Basemap
from img2gps.basemap.file import usable_basemap
from img2gps.basemap.geojson import basemap_to_geojson
from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError, QualityGateError, UsageError
from img2gps.files import write_atomic, write_json
from img2gps.progress import stderr
from img2gps.runtime.description import BASEMAP, GALLERY, MODEL, MODEL_JSON, SITE, THUMBNAILS
from img2gps.runtime.locator import Locator
from img2gps.text import format_count
from train.exporting.card import card
from train.exporting.describe import describe
from train.exporting.figures import recalibrated
from train.exporting.gallery import gallery_ids, write_thumbnails
from train.exporting.graphs.probe import BACKBONE_WEIGHTS, PROBE_OUTPUTS, PureProbe
from train.exporting.graphs.to_onnx import write_graph
from train.exporting.options import ExportOptions, ExportResult
from train.exporting.parity import Parity, checked_pixels, dataset_pixels, generated_pixels
from train.exporting.privacy import changed_model
from train.inference.load import load_localizer
from train.models.localizer import Localizer
from train.models.network.model import NetworkLocalizer
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import ProbeLocalizer
from train.runs.names import open_run

__all__ = ["MOST_HALF_M", "NO_GALLERY", "write_onnx"]

MOST_HALF_M: Final = 0.2
"""How far weights of 16 bits may move a position, in metres."""

NO_GALLERY: Final = "This run gives points alone and holds no gallery: leave --heads and --round-m out."

_COMPARED: Final = 8  # photos, at the end of every export
_COMPARED_HALF: Final = 32  # where weights were rounded


def write_onnx(run: Path, out: Path, options: ExportOptions) -> ExportResult:
    """Write the model of `run` into the empty folder `out` and compare it with the run on some photos.

    Raises UsageError for options that do not fit the model, QualityGateError where `half` moves a position by more than
    `MOST_HALF_M`, and what `load_localizer` raises.
    """
    started = time.perf_counter()
    localizer = load_localizer(run, fold=options.fold, device="cpu")
    localizer, figures, notes = _as_asked(run, localizer, options)
    stderr().print("Exporting the graph, which takes a minute or several.", markup=False)
    module, outputs, gallery = _pure(localizer, half=options.half)
    spec, half = localizer.pixels, options.half
    # a photo that may be of either of two places goes to the other one where its features are rounded
    exact = BACKBONE_WEIGHTS if isinstance(localizer, ProbeLocalizer) else ()
    batch = write_graph(out / MODEL, module, spec, gallery, outputs=outputs, half=half, exact=exact)
    ids = None
    if gallery:
        write_atomic(out / GALLERY, save(dict(gallery)))
        assert isinstance(localizer, ProbeLocalizer)
        ids = gallery_ids(run, localizer, fold=options.fold)
    thumbnails = write_thumbnails(out, run, ids) if ids and options.thumbnails else 0
    basemap = _write_site(out, run)
    values = describe(run, localizer, options, batch=batch, ids=ids, thumbnails=thumbnails, figures=figures)
    write_json(out / MODEL_JSON, values)
    pixels, whose = _pixels(run, localizer, _COMPARED_HALF if half else _COMPARED)
    parity = checked_pixels(localizer, Locator(out), pixels)
    _refuse_coarse(parity, options)
    values["parity"] = {"photos": len(pixels), "of": whose, "worst_m": round(parity.worst_m, 4)}
    values["parity"]["worst_radius_share"] = parity.worst_radius_share
    write_json(out / MODEL_JSON, values)
    notes = (*notes, *_given_away(values, thumbnails))
    write_atomic(out / "README.md", card(values, notes, basemap=basemap).encode())
    return ExportResult(
        out=out,
        format="onnx",
        files=_sizes(out),
        notes=notes,
        parity_m=parity.worst_m,
        parity_photos=len(pixels),
        figures=figures,
        seconds=time.perf_counter() - started,
    )


def _as_asked(
    run: Path, localizer: Localizer, options: ExportOptions
) -> tuple[Localizer, Mapping[str, object] | None, tuple[str, ...]]:
    if not isinstance(localizer, ProbeLocalizer):
        if options.heads is not None or options.round_m:
            raise UsageError(NO_GALLERY)
        return localizer, None, ()
    changed = changed_model(localizer, options)
    return (localizer, None, ()) if changed is localizer else recalibrated(run, localizer, changed)


def _pure(localizer: Localizer, *, half: bool) -> tuple[nn.Module, tuple[str, ...], dict[str, Tensor]]:
    """Return the module to export, the names of its outputs, and the gallery it is given."""
    if isinstance(localizer, NetworkLocalizer):
        from train.exporting.graphs.network import NETWORK_OUTPUTS, PureNetwork

        return PureNetwork(localizer), NETWORK_OUTPUTS, {}
    from train.exporting.graphs.neighbours import gallery_tensors

    assert isinstance(localizer, ProbeLocalizer)
    head = localizer.ensemble.heads.get("neighbours")
    gallery = gallery_tensors(head) if isinstance(head, Neighbours) else {}
    if half and gallery:
        gallery["gallery.pooled"] = gallery["gallery.pooled"].half()
    return PureProbe(localizer), PROBE_OUTPUTS if gallery else PROBE_OUTPUTS[:1], gallery


def _write_site(out: Path, run: Path) -> Basemap | None:
    """Put the outline of the site and its map beside the model, where the dataset is at hand; return the map."""
    try:
        dataset = Dataset.open(open_run(run).read_info_quietly().dataset)
        write_atomic(out / SITE, (dataset.root / SITE).read_bytes())
    except (Img2GPSError, OSError):
        return None
    basemap = usable_basemap(dataset)
    if basemap is not None:
        write_atomic(out / BASEMAP, basemap_to_geojson(basemap).encode())
    return basemap


def _pixels(run: Path, localizer: Localizer, count: int) -> tuple[NDArray[np.uint8], str]:
    """Return `count` photos to compare on, of the run's dataset, else made up ones; and which of the two they are."""
    spec = localizer.pixels
    try:
        found = open_run(run)
        dataset, photos = Dataset.open(found.read_info_quietly().dataset), found.read_photos()
        chosen = photos.sort_values("role", ascending=False)["id"].tolist()  # val before train
        step = max(1, len(chosen) // count)
        paths = dataset.photo_paths(chosen[::step][:count])
        pixels = dataset_pixels(localizer, paths)
    except Img2GPSError:
        pixels = None
    if pixels is not None:
        return pixels, "dataset"
    return generated_pixels(spec.height, spec.width, count=count), "generated"


def _refuse_coarse(parity: Parity, options: ExportOptions) -> None:
    if options.half and parity.worst_m > MOST_HALF_M:
        raise QualityGateError(
            f"With --half a position moves by {parity.worst_m:.2f} m, more than {MOST_HALF_M} m: export without it."
        )


def _given_away(values: Mapping[str, object], thumbnails: int) -> tuple[str, ...]:
    """Return what the folder tells of the training photos, in sentences."""
    gallery = values["gallery"]
    if not isinstance(gallery, dict):
        return ("It holds no gallery: nothing of a single training photo but what weights and cells tell.",)
    how = f"to {gallery['round_m']:g} m" if gallery["round_m"] else "exactly"
    photos = format_count(int(gallery["photos"]), "training photo")
    notes = [f"It holds where {photos} were taken ({how}), and their features: --round-m blurs, --heads leaves out."]
    if thumbnails:
        notes.append(f"It holds {format_count(thumbnails, 'thumbnail')} of them: --no-thumbnails leaves these out.")
    return tuple(notes)


def _sizes(out: Path) -> dict[str, int]:
    sizes = {path.name: path.stat().st_size for path in sorted(out.iterdir()) if path.is_file()}
    pictures = [path.stat().st_size for path in (out / THUMBNAILS).glob("*.jpg")]
    return sizes | ({THUMBNAILS: sum(pictures)} if pictures else {})
