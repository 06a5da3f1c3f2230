"""How often the forecast of `evaluate` holds: for walks that were left out, and for walks taken later.

On each generated campus a team takes photos, and `quick` is trained with folds of whole walks. Then:

- nested: each walk is forecast from the others alone (`--where photos`).
- sights: later walks go to views drawn from all that the campus offers, which are more than the team knows. A model of
  all photos locates them. The forecast is that of `--where site`.
- anywhere: the same, for places drawn evenly over the walkable site and directions drawn evenly.
- random split: a model is validated on photos drawn at random, and its 95 % interval is held against the same walks.

A walk is inside if its RMSE against its labels lies in the interval. Shares come with exact 95 % intervals of a
binomial (Clopper and Pearson 1934). `--in` keeps the campuses, and goes on from what lies there.

    python benchmarks/forecast.py [--json] [--seeds 4201 4202 4203] [--photos 500] [--walks 10] [--in FOLDER]
"""

import argparse
import csv
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package

from collect import ingest, simulate, split
from collect.simulation.phones.sights import find_sights
from collect.simulation.worker import Campus, world_of
from img2gps.basemap.file import read_basemap
from img2gps.basemap.standing import standing_places
from img2gps.dataset import Dataset
from img2gps.files import write_json
from img2gps.geo import FloatArray, geodesic_m
from img2gps.site import Site
from train import evaluate, predict, train

SITE = "penn-engineering-quad"
STOPS = 24  # of a later walk
SPACING_M = 5.0  # of the places that stops are drawn from
LATER = {"sights": 30_000, "anywhere": 40_000}  # added to the seed of the campus: other walks there
RANDOM_VAL = 60


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[4201, 4202, 4203])
    parser.add_argument("--photos", type=int, default=500, help="of the team")
    parser.add_argument("--walks", type=int, default=10, help="later walks of each campus and kind")
    parser.add_argument("--in", dest="folder", type=Path, help="where campuses are kept")
    options = parser.parse_args()
    with kept(options.folder) as folder:
        campuses = []
        for seed in options.seeds:
            campuses.append(measured(folder / str(seed), seed, options.photos, options.walks))
            if not options.json:
                print(json.dumps(campuses[-1]), flush=True)
    report = {"machine": machine(), "figures": {"campuses": campuses}, "ratios": shares(campuses)}
    print(json.dumps(report if options.json else report["ratios"], indent=1))


@contextmanager
def kept(folder: Path | None) -> Iterator[Path]:
    """Give the folder, or one that is gone afterwards."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def measured(root: Path, seed: int, photos: int, walks: int) -> dict[str, Any]:
    """Return the forecasts of one campus, and what later walks met there."""
    run = team_run(root, seed, photos)
    nested = forecast_of(run, "photos")
    site = forecast_of(run, "site")
    met = {kind: [later_walk(root, seed, kind, number) for number in range(walks)] for kind in LATER}
    random_split = random_validation(root)
    low, high = site["new_walk_interval_90_m"]
    return {
        "seed": seed,
        "nested": nested["nested"],
        "photos": nested,
        "site": site,
        "random_split": random_split,
        "later_rmse_m": met,
        "inside": {kind: within(found, low, high) for kind, found in met.items()},
        "random_split_inside": {
            kind: within(found, random_split["low"], random_split["high"])
            for kind, found in ({"left_out": left_out(run)} | met).items()
        },
    }


def within(rmse_m: list[float], low: float, high: float) -> int:
    """Return how many walks lie in an interval."""
    return sum(low <= one <= high for one in rmse_m)


def team_run(root: Path, seed: int, photos: int) -> Path:
    """Return the run with folds on the team's photos, made where it is not there."""
    if not (root / "sim/truth.csv").exists():
        simulate(root / "sim", photos=photos, seed=seed, bad_share=0.0)
    quad = root / "quad"
    if not quad.exists():
        ingest(root / "sim/photos", quad, site=SITE)
        split(quad, val=0, test=0, folds=5)
    return trained(root, "gps", quad, folds=True)


def trained(root: Path, name: str, quad: Path, *, folds: bool = False) -> Path:
    """Return a finished run of `quick`; one that was broken off is made anew."""
    run = root / "runs" / name
    if not (run / "README.md").exists():
        shutil.rmtree(run, ignore_errors=True)
        train(quad, preset="quick", folds=folds, runs=root / "runs", name=name)
    return run


def forecast_of(run: Path, where: Any) -> dict[str, Any]:
    """Return the forecast of a run with folds as plain values."""
    found = evaluate(run, where=where, write=False).forecast
    if found is None:
        raise SystemExit(f"{run} has no forecast: too few walks.")
    return found.to_dict()


