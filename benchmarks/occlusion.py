"""Whether the picture of `explain` shows what a model uses, on test photos of runs.

For each photo three things are asked. Does filling the most important tenth move the answer more than random tenths?
Is the map of the label another one than that of a place elsewhere on the site? For this the correlation of both maps is
set beside that of two maps of the label from different fills. Is any window above noise? Intervals are over walks.
The ratios are that of metres moved, and the share of photos with a window above noise.
Example: python benchmarks/occlusion.py runs/quick-001 runs/quick-002 --photos 16 --json
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package

from img2gps.pixels import read_pixels
from train.evaluation.bootstrap import Clusters, clusters_of, mean_interval
from train.evaluation.evaluation_set import choose_evaluation_set
from train.explanation.content import places_of, site_donors
from train.explanation.noise import places_to_rank
from train.explanation.occlusion import DONORS, Occlusion, deletion, occlude
from train.inference.load import load_localizer

APART_M = 50.0


def measure(run: Path, photos: int, seed: int) -> pd.DataFrame:
    """Return a row for each of some test photos of a run."""
    chosen = choose_evaluation_set(run, split="test")
    localizer = load_localizer(chosen.path, device="cpu")
    frame = chosen.dataset.frame()
    donors, everywhere = site_donors(chosen.dataset, frame, localizer, seed), places_of(localizer, frame)
    rng = np.random.default_rng(seed)
    rows = chosen.rows.iloc[np.sort(rng.permutation(len(chosen.rows))[:photos])].reset_index(drop=True)
    clusters = clusters_of(chosen.rows)
    own = chosen.rows["walk" if clusters.unit == "walks" else "group"]
    units = dict(zip(chosen.rows["id"], own.astype(str), strict=True))
    found = []
    for photo_id, place in zip(rows["id"], places_of(localizer, rows), strict=True):
        truth = (float(place[0]), float(place[1]))
        image = read_pixels(chosen.dataset.photo_path(photo_id), localizer.pixels)
        content = donors.chosen(*truth, 2 * DONORS, rng, image)
        far = everywhere[np.hypot(*(everywhere - place).T) >= APART_M]
        other = far[rng.integers(len(far))]
        ranked = places_to_rank(truth, everywhere, rng)
        first = occlude(localizer, image, content[:DONORS], truth, places=ranked)
        again = occlude(localizer, image, content[DONORS : DONORS + 2], truth)
        elsewhere = occlude(localizer, image, content[DONORS : DONORS + 2], (float(other[0]), float(other[1])))
        moved = deletion(localizer, image, first, content[DONORS:], rng)
        assert moved.most_important_log_prob is not None
        assert moved.random_log_prob is not None
        found.append(
            {
                "cluster": f"{run} {units[photo_id]}",
                "most_important_m": moved.most_important_m,
                "random_m": moved.random_m,
                "most_important_log_prob": moved.most_important_log_prob,
                "random_log_prob": moved.random_log_prob,
                "same_place": _alike(first, again),
                "other_place": _alike(first, elsewhere),
                "above_noise": first.noise is not None and bool(first.noise.above.any()),
            }
        )
    return pd.DataFrame(found)


def _alike(one: Occlusion, other: Occlusion) -> float:
    return float(np.corrcoef(one.importance.ravel(), other.importance.ravel())[0, 1])


def summary(rows: pd.DataFrame) -> dict[str, object]:
    """Return means over photos, and paired differences, with intervals over walks."""
    clusters = Clusters.of("walks", rows["cluster"].to_numpy(dtype=str))
    columns = {name: rows[name].to_numpy(dtype=np.float64) for name in rows.columns if name != "cluster"}
    columns["more_m"] = columns["most_important_m"] - columns["random_m"]
    columns["more_log_prob"] = columns["most_important_log_prob"] - columns["random_log_prob"]
    columns["less_alike"] = columns["same_place"] - columns["other_place"]
    figures: dict[str, object] = {"photos": len(rows), "clusters": clusters.count}
    for name, values in columns.items():
        figures[name] = {"value": float(np.nanmean(values)), "interval": mean_interval(values, clusters)}
    return figures


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="runs of preset quick or default with test photos")
    parser.add_argument("--photos", type=int, default=16, help="of each run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = [measure(run, arguments.photos, arguments.seed) for run in arguments.runs]
    figures = {str(run): summary(rows) for run, rows in zip(arguments.runs, parts, strict=True)}
    rows = pd.concat(parts)
    figures["all"] = summary(rows)
    ratios = {
        "moved": float(rows["most_important_m"].mean() / rows["random_m"].mean()),
        "above_noise": float(rows["above_noise"].mean()),
    }
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__}
    if arguments.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": ratios}, indent=1))
        return
    for name, figure in figures.items():
        print(name, figure)
    print(ratios)


if __name__ == "__main__":
    main()
