"""A campus to practise on: renders walks with two phones through a generated campus into raw photos.

    OUT/photos/IMG_0001.jpg ...   what the phones would hold: photos with EXIF, and a few bad files among them
    OUT/truth.csv                 where each was really taken, and what is wrong with the bad ones
    OUT/masks/IMG_0001.jpg.png   with `masks`: what each pixel shows (`img2gps.masks`), upright; OUT/masks/classes.csv
    OUT/basemap.parquet           the map of the campus: its buildings with names and doors, paths, lawns, trees

The photos are rendered, not taken. They exercise every step of the toolkit, and say nothing about how well a model does
on a real site.
"""

import contextlib
import math
import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np

from collect.simulation.arrays import Doubles, generator
from collect.simulation.campus.chart import campus_basemap
from collect.simulation.phones import receiver, spoil
from collect.simulation.phones.guided import ListedStop, guided_shots
from collect.simulation.phones.phone import ALTITUDE_M, PhoneFix
from collect.simulation.phones.walks import Place, Shot, plan_walks, take_photos
from collect.simulation.worker import Campus, Task, world_of, write_all
from img2gps.basemap.file import FILE_NAME, write_basemap
from img2gps.errors import UsageError
from img2gps.files import write_csv
from img2gps.interrupts import held_back
from img2gps.masks import mask_name, write_class_table
from img2gps.progress import Advance
from img2gps.site import Site
from img2gps.text import safe_path

__all__ = [
    "DEFAULT_BAD_SHARE",
    "DEFAULT_GPS_NOISE_M",
    "DEFAULT_LONG_SIDE_PX",
    "TRUTH_COLUMNS",
    "SimulationReport",
    "simulate",
]