def later_walk(root: Path, seed: int, kind: str, number: int) -> float:
    """Return the RMSE that a model of all the team's photos has on a later walk, in metres against its labels."""
    kept = root / f"{kind}-{number}.json"
    if kept.exists():
        return float(json.loads(kept.read_text())["rmse_m"])
    stops = root / f"{kind}-{number}.geojson"
    write_json(stops, drawn_stops(root, seed, kind, number))
    folder = root / f"{kind}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    simulate(folder, seed=seed + LATER[kind] + number, campus_seed=seed, stops=stops, bad_share=0.0, jobs=1)
    run = root / "runs/all"
    if not (run / "README.md").exists():
        whole = copied(root, "all-set")
        split(whole, val=0, test=0)
        trained(root, "all", whole)
    error_m = errors(run, folder)
    rmse_m = float(np.sqrt(np.mean(error_m**2)))
    write_json(kept, {"rmse_m": rmse_m, "median_m": float(np.median(error_m)), "photos": len(error_m)})
    return rmse_m


def drawn_stops(root: Path, seed: int, kind: str, number: int) -> dict[str, Any]:
    """Return a walk list of views that are drawn, each to the nearest next."""
    rng = np.random.default_rng([seed, LATER[kind], number])
    site = Dataset.open(root / "quad").site()
    views = sights_of(site, seed) if kind == "sights" else anywhere(rng, site, root / "sim/basemap.parquet")
    left = views[rng.choice(len(views), min(STOPS, len(views)), replace=False)]
    ordered = [left[0]]
    left = left[1:]
    while len(left):
        nearest = int(np.argmin(np.hypot(*(left - ordered[-1])[:, :2].T)))
        ordered.append(left[nearest])
        left = np.delete(left, nearest, axis=0)
    east_m, north_m, heading_deg = np.array(ordered).T
    lon, lat = site.frame.to_lonlat(east_m, north_m)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [float(lon[row]), float(lat[row])]},
            "properties": {"headings_deg": [float(heading_deg[row])]},
        }
        for row in range(len(ordered))
    ]
    return {"type": "FeatureCollection", "features": features}


def sights_of(site: Site, seed: int) -> FloatArray:
    """Return all views (n, 3) that a campus offers: east and north in metres, heading in degrees."""
    campus = Campus(site_wkb=site.local_polygon.wkb, seed=seed, walk_seed=seed, zone=site.zone or UTC)
    return np.asarray(find_sights(world_of(campus)), dtype=np.float64)


def anywhere(rng: np.random.Generator, site: Site, basemap: Path) -> FloatArray:
    """Return places (n, 3) all over the walkable site, each with a direction that is drawn."""
    places = standing_places(site, read_basemap(basemap), SPACING_M)
    return np.concatenate([places, rng.uniform(0, 360, (len(places), 1))], axis=1)


def errors(run: Path, visit: Path) -> FloatArray:
    """Return what a model errs by on the photos of a visit, in metres against their labels."""
    with (visit / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = {
            row["file_name"]: (float(row["gps_longitude"]), float(row["gps_latitude"])) for row in csv.DictReader(file)
        }
    answers = predict(run, visit / "photos")
    labels = np.array([rows[Path(answer.file).name] for answer in answers])
    said = np.array([(answer.lon, answer.lat) for answer in answers])
    return np.asarray(geodesic_m(labels[:, 0], labels[:, 1], said[:, 0], said[:, 1]), dtype=np.float64)


def random_validation(root: Path) -> dict[str, float]:
    """Return the RMSE of a model on photos drawn at random, with its 95 % interval."""
    kept = root / "random-split.json"
    if not kept.exists():
        quad = copied(root, "random-set")
        split(quad, by="random", val=RANDOM_VAL, test=0)
        found = evaluate(trained(root, "random", quad), split="val", write=False)
        low, high = found.intervals.rmse_m or (np.nan, np.nan)
        write_json(kept, {"rmse_m": found.figures.rmse_m, "low": float(low), "high": float(high)})
    return {name: float(value) for name, value in json.loads(kept.read_text()).items()}


def copied(root: Path, name: str) -> Path:
    """Return a copy of the team's dataset."""
    shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(root / "quad", root / name)
    return root / name


def left_out(run: Path) -> list[float]:
    """Return the RMSE of each walk by the model that had not seen it."""
    scores = evaluate(run, write=False).scores
    met = scores.groupby("walk")["error_m"].apply(lambda error: float(np.sqrt(np.mean(error**2))))
    return [float(one) for one in met]


def shares(campuses: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the shares of walks inside, each with its interval."""
    of = {kind: sum(len(one["later_rmse_m"][kind]) for one in campuses) for kind in LATER}
    of["left_out"] = sum(one["nested"]["walks"] for one in campuses)
    counts = {"nested": (sum(one["nested"]["inside"] for one in campuses), of["left_out"])}
    counts |= {kind: (sum(one["inside"][kind] for one in campuses), of[kind]) for kind in LATER}
    counts |= {
        f"random_split/{kind}": (sum(one["random_split_inside"][kind] for one in campuses), of[kind])
        for kind in ("left_out", *LATER)
    }
    found: dict[str, Any] = {}
    for name, (inside, asked) in counts.items():
        low = float(beta.ppf(0.025, inside, asked - inside + 1)) if inside else 0.0
        high = float(beta.ppf(0.975, inside + 1, asked - inside)) if inside < asked else 1.0
        found[name] = round(inside / asked, 4)
        found[f"{name}/walks"] = asked
        found[f"{name}/interval_95"] = [round(low, 4), round(high, 4)]
    return found


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cpu": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
