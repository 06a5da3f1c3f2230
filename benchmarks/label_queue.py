"""Whether the label queue puts gross errors first, and what it is worth to correct its first tenth.

Simulated walks with known positions: a person follows the paths of a 250 m block and photographs now and then; the
labels carry GPS noise (correlated along the walk, median 15 m) and 5 % gross errors beyond 60 m, some alone and some in
runs. Two queues are measured: from the walk alone, and with out-of-fold predictions of a model whose error
is stated (`--model-median`). The value of correcting is measured with a stand-in for a model: every photo has a
descriptor that depends smoothly on where and in which direction it was taken, plus a nuisance of its own, and held-out
walks are located by the nearest descriptors of the training photos, whose labels are as noisy, corrected or not, as
described. It shows the direction and rough size of the effect, not what a network gains on real photos.

    python benchmarks/label_queue.py [--json] [--datasets 12] [--step 8] [--model-median 18]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from collect.label.predictions import FoldPrediction
from collect.label.queue import rank_labels
from img2gps.geo import FloatArray, LocalFrame

FRAME = LocalFrame(origin_lon=-75.1914, origin_lat=39.9517)
START = datetime(2025, 6, 2, 16, 0, tzinfo=UTC)
NOISE_M = 15 / np.sqrt(2 * np.log(2))  # per axis, for a median of 15 m
GROSS_SHARE, GROSS_RANGE_M = 0.05, (60.0, 150.0)
GRID_M, HALF_M = 50.0, 125.0
WALKS, PHOTOS_PER_WALK = 8, 80
FIRST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A simulated dataset: true positions and labels (N, 2) in metres, headings, times, walks, who is grossly wrong."""

    true_m: FloatArray
    label_m: FloatArray
    heading_rad: FloatArray
    time_s: FloatArray
    walk: FloatArray
    gross: FloatArray


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--datasets", type=int, default=12)
    parser.add_argument("--step", type=float, default=8.0, help="mean seconds between two photos")
    parser.add_argument(
        "--model-median", type=float, default=18.0, help="median error of the out-of-fold model, metres"
    )
    options = parser.parse_args()
    report = measure(options.datasets, options.step, options.model_median)
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for name, value in {**report["figures"], **report["ratios"]}.items():
        print(f"{name:48} {value}")


def measure(datasets: int, step_s: float, model_median_m: float) -> dict[str, Any]:
    """Return machine, figures and ratios over several datasets of each kind of noise and of gross error."""
    figures: dict[str, Any] = {"photos_per_dataset": WALKS * PHOTOS_PER_WALK, "datasets": datasets, "step_s": step_s}
    seconds, photos = 0.0, 0
    for noise in ("correlated", "independent"):
        for gross in ("single", "runs"):
            found: dict[str, list[float]] = {"walk": [], "walk_and_model": []}
            for seed in range(datasets):
                rng = np.random.default_rng([seed, noise == "correlated", gross == "runs"])
                world = simulate(rng, step_s=step_s, noise=noise, runs=gross == "runs")
                started = time.perf_counter()
                order = rank(world, {})
                seconds, photos = seconds + time.perf_counter() - started, photos + len(order)
                found["walk"].append(share_found(world, order))
                found["walk_and_model"].append(share_found(world, rank(world, predict(rng, world, model_median_m))))
            for name, shares in found.items():
                figures[f"gross_in_first_tenth/{noise}/{gross}/{name}"] = round(float(np.mean(shares)), 4)
                figures[f"gross_in_first_tenth/{noise}/{gross}/{name}/worst"] = round(float(np.min(shares)), 4)
    figures["rank_ms_per_photo"] = round(1000 * seconds / photos, 3)
    values = value_of_correcting(datasets, step_s)
    return {"machine": machine(), "figures": {**figures, **values}, "ratios": ratios(values)}