DEFAULT_GPS_NOISE_M = 8.0
DEFAULT_BAD_SHARE = 0.07
DEFAULT_LONG_SIDE_PX = 640
# A position this far outside the outline still counts as taken on its edge, whatever the accuracy.
EDGE_M = 4.0
MASKS = "masks"
TRUTH_COLUMNS = (
    "file_name", "latitude", "longitude", "captured_at", "heading_deg", "device", "walk", "burst", "kind",
    "gps_latitude", "gps_longitude", "gps_error_m",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """What was written: counts of files by kind (`good` and the kinds of bad files), walks, days, devices."""

    out: Path
    files: int
    kinds: dict[str, int]
    walks: int
    days: int
    devices: tuple[str, ...]
    gps_error_median_m: float
    masks: bool

    def to_dict(self) -> dict[str, object]:
        """The report for JSON."""
        return {
            "out": str(self.out),
            "files": self.files,
            "photos": self.kinds.get("good", 0),
            "bad": {kind: count for kind, count in self.kinds.items() if kind != "good"},
            "walks": self.walks,
            "days": self.days,
            "devices": list(self.devices),
            "gps_error_median_m": round(self.gps_error_median_m, 2),
            "truth": str(self.out / "truth.csv"),
            "basemap": str(self.out / "basemap.parquet"),
            "masks": str(self.out / MASKS) if self.masks else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Capture:
    """A file before it is rendered: its shot, the true error of its position (east, north, metres) and its fault."""

    shot: Shot
    error: Doubles
    fault: str | None


def simulate(
    out: Path,
    *,
    photos: int,
    seed: int,
    site: Site,
    campus_seed: int | None = None,
    bad_share: float = DEFAULT_BAD_SHARE,
    gps_noise_m: float = DEFAULT_GPS_NOISE_M,
    long_side_px: int = DEFAULT_LONG_SIDE_PX,
    masks: bool = False,
    passers_by: float = 0.0,
    stops: tuple[ListedStop, ...] = (),
    jobs: int | None = None,
    dry_run: bool = False,
    advance: Advance | None = None,
) -> SimulationReport:
    """Render `photos` good photos, and the bad files that come with them, into the new folder `out`.

    `seed` draws the walks and, unless `campus_seed` is given, the campus: the same campus seed with another
    seed is another visit to the same place. `gps_noise_m` is the median horizontal error of a position,
    `long_side_px` the longer side of a photo. `masks` writes what each pixel shows, beside the same photos.
    `passers_by` times as many people as usual come on top, and vehicles that stop on the paths: elsewhere on each walk.
    With `stops` it is one walk to these places, which say how many photos there are.
    Files are the same byte for byte whatever `jobs` (processes, default one per CPU) is. `advance` is told how
    many files there are and, as they are written, how many since the last call.

    Raises UsageError where `out` holds something already or the site has no room for a campus.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{safe_path(out)} exists and is not empty; name a new folder.")
    campus = Campus(
        site_wkb=site.local_polygon.wkb,
        seed=seed if campus_seed is None else campus_seed,
        walk_seed=seed,
        zone=site.zone or UTC,
        passers_by=passers_by,
    )
    found = _captures(campus, site, photos, bad_share, gps_noise_m, stops)
    captures = [_sized(capture, long_side_px) for capture in found]
    tasks = [_task(site, out, k, capture, gps_noise_m, seed) for k, capture in enumerate(captures)]
    if masks:
        tasks = [replace(task, mask=out / MASKS / mask_name(task.target.name)) for task in tasks]
    rows = [_truth_row(site, task, capture) for task, capture in zip(tasks, captures, strict=True)]
    if not dry_run:
        is_new = not out.exists()
        try:
            _write(campus, site, out, tasks, rows, jobs or os.cpu_count() or 1, advance or _unseen)
        except BaseException:  # a campus in part would be in the way of the next attempt
            with held_back():
                _remove(out, folder_too=is_new)
            raise
    return _report(campus, out, captures, masks=masks)


def _captures(
    campus: Campus, site: Site, photos: int, bad_share: float, gps_noise_m: float, stops: tuple[ListedStop, ...]
) -> list[_Capture]:
    """All files in the order of walks and time: good photos, and bad ones taken a little after some of them."""
    try:
        world = world_of(campus)
    except ValueError as error:
        raise UsageError(f"Site {site.name} cannot hold a generated campus: {error}.") from error
    longitude, latitude = site.frame.origin_lon, site.frame.origin_lat
    place = Place(latitude=latitude, longitude=longitude, zone=campus.zone)
    walks = plan_walks(place, 1 if stops else photos, campus.walk_seed)
    if stops:
        shots = guided_shots(world, walks[0], stops, campus.walk_seed)
    else:
        shots = take_photos(world, walks, photos, campus.walk_seed)
    if not shots:
        raise UsageError("None of the stops lies where one can stand on this campus: is it another one?")
    errors = _errors(campus, site, shots, gps_noise_m)
    good = [_Capture(shot=shot, error=error, fault=None) for shot, error in zip(shots, errors, strict=True)]
    bad = _bad_captures(campus, good, spoil.kinds_for(len(shots), bad_share))
    return sorted(
        [*good, *bad], key=lambda capture: (capture.shot.walk.number, capture.shot.captured_at, capture.shot.number)
    )


def _sized(capture: _Capture, long_side_px: int) -> _Capture:
    return replace(capture, shot=replace(capture.shot, camera=capture.shot.camera.scaled(long_side_px)))


def _errors(campus: Campus, site: Site, shots: tuple[Shot, ...], gps_noise_m: float) -> Doubles:
    """The receiver's error of each shot, (n, 2) in metres."""
    allowed = site.local_polygon.buffer(EDGE_M)
    errors = np.zeros((len(shots), 2))
    walks = np.array([shot.walk.number for shot in shots])
    for walk in np.unique(walks):
        chosen = np.flatnonzero(walks == walk)
        seconds = np.array([(shots[k].captured_at - shots[chosen[0]].captured_at).total_seconds() for k in chosen])
        drifts = receiver.drift(generator(campus.walk_seed, "receiver", int(walk)), seconds, gps_noise_m)
        for k, error in zip(chosen, drifts, strict=True):
            camera = shots[k].camera
            errors[k] = receiver.held_inside(np.array([camera.east_m, camera.north_m]), error, allowed)
    return errors


def _bad_captures(campus: Campus, good: list[_Capture], kinds: tuple[str, ...]) -> list[_Capture]:
    """For each kind one more file, taken two seconds after a good photo, the phone held a little differently."""
    rng = generator(campus.walk_seed, "bad")
    models = rng.permutation(len(good))
    bad = []
    for k, kind in enumerate(kinds):
        model = good[int(models[k % len(models)])]
        if kind == "duplicate":
            bad.append(replace(model, fault=kind))
            continue
        camera = replace(model.shot.camera, heading_deg=(model.shot.camera.heading_deg + float(rng.normal(0, 8))) % 360)
        moment = model.shot.captured_at + timedelta(seconds=2)
        shot = replace(model.shot, number=len(good) + k, camera=camera, captured_at=moment, burst=None)
        error = np.array(spoil.stray_error(rng)) if kind == "outside_site" else model.error
        bad.append(_Capture(shot=shot, error=error, fault=kind))
    return bad


def _task(site: Site, out: Path, number: int, capture: _Capture, gps_noise_m: float, seed: int) -> Task:
    """The file of a capture: its name, and what the phone believes about place, heading and accuracy."""
    shot = capture.shot
    # Drawn by the shot's number: a duplicate repeats its model to the byte.
    rng = generator(seed, "fix", shot.number)
    east, north = shot.camera.east_m + capture.error[0], shot.camera.north_m + capture.error[1]
    longitude, latitude = site.frame.to_lonlat(east, north)
    accuracy_m = receiver.reported_accuracy_m(rng, gps_noise_m) if shot.walk.device.reports_accuracy else None
    fix = PhoneFix(
        latitude=float(latitude),
        longitude=float(longitude),
        accuracy_m=accuracy_m,
        altitude_m=ALTITUDE_M + float(rng.normal(0, 4)),
        heading_deg=(shot.camera.heading_deg + float(rng.normal(0, 4))) % 360,
        captured_at=shot.captured_at,
        fix_lag_s=float(rng.uniform(0, 1)),
    )
    return Task(target=out / "photos" / f"IMG_{number + 1:04d}.jpg", shot=shot, fix=fix, fault=capture.fault)


def _truth_row(site: Site, task: Task, capture: _Capture) -> dict[str, object]:
    camera, walk = task.shot.camera, task.shot.walk
    longitude, latitude = site.frame.to_lonlat(camera.east_m, camera.north_m)
    return {
        "file_name": task.target.name,
        "latitude": f"{float(latitude):.8f}",
        "longitude": f"{float(longitude):.8f}",
        "captured_at": task.shot.captured_at.isoformat(timespec="milliseconds"),
        "heading_deg": f"{camera.heading_deg:.1f}",
        "device": walk.device.name,
        "walk": walk.number + 1,
        "burst": "" if task.shot.burst is None else task.shot.burst + 1,
        "kind": task.fault or "good",
        "gps_latitude": f"{task.fix.latitude:.8f}",
        "gps_longitude": f"{task.fix.longitude:.8f}",
        "gps_error_m": f"{math.hypot(*capture.error):.2f}",
    }


def _write(
    campus: Campus,
    site: Site,
    out: Path,
    tasks: list[Task],
    rows: list[dict[str, object]],
    jobs: int,
    advance: Advance,
) -> None:
    """Render the files; the truth comes last, so that a folder with a truth.csv is complete."""
    (out / "photos").mkdir(parents=True, exist_ok=True)
    if any(task.mask is not None for task in tasks):
        (out / MASKS).mkdir()
        write_class_table(out / MASKS)
    began = min(task.shot.captured_at for task in tasks).date().isoformat()
    write_basemap(out / FILE_NAME, campus_basemap(world_of(campus), site.frame, date=began))
    advance(0, total=len(tasks))
    for written in write_all(campus, tasks, jobs):
        advance(written)
    write_csv(out / "truth.csv", TRUTH_COLUMNS, rows)


def _remove(out: Path, *, folder_too: bool) -> None:
    """Remove what `_write` wrote, as far as that is possible."""
    for folder in ("photos", MASKS):
        shutil.rmtree(out / folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        for name in (FILE_NAME, "truth.csv"):
            (out / name).unlink(missing_ok=True)
        if folder_too:
            out.rmdir()


def _unseen(steps: float = 1, *, note: str | None = None, total: float | None = None) -> None:
    """Show no progress."""


def _report(campus: Campus, out: Path, captures: list[_Capture], *, masks: bool) -> SimulationReport:
    good = [capture for capture in captures if capture.fault is None]
    walks = {capture.shot.walk.number: capture.shot.walk for capture in good}
    return SimulationReport(
        out=out,
        files=len(captures),
        kinds=dict(Counter(capture.fault or "good" for capture in captures)),
        walks=len(walks),
        days=len({walk.start.astimezone(campus.zone).date() for walk in walks.values()}),
        devices=tuple(sorted({walk.device.name for walk in walks.values()})),
        gps_error_median_m=float(np.median([math.hypot(*capture.error) for capture in good])) if good else math.nan,
        masks=masks,
    )
