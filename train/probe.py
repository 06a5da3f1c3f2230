"""Models of method ``probe``: frozen features and light heads, trained in a minute without a GPU."""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from img2gps.errors import InvalidCheckpointError, UsageError
from img2gps.geo import FloatArray, LocalFrame, geodesic_m
from img2gps.metrics import metrics_of
from img2gps.progress import bar, stderr
from img2gps.text import safe_path, safe_text
from img2gps.walks import walk_rows
from train.cache import cached_pixels, check_pixels
from train.checkpoint import Checkpoint, load_into, write_checkpoint
from train.config import ProbeConfig
from train.config_values import config_of, config_values, probe_of
from train.data import Photos, TrainingData
from train.distributed import world
from train.heads.calibration import FEWEST_TO_CALIBRATE, Calibration, inner_parts
from train.heads.cells import Cells, site_cells
from train.heads.distribution import mean_point, median_point, mode_point
from train.heads.ensemble import Ensemble, head_names
from train.heads.evidence import Evidence
from train.heads.familiarity import Familiarity, Power, walk_familiarity
from train.heads.feature_cache import features_path
from train.heads.features import CHUNK, FeatureExtractor, Features
from train.heads.looks import check_looks
from train.heads.site_model import Seen, SiteModel, held_out_evidence, steps_in_all
from train.heads.strangers import STRANGERS, mixed_views
from train.heads.tuned import TunedReader
from train.heads.views import Places
from train.heads.walking import WalkGrid, looks_of
from train.keeping import made_by
from train.localizer import UNFAMILIAR_BELOW, Estimate
from train.methods import restored
from train.pixels import PixelSpec
from train.run import RunFolder

__all__ = ["ProbeLocalizer", "check_probe", "fit_probe", "restore_probe"]