def simulate(rng: np.random.Generator, *, step_s: float, noise: str, runs: bool) -> World:
    """Return a dataset of walks along the lines of a grid, with labels as a phone between buildings records them."""
    parts = [_walk(rng, step_s) for _ in range(WALKS)]
    time_s, true_m, heading = (np.concatenate([part[index] for part in parts]) for index in range(3))
    walk = np.repeat(np.arange(WALKS), PHOTOS_PER_WALK)
    error = np.concatenate([_noise(rng, part[0], noise) for part in parts])
    gross = _who_is_gross(rng, len(walk), runs)
    label = true_m + error
    for run in np.unique(gross[gross > 0]):
        members = gross == run
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(*GROSS_RANGE_M)
        # off by more than 60 m whatever the noise; what is left of the noise keeps a run from being one point
        label[members] = (
            true_m[members] + 0.2 * error[members] + _clear(reach) * np.array([np.cos(angle), np.sin(angle)])
        )
    wrong = np.hypot(*(label - true_m).T)
    label[(gross == 0) & (wrong > GROSS_RANGE_M[0])] = true_m[(gross == 0) & (wrong > GROSS_RANGE_M[0])]
    return World(
        true_m=true_m, label_m=label, heading_rad=heading, time_s=time_s, walk=walk, gross=(gross > 0).astype(float)
    )


def _clear(reach_m: float) -> float:
    return reach_m + 10.0


