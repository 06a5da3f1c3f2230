"""Whether the walk list by expected error helps a model more than the list of what lacks photos, for the same minutes.

On each generated campus a first team photographs some sights. Two walk lists are made for as many minutes on foot: of
the plain audit, and of `audit --run`. Each is walked by the generator (`simulate --stops`), its photos are added to
the first ones, and a model is trained. A later visit, to more sights than the first team knew, is located by
each model, and by one without a further walk; errors are against the true places. The ratio is that of the mean
squared errors' roots, geometric mean over campuses, with the 90 % interval of Student's t on its logarithm.

    python benchmarks/walk_list.py [--json] [--seeds 1 2 3 4 5] [--photos 160] [--visit 320] [--minutes 15]
"""

import argparse
import csv
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package

from collect import audit, basemap, ingest, simulate, split
from collect.auditing.walk_list import route_minutes
from img2gps.geo import FloatArray, geodesic_m
from train import evaluate, predict, train

SITE = "penn-engineering-quad"
LISTS = ("lacking", "expected_error")
WALKED, VISITED = 10_000, 20_000  # added to the seed of the campus: other walks there


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--photos", type=int, default=160, help="of the first team")
    parser.add_argument("--visit", type=int, default=320, help="photos of the later visit that is located")
    parser.add_argument("--minutes", type=float, default=15.0, help="on foot, of each walk list")
    parser.add_argument("--size", type=int, default=320, help="longer side of the photos in pixels")
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(Path(folder), seed, options.photos, options.visit, options.minutes, options.size))
        if not options.json:
            print(json.dumps(rows[-1]), flush=True)
    report = {"machine": machine(), "figures": {"campuses": rows}, "ratios": ratios(rows)}
    print(json.dumps(report if options.json else report["ratios"], indent=1))


def measured(root: Path, seed: int, photos: int, visit: int, minutes: float, size: int) -> dict[str, Any]:
    """Return the errors of the three models on one campus, and what each list asks for."""
    rendered = {"campus_seed": seed, "bad_share": 0.0, "size": size, "jobs": 1}
    simulate(root / "first", photos=photos, seed=seed, **rendered)
    simulate(root / "visit", photos=visit, seed=seed + VISITED, **rendered)
    model = fitted(root, "first", [root / "first/photos"])
    found: dict[str, Any] = {"seed": seed, "none": errors(model, root / "visit")}
    quad = root / "first-set"
    basemap(quad, layers=[root / "first/basemap.parquet"])
    split(quad, val=0, test=0, folds=3)
    folds = train(quad, preset="quick", folds=True, runs=root / "runs", name="folds").root
    evaluate(folds)
    for name in LISTS:
        run = folds if name == "expected_error" else None
        stops = listed(quad, run, minutes)
        walk_list = quad / "audit/walk-list.geojson"
        simulate(root / name, seed=seed + WALKED, stops=walk_list, **rendered)
        model = fitted(root, f"with-{name}", [root / "first/photos", root / name / "photos"])
        taken = len(list((root / name / "photos").iterdir()))
        found[name] = errors(model, root / "visit") | {"stops": stops, "photos": taken}
    return found


def listed(quad: Path, run: Path | None, minutes: float) -> int:
    """Write the longest walk list of at most so many minutes, and return how many stops it has."""
    count = 24
    while True:
        result = audit(quad, stops=count, run=run)
        taken = route_minutes(result.stops)
        if taken <= minutes or count == 1:
            return len(result.stops)
        count = max(1, min(count - 1, int(count * minutes / taken) + 1))


def fitted(root: Path, name: str, photos: list[Path]) -> Path:
    """Return a run of `quick` on photos of some folders."""
    quad = root / f"{name}-set"
    ingest(photos, quad, site=SITE)
    split(quad, val=0, test=0)
    return train(quad, preset="quick", runs=root / "runs", name=name).root


def errors(run: Path, visit: Path) -> dict[str, float]:
    """Return what a model errs by on the photos of a later visit, in metres against the true places."""
    with (visit / "truth.csv").open(encoding="utf-8", newline="") as file:
        true = {row["file_name"]: (float(row["longitude"]), float(row["latitude"])) for row in csv.DictReader(file)}
    answers = predict(run, visit / "photos")
    places = np.array([true[Path(answer.file).name] for answer in answers])
    said = np.array([(answer.lon, answer.lat) for answer in answers])
    error_m: FloatArray = np.asarray(geodesic_m(places[:, 0], places[:, 1], said[:, 0], said[:, 1]))
    return {"rmse_m": round(float(np.sqrt(np.mean(error_m**2))), 2), "median_m": round(float(np.median(error_m)), 2)}


def ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the list by expected error against the other: RMSE and median, each with its interval."""
    found: dict[str, Any] = {}
    for figure in ("rmse_m", "median_m"):
        logs = np.array([np.log(row["expected_error"][figure] / row["lacking"][figure]) for row in rows])
        found[f"expected_to_lacking/{figure}"] = round(float(np.exp(logs.mean())), 4)
        if len(logs) > 1:
            half = float(t.ppf(0.95, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs)))
            bounds = [round(float(np.exp(logs.mean() + sign * half)), 4) for sign in (-1, 1)]
            found[f"expected_to_lacking/{figure}/interval_90"] = bounds
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