_BACKBONE: Final = "backbone."
_FAMILIAR: Final = "familiarity"
_COLUMNS: Final = (
    *("east_m", "north_m", "mean_east_m", "mean_north_m", "mode_east_m", "mode_north_m"),
    *("radius_50_m", "radius_90_m"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLocalizer:
    """Heads over frozen features (`train.localizer.WalkLocalizer`): a distribution over the site for every photo."""

    extractor: FeatureExtractor
    ensemble: Ensemble
    calibration: Calibration
    walk_calibration: Calibration
    """Of photos that were located with the others of their walk."""
    walk_grid: WalkGrid
    familiarity: Familiarity
    config: ProbeConfig
    frame: LocalFrame
    device: torch.device

    @property
    def pixels(self) -> PixelSpec:
        """The images it takes."""
        return self.config.pixels

    def locate(self, images: Tensor) -> Estimate:
        """Return the positions of a uint8 RGB batch of shape (N, 3, height, width)."""
        return self.estimate(self.evidence(images))

    def evidence(self, images: Tensor) -> Evidence:
        """Return what a uint8 RGB batch of N photos shows, over the model's cells."""
        return self.evidence_of(self.extractor(images))

    def evidence_of(self, features: Features) -> Evidence:
        """Return what photos show whose features are known."""
        count = len(features)
        filled = [self.ensemble.evidence(features.take(rows)) for rows, _ in _chunks(count)]
        if not filled:
            nothing = torch.empty(0, len(self.ensemble.cells), device=self.device)
            return Evidence(log_shares=nothing, likeness=nothing[:, 0])
        whole = Evidence.cat(filled)  # of the chunks only the last is filled up
        return Evidence(log_shares=whole.log_shares[:count], likeness=whole.likeness[:count])

    def estimate(self, evidence: Evidence) -> Estimate:
        """Return the positions of N photos, each by itself."""
        estimate = self._estimate(evidence.log_shares, self.calibration)
        return dataclasses.replace(estimate, familiarity=self.familiarity.of(evidence.likeness))

    def estimate_walk(self, evidence: Evidence, alone: Estimate, seconds: FloatArray) -> Estimate:
        """Return the positions of the photos of one walk, located together (`train.localizer.WalkLocalizer`)."""
        together = self._estimate(self.walk_grid.log_shares(evidence.log_shares, seconds), self.walk_calibration)
        familiarity = alone.familiarity
        if familiarity is not None and alone.radius_90_m is not None:
            apart_m = np.hypot(alone.east_m - together.east_m, alone.north_m - together.north_m)
            walk = walk_familiarity(familiarity, apart_m <= alone.radius_90_m, looks_of(seconds))
            familiarity = np.full(len(seconds), walk)
        company = np.full(len(seconds), float(len(seconds)))
        return dataclasses.replace(together, familiarity=familiarity, company=company)

    def _estimate(self, log_shares: Tensor, calibration: Calibration) -> Estimate:
        parts = [
            self._columns(log_shares[filled.to(log_shares.device)], calibration)[:count]
            for filled, count in _chunks(len(log_shares))
        ]
        columns = torch.cat(parts).cpu().double().numpy() if parts else np.empty((0, len(_COLUMNS)))
        return Estimate(**{name: columns[:, k] for k, name in enumerate(_COLUMNS)})

    @torch.inference_mode()
    def _columns(self, log_shares: Tensor, calibration: Calibration) -> Tensor:
        """Return the numbers of `_COLUMNS` for N photos, (N, 8)."""
        cells = self.ensemble.cells
        points = _points(log_shares, cells, self.config)
        answer = points[self.config.answer]
        return torch.cat([answer, points["mean"], points["mode"], calibration.radii(log_shares, cells, answer)], dim=1)


def _chunks(count: int) -> Iterator[tuple[Tensor, int]]:
    """Yield rows in chunks of one size and how many of each are meant.

    Each is filled up with its first row: the same arithmetic for a photo, whatever comes with it.
    """
    for rows in torch.split(torch.arange(count), CHUNK):
        if len(rows):
            yield torch.cat([rows, rows[:1].expand(CHUNK - len(rows))]), len(rows)


def fit_probe(
    config: ProbeConfig,
    data: TrainingData,
    run: RunFolder,
    *,
    device: torch.device,
    resume: Checkpoint | None = None,
) -> ProbeLocalizer:
    """Fit heads on frozen features of `data` and leave metrics and checkpoints in `run` (`train.methods.fit_model`).

    There are no epochs to resume at: a run that was cut off is fitted again, one that was not is read back.
    The model is a function of config, data, device, thread count and torch alone.
    """
    if resume is not None and _made_with(resume, config):
        localizer = restored(resume, device=device)
        assert isinstance(localizer, ProbeLocalizer)
        if world().leads:
            for folder in (run.best, run.last):  # one of them may be damaged
                write_checkpoint(folder, tensors=resume.tensors, state=resume.state)
        return localizer
    started = time.perf_counter()
    head_names(config.heads)
    extractor = _extractor(config, device)
    seen = Seen.of(data.source, config, extractor, device)
    localizer, judged = _fitted(config, data, seen, extractor, device)
    figures = _figures(localizer, data, judged) | {"seconds": round(time.perf_counter() - started, 3)}
    if world().leads:  # every process of a distributed run fits the same model
        run.cut_metrics(0)
        run.append_metrics(figures)
        _save(localizer, data, run, figures)
    return localizer


def _made_with(checkpoint: Checkpoint, config: ProbeConfig) -> bool:
    """Return whether a checkpoint is of a model of this very config."""
    try:
        return config_of(checkpoint.state.get("config", {})) == config
    except UsageError:
        return False


def check_probe(config: ProbeConfig, parts: Sequence[TrainingData], *, device: torch.device) -> None:
    """Raise what `fit_probe` would before it fits (`train.methods.check_model`)."""
    head_names(config.heads)
    source = parts[0].source
    extractor = _extractor(config, device)
    blank = torch.zeros(1, 3, config.pixels.height, config.pixels.width, dtype=torch.uint8)
    extractor(blank)
    if config.tune_epochs:
        check_looks(source, TunedReader.of(extractor.last, scale=config.tune_scale), blank)
    if not features_path(source, config, device).is_file():
        check_pixels(source, config.pixels)


def _extractor(config: ProbeConfig, device: torch.device, *, with_weights: bool = True) -> FeatureExtractor:
    torch.manual_seed(config.seed)  # backbones without weights are random features, the same for the same seed
    extractor = FeatureExtractor(config.model, config.pixels, own_statistics=config.own_statistics)
    if with_weights:
        extractor.load_weights(config.weights)
    elif config.tune_epochs:
        extractor.add(TunedReader.of(extractor.last, scale=config.tune_scale))
    return extractor.to(memory_format=torch.channels_last).to(device)


def _fitted(
    config: ProbeConfig, data: TrainingData, seen: Seen, extractor: FeatureExtractor, device: torch.device
) -> tuple[ProbeLocalizer, Features | None]:
    """Return the model, and the features of the validation photos, if there are any."""
    own, places = _selected(seen, data, data.train, device)
    cells = site_cells(_positions(data.train), size_m=config.cell_m, reach_m=config.reach_m).to(device)
    judges = data.val if data.val is not None and len(data.val) >= FEWEST_TO_CALIBRATE else None
    parts = inner_parts(data.train) if judges is None else None
    grid = WalkGrid.around(cells)  # of the squares, which are the same whatever the cells stand for
    steps = steps_in_all(len(places), None if parts is None else parts[0], config)
    with bar("Fitting heads", steps) as advance:
        model = SiteModel.fit(own, places, cells, config, frozen=extractor.last, advance=advance)
        calibrations, familiarity = (Calibration(), Calibration()), Familiarity.fit(torch.empty(0, device=device))
        if judges is not None:
            others, truth = _selected(seen, data, judges, device)
            judged = model.evidence(others)
            calibrations = _calibrated(judged.log_shares, judges, truth.xy, cells, grid, config, by="val")
            familiarity = Familiarity.fit(judged.likeness)
        elif parts is not None:
            blind = cells.middles  # the cells stand for the very positions that are held out here
            held_out = held_out_evidence(own, places, parts[0], blind, config, frozen=extractor.last, advance=advance)
            calibrations = _calibrated(held_out.log_shares, data.train, places.xy, blind, grid, config, by=parts[1])
            familiarity = Familiarity.fit(held_out.likeness)
    if not calibrations[0].photos:
        stderr().print("Too few photos to calibrate the radii on: they are the distribution's own, and hold less.")
    if model.reader is not None:
        extractor.add(model.reader)
    localizer = ProbeLocalizer(
        extractor=extractor,
        ensemble=model.ensemble,
        calibration=calibrations[0],
        walk_calibration=calibrations[1],
        walk_grid=grid,
        familiarity=familiarity,
        config=config,
        frame=data.source.frame,
        device=device,
    )
    localizer = _with_power(localizer, data)
    return localizer, None if data.val is None else model.features(_selected(seen, data, data.val, device)[0])


def _with_power(localizer: ProbeLocalizer, data: TrainingData) -> ProbeLocalizer:
    """Return the model with what its familiarity finds out, where it has one."""
    if not len(localizer.familiarity.held_out):
        return localizer
    config = localizer.config
    views = mixed_views(
        cached_pixels(data.source, config.pixels), data.source.rows(data.train), count=STRANGERS, seed=config.seed
    )
    with bar("Asking for views of nowhere", len(views)) as advance:
        found = []
        for images in torch.split(views, CHUNK):
            found.append(localizer.familiarity.of(localizer.evidence(images).likeness))
            advance(len(images))
    shares = np.concatenate([part for part in found if part is not None])
    power = Power.of(shares, below=UNFAMILIAR_BELOW, seed=config.seed)
    return dataclasses.replace(localizer, familiarity=dataclasses.replace(localizer.familiarity, power=power))


def _selected(seen: Seen, data: TrainingData, photos: Photos, device: torch.device) -> tuple[Seen, Places]:
    """Return what was seen of some photos and where they were taken, features and places on the device."""
    rows = torch.from_numpy(data.source.rows(photos))
    return seen.take(rows).to(device), Places.of(photos, device)


def _calibrated(
    log_shares: Tensor, photos: Photos, xy: Tensor, cells: Cells, grid: WalkGrid, config: ProbeConfig, *, by: str
) -> tuple[Calibration, Calibration]:
    """Return the calibration of photos alone, and of those that have company on their walk, located together.

    The first is the second, too, where too few have company.
    """

    def answer(shares: Tensor) -> Tensor:
        return _points(shares, cells, config)[config.answer]

    alone = Calibration.fit(log_shares, cells, xy, answer, by=by)
    company = [torch.from_numpy(rows).to(xy.device) for rows in walk_rows(photos.walk, photos.captured_s)]
    if sum(map(len, company)) < FEWEST_TO_CALIBRATE:
        return alone, alone
    together = [grid.log_shares(log_shares[rows], photos.captured_s[rows.cpu().numpy()]) for rows in company]
    return alone, Calibration.fit(torch.cat(together), cells, xy[torch.cat(company)], answer, by=by)


def _points(log_shares: Tensor, cells: Cells, config: ProbeConfig) -> dict[str, Tensor]:
    shares = log_shares.exp()
    return {
        "mean": mean_point(shares, cells),
        "median": median_point(shares, cells),
        "mode": mode_point(shares, cells, bandwidth_m=config.bandwidth_m),
    }


def _figures(localizer: ProbeLocalizer, data: TrainingData, judged: Features | None) -> dict[str, Any]:
    """Return the line of metrics: the errors on the validation photos, if there are any, and the calibration."""
    calibration = dataclasses.asdict(localizer.calibration)
    figures: dict[str, Any] = {"epoch": 1} | {f"calibration/{name}": value for name, value in calibration.items()}
    if data.val is None or judged is None:
        return figures
    estimate = localizer.estimate(localizer.evidence_of(judged))
    lon, lat = localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)
    metrics = metrics_of(geodesic_m(data.val.lon, data.val.lat, lon, lat))
    figures |= {"val/rmse_m": metrics.rmse_m, "val/mean_m": metrics.mean_m}
    return figures | {"val/median_m": metrics.median_m, "val/p90_m": metrics.p90_m}


def _save(localizer: ProbeLocalizer, data: TrainingData, run: RunFolder, figures: Mapping[str, Any]) -> None:
    power = localizer.familiarity.power
    state = {
        "method": "probe",
        "config": config_values(localizer.config),
        "frame": dataclasses.asdict(localizer.frame),
        "cell_m": localizer.ensemble.cells.size_m,
        "calibration": dataclasses.asdict(localizer.calibration),
        "walk_calibration": dataclasses.asdict(localizer.walk_calibration),
        "familiarity_power": None if power is None else dataclasses.asdict(power),
        "site": data.source.site_name,
        "fold": data.fold,
        "made_by": made_by(localizer.device),
        "epoch": 1,
        "best": {"epoch": 1, "val/rmse_m": figures.get("val/rmse_m")},
        "metrics": dict(figures),
    }
    weights = {f"{_BACKBONE}{name}": tensor for name, tensor in localizer.extractor.state_dict().items()}
    tensors = weights | localizer.ensemble.tensors() | {_FAMILIAR: localizer.familiarity.held_out}
    for folder in (run.best, run.last):
        write_checkpoint(folder, tensors=tensors, state=state)


def restore_probe(checkpoint: Checkpoint, *, device: torch.device) -> ProbeLocalizer:
    """Return the model of a checkpoint. Raises InvalidCheckpointError where tensors and state do not fit."""
    where = safe_path(checkpoint.folder)
    weights = {name.removeprefix(_BACKBONE): t for name, t in checkpoint.tensors.items() if name.startswith(_BACKBONE)}
    others = {name: t.to(device) for name, t in checkpoint.tensors.items() if not name.startswith(_BACKBONE)}
    try:
        config = probe_of(checkpoint.state["config"], where=where)
        frame = LocalFrame(**checkpoint.state["frame"])
        calibration = Calibration(**checkpoint.state["calibration"])
        # earlier versions had none
        walk_calibration = Calibration(**checkpoint.state.get("walk_calibration", checkpoint.state["calibration"]))
        extractor = _extractor(config, device, with_weights=False)
        ensemble = Ensemble.from_tensors(others, config, cell_m=float(checkpoint.state["cell_m"]))
        power = checkpoint.state.get("familiarity_power")  # earlier versions had none
        familiarity = Familiarity(
            held_out=others.get(_FAMILIAR, torch.empty(0, device=device)).flatten(),
            power=None if power is None else Power(**power),
        )
    except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        reason = safe_text(str(error).splitlines()[0] if str(error) else type(error).__name__, limit=120)
        raise InvalidCheckpointError(
            f"{where} holds a model that does not fit together ({reason}): train again."
        ) from error
    load_into(extractor, weights, where=where)
    return ProbeLocalizer(
        extractor=extractor,
        ensemble=ensemble,
        calibration=calibration,
        walk_calibration=walk_calibration,
        walk_grid=WalkGrid.around(ensemble.cells),
        familiarity=familiarity,
        config=config,
        frame=frame,
        device=device,
    )


def _positions(photos: Photos) -> FloatArray:
    return np.stack([photos.east_m, photos.north_m], axis=1)