def _walk(rng: np.random.Generator, step_s: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return times, true positions and headings: 1.3 m/s along grid lines, a few seconds' stop at most photos."""
    gaps = np.maximum(rng.gamma(2.0, step_s / 2, PHOTOS_PER_WALK), 1.0)
    walked = np.cumsum(np.maximum(gaps - rng.uniform(0, 4, PHOTOS_PER_WALK), 0.5) * 1.3)
    corners = [rng.integers(-2, 3, 2) * GRID_M]
    direction = np.array([1, 0])
    while len(corners) * GRID_M < walked[-1] + 2 * GRID_M:
        options = [turn for turn in ((1, 0), (-1, 0), (0, 1), (0, -1)) if turn != tuple(-direction)]
        ahead = [turn for turn in options if np.abs(corners[-1] + np.array(turn) * GRID_M).max() <= HALF_M]
        direction = np.array(ahead[rng.integers(len(ahead))])
        corners.append(corners[-1] + direction * GRID_M)
    along = np.arange(len(corners)) * GRID_M
    places = np.column_stack([np.interp(walked, along, np.array(corners)[:, axis]) for axis in (0, 1)])
    return np.cumsum(gaps), places, rng.uniform(0, 2 * np.pi, PHOTOS_PER_WALK)


def _noise(rng: np.random.Generator, time_s: FloatArray, kind: str) -> FloatArray:
    """Return errors (N, 2): independent, or an Ornstein-Uhlenbeck process that forgets within 40 s."""
    error = rng.normal(0, NOISE_M, (len(time_s), 2))
    for index in range(1, len(time_s) if kind == "correlated" else 0):
        kept = np.exp(-(time_s[index] - time_s[index - 1]) / 40.0)
        error[index] = kept * error[index - 1] + np.sqrt(1 - kept**2) * error[index]
    return error


def _who_is_gross(rng: np.random.Generator, count: int, runs: bool) -> FloatArray:
    """Return 0 for ordinary labels and the number of the run for gross ones: alone, or 2 to 5 in a row."""
    gross = np.zeros(count)
    wanted, run = round(GROSS_SHARE * count), 0
    while (left := wanted - int((gross > 0).sum())) > 0:
        length = min(int(rng.integers(2, 6)) if runs else 1, left)
        start = int(rng.integers(0, count - length))
        same_walk = start // PHOTOS_PER_WALK == (start + length - 1) // PHOTOS_PER_WALK
        if same_walk and not gross[max(start - 1, 0) : start + length + 1].any():
            run += 1
            gross[start : start + length] = run
    return gross


def predict(rng: np.random.Generator, world: World, median_m: float) -> dict[str, FoldPrediction]:
    """Return out-of-fold predictions: errors of log-normally varying size that the radii know half of, 5 % failures."""
    count = len(world.walk)
    known, unknown = (np.exp(rng.normal(0, 0.35, count)) for _ in range(2))
    spread = median_m / 1.1774 * known
    error = rng.normal(0, 1, (count, 2)) * (spread * unknown)[:, None]
    failed = rng.random(count) < 0.05
    error[failed] += rng.normal(0, 70, (int(failed.sum()), 2))
    lons, lats = FRAME.to_lonlat(*(world.true_m + error).T)
    return {
        str(index): FoldPrediction(
            lon=float(lons[index]), lat=float(lats[index]), radius_50_m=1.1774 * float(spread[index]), radius_90_m=None
        )
        for index in range(count)
    }


def rank(world: World, predictions: dict[str, FoldPrediction]) -> list[int]:
    """Return the photos in the order of the queue."""
    lons, lats = FRAME.to_lonlat(*world.label_m.T)
    count = len(world.walk)
    frame = pd.DataFrame(
        {
            "id": [str(index) for index in range(count)],
            "lon": lons,
            "lat": lats,
            "label_state": "",
            "walk": world.walk.astype(str),
            "captured_at": [
                START + timedelta(days=float(walk), seconds=float(seconds))
                for walk, seconds in zip(world.walk, world.time_s, strict=True)
            ],
            "gps_accuracy_m": np.nan,
            "fix_age_s": np.nan,
            "flags": [[] for _ in range(count)],
            "site_relation": "inside",
        }
    )
    return [int(item.photo_id) for item in rank_labels(frame, FRAME, buildings=[], predictions=predictions)]


def share_found(world: World, order: list[int]) -> float:
    """Return the share of the gross errors that are in the first tenth of the queue."""
    return float(world.gross[order[: round(FIRST * len(order))]].sum() / world.gross.sum())


def value_of_correcting(datasets: int, step_s: float) -> dict[str, float]:
    """Return the held-out error (mean over datasets) without corrections, with the queue's tenth and a random tenth."""
    cases: dict[str, Callable[[World, np.random.Generator], list[int]]] = {
        "uncorrected": lambda world, rng: [],
        "random_tenth": lambda world, rng: rng.permutation(len(world.walk))[: _tenth(world)].tolist(),
        "queue_tenth": lambda world, rng: rank(world, {})[: _tenth(world)],
        "all": lambda world, rng: list(range(len(world.walk))),
    }
    errors: dict[str, list[FloatArray]] = {name: [] for name in cases}
    for seed in range(datasets):
        rng = np.random.default_rng([seed, 99])
        train = simulate(rng, step_s=step_s, noise="correlated", runs=False)
        held_out = simulate(rng, step_s=step_s, noise="correlated", runs=False)
        describe = descriptor(rng)
        seen, asked = describe(train, rng), describe(held_out, rng)
        for name, choose in cases.items():
            label = train.label_m.copy()
            chosen = choose(train, np.random.default_rng(seed))
            label[chosen] = train.true_m[chosen]
            errors[name].append(np.hypot(*(locate(seen, label, asked) - held_out.true_m).T))
    found = {}
    for name, per_dataset in errors.items():
        pooled = np.concatenate(per_dataset)
        found[f"held_out/{name}/rmse_m"] = round(float(np.sqrt(np.mean(pooled**2))), 2)
        found[f"held_out/{name}/mean_m"] = round(float(pooled.mean()), 2)
        found[f"held_out/{name}/median_m"] = round(float(np.median(pooled)), 2)
    return found


def _tenth(world: World) -> int:
    return round(FIRST * len(world.walk))


def descriptor(rng: np.random.Generator) -> Callable[[World, np.random.Generator], FloatArray]:
    """Return a function from a dataset to descriptors (N, 48): Fourier features of place and heading, and noise."""
    place = rng.normal(0, 1 / 25.0, (2, 48))
    turn, phase = rng.normal(0, 0.6, (2, 48)), rng.uniform(0, 2 * np.pi, 48)

    def describe(world: World, noise: np.random.Generator) -> FloatArray:
        facing = np.column_stack([np.cos(world.heading_rad), np.sin(world.heading_rad)])
        waves = np.cos(world.true_m @ place + facing @ turn + phase)
        return np.asarray(waves + noise.normal(0, 0.45, waves.shape))

    return describe


def locate(seen: FloatArray, label_m: FloatArray, asked: FloatArray, neighbours: int = 3) -> FloatArray:
    """Return positions (M, 2): the mean label of the nearest descriptors, the nearer the heavier."""
    distance, index = cKDTree(seen).query(asked, k=neighbours)
    weight = 1 / np.maximum(distance, 1e-6) ** 2
    return np.asarray((label_m[index] * weight[:, :, None]).sum(1) / weight.sum(1)[:, None])


def ratios(values: dict[str, float]) -> dict[str, float]:
    """Return held-out errors against those of correcting a random tenth."""
    base = "held_out/random_tenth/"
    return {
        f"queue_to_random/{figure}": round(values[f"held_out/queue_tenth/{figure}"] / values[base + figure], 4)
        for figure in ("rmse_m", "mean_m", "median_m")
    }


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cpu": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
