"""One row per scored photo: its truth, the answer, the errors, and everything the strata are made of."""

from typing import TYPE_CHECKING, Any

import numpy as np

from img2gps.geo import geodesic_m
from img2gps.site import Site
from img2gps.sun import light_of, sun_elevation_deg
from img2gps.text import safe_text
from img2gps.walks import clock_seconds
from train.evaluation.references import ReferenceErrors

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["scores_frame"]

_FROM_DATASET = ("id", "file_name", "walk", "group", "device", "captured_at", "lon", "lat", "ingest_lon", "ingest_lat")
_FROM_PREDICTION = (
    *("pred_lon", "pred_lat", "uncertainty_m", "radius_50_m", "radius_90_m", "familiarity"),
    *("label_share", "answer_share"),
    *("walk_lon", "walk_lat", "walk_radius_50_m", "walk_radius_90_m", "walk_familiarity", "walk_photos"),
)


def scores_frame(
    rows: "gpd.GeoDataFrame", predictions: "pd.DataFrame", references: ReferenceErrors, site: Site
) -> "pd.DataFrame":
    """Return the scores of N photos, in the order of `rows`.

    `predictions` (see `train.inference.predictions`) covers every id of `rows`. It has the columns of both, and
    `error_m` (geodesic, against today's label), `clock_s`, `day` (local date), `light` and `device_name`. `east_m`,
    `north_m`, `pred_east_m` and `pred_north_m` are in metres of the site's frame. Errors are `nearest_train_m`,
    `mean_predictor_m` and `walk_error_m`. The last is the error where the photos of a walk are located together (NaN if
    the model cannot). The `cause` of an error comes later (`train.evaluation.causes`).
    """
    import pandas as pd

    answers = predictions.set_index("id").loc[rows["id"]].reset_index(drop=True)
    columns: dict[str, Any] = {name: rows[name].to_numpy() for name in _FROM_DATASET if name != "captured_at"}
    columns |= {name: rows[name].to_numpy() for name in ("label_state", "moved_m", "fold")}
    columns |= {name: answers[name].to_numpy(dtype=np.float64) for name in _FROM_PREDICTION}
    scores = pd.DataFrame(columns)
    scores["captured_at"] = pd.to_datetime(rows["captured_at"], utc=True).reset_index(drop=True)
    scores["clock_s"] = clock_seconds(rows)
    scores["error_m"] = geodesic_m(scores["lon"], scores["lat"], scores["pred_lon"], scores["pred_lat"])
    scores["walk_error_m"] = geodesic_m(scores["lon"], scores["lat"], scores["walk_lon"], scores["walk_lat"])
    scores["day"] = _local_days(rows, site)
    scores["light"] = light_of(sun_elevation_deg(scores["captured_at"], scores["lon"], scores["lat"]))
    scores["device_name"] = _device_names(rows)
    scores["east_m"], scores["north_m"] = site.frame.to_local(scores["lon"], scores["lat"])
    scores["accuracy_m"] = rows["gps_accuracy_m"].to_numpy(dtype=np.float64, na_value=np.nan)
    scores["walk_east_m"], scores["walk_north_m"] = site.frame.to_local(scores["walk_lon"], scores["walk_lat"])
    scores["pred_east_m"], scores["pred_north_m"] = site.frame.to_local(scores["pred_lon"], scores["pred_lat"])
    scores["nearest_train_m"] = references.errors_m["oracle"]
    scores["cause"] = ""  # until the light of the photos is known, and what the model trained on
    scores["mean_predictor_m"] = references.errors_m["mean_predictor"]
    return scores


def _local_days(rows: "gpd.GeoDataFrame", site: Site) -> list[str]:
    """Return the local date of each photo: by its own offset, else the site's zone, else UTC."""
    import pandas as pd

    days = []
    for time, offset in zip(pd.to_datetime(rows["captured_at"], utc=True), rows["utc_offset_min"], strict=True):
        if pd.isna(time):
            days.append("date unknown")
        elif pd.notna(offset):
            days.append((time + pd.Timedelta(minutes=float(offset))).date().isoformat())
        else:
            days.append((time.tz_convert(site.zone) if site.zone else time).date().isoformat())
    return days


def _device_names(rows: "gpd.GeoDataFrame") -> list[str]:
    """Return make and model with the start of the device's hash, which tells two of a kind apart."""
    names = []
    for make, model, device in zip(rows["make"], rows["model"], rows["device"], strict=True):
        parts = [part for part in (make, model) if isinstance(part, str) and part]
        if len(parts) == 2 and parts[1].lower().startswith(parts[0].lower()):
            parts = parts[1:]
        short = str(device)[:6] or "unknown"
        names.append(safe_text(f"{' '.join(parts)} ({short})" if parts else short, limit=60))
    return names
