"""The forecast of a run with folds: what error to expect on a walk not yet taken (`img2gps.estimation.forecast`)."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from img2gps.basemap.standing import standing_places
from img2gps.estimation.error_law import some_ids
from img2gps.estimation.error_shape import TrainingNear, training_near
from img2gps.estimation.forecast import FEWEST_WALKS, Forecast, ForecastLaw, WalkErrors, forecast_law, walks_inside
from img2gps.geo import FloatArray
from img2gps.site import Site
from img2gps.sun import LIGHTS, light_of, sun_elevation_deg
from img2gps.text import agree, format_count
from img2gps.walks import walk_weights

if TYPE_CHECKING:
    import pandas as pd

    from img2gps.basemap.features import Basemap

__all__ = [
    "ErrorMap",
    "ForecastFigures",
    "Where",
    "forecast_figures",
    "forecast_lines",
    "walk_errors",
    "why_no_forecast",
]

Where = Literal["photos", "site"]
"""Which ground the next walk covers: that of the photos so far, or the whole site."""

_CELL_M: Final = 10.0
_MOST_CELLS: Final = 20_000
_HOURS: Final = range(8, 22)  # of a day on which people walk


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMap:
    """The RMSE to expect in squares of `size_m`, by their middles in metres of the site's frame; (C,) each."""

    size_m: float
    east_m: FloatArray
    north_m: FloatArray
    rmse_m: FloatArray


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFigures:
    """A forecast with what it rests on.

    `hours` says in words which light it is for. Of `nested_walks` walks, each forecast from the others alone,
    `nested_inside` had their RMSE in the interval of a new walk. `log_light` is the logarithm of what the light of a
    year makes of errors by day. `broken_walks` were not held out whole, and have no part in it.
    """

    forecast: Forecast
    where: Where
    hours: str
    walks: int
    broken_walks: int
    photos: int
    nested_inside: int
    nested_walks: int
    law: ForecastLaw
    log_light: float
    map: ErrorMap

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the map is not among them."""
        found = self.forecast
        return {
            "rmse_m": round(found.rmse_m, 3),
            "median_m": round(found.median_m, 3),
            "interval_90_m": [round(one, 3) for one in found.interval_90_m],
            "typical_walk_m": round(found.typical_m, 3),
            "new_walk_interval_90_m": [round(one, 3) for one in found.new_walk_interval_90_m],
            "where": self.where,
            "hours": self.hours,
            "walks": self.walks,
            "broken_walks": self.broken_walks,
            "photos": self.photos,
            "nested": {"inside": self.nested_inside, "walks": self.nested_walks},
        }

    def table(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return what ``forecast.json`` of a run holds: the figures, and the numbers that other maps are drawn with.

        `ids` are those of the photos that were scored. Some of them are kept: they tell which dataset it is of.
        """
        known = some_ids(ids)
        return self.to_dict() | {"law": self.law.to_dict() | {"log_light": self.log_light}, "photo_ids": known}


def forecast_figures(
    scores: "pd.DataFrame", site: Site, basemap: "Basemap | None" = None, *, where: Where = "photos"
) -> ForecastFigures | None:
    """Return the forecast from scores of all folds (`train.evaluation.scores`), None where `why_no_forecast` says why.

    Only walks that were held out whole have a part in it: of one that lies in two folds, each model has seen some.
    """
    if why_no_forecast(scores) is not None:
        return None
    broken = _broken(scores)
    errors = walk_errors(scores)
    for number in reversed(np.flatnonzero(np.isin(np.unique(scores["walk"].to_numpy(dtype=str)), broken)).tolist()):
        errors = errors.without(number)
    law = forecast_law(errors)
    if law is None:
        return None
    squares, size_m = _squares(site, basemap)
    lights = _lights_of_year(site)
    ground = _around(scores, squares)
    map_m = np.zeros(len(squares))
    for light, share in enumerate(lights):
        map_m += share * law.expected_m(_in_light(ground, light)) ** 2
    if where == "site":
        parts = [_in_light(ground, light) for light in range(len(lights))]
        found = law.at(_joined(parts), np.repeat(lights, len(squares)))
    else:
        found = law.at(errors.places)
    inside, asked = walks_inside(errors)
    return ForecastFigures(
        forecast=found,
        where=where,
        hours="8 to 22 o'clock, all year" if where == "site" else "those of the photos",
        walks=errors.walks,
        broken_walks=len(broken),
        photos=len(errors.error_m),
        nested_inside=inside,
        nested_walks=asked,
        law=law,
        log_light=_log_light(law, lights),
        map=ErrorMap(size_m=size_m, east_m=squares[:, 0], north_m=squares[:, 1], rmse_m=np.sqrt(map_m)),
    )


def why_no_forecast(scores: "pd.DataFrame") -> str | None:
    """Return why scores of folds give no forecast, one sentence; None where they give one."""
    nowhere, folds, walks = int((scores["fold"] < 0).sum()), scores["fold"].nunique(), scores["walk"].nunique()
    whole = walks - len(_broken(scores))
    if nowhere:
        reason = f"{format_count(nowhere, 'photo')} of those scored lie in no fold"
    elif folds < 2:
        reason = "there is one fold, so no walk was left out beside others"
    elif walks < FEWEST_WALKS:
        reason = f"there are {format_count(walks, 'walk')}, and fewer than {FEWEST_WALKS} do not tell how walks differ"
    elif whole < FEWEST_WALKS:
        parted = walks - whole
        reason = (
            f"{parted} of {format_count(walks, 'walk')} {agree(parted, 'lies', 'lie')} in more than one fold, and "
            f"{FEWEST_WALKS} whole ones are needed (`img2gps split --folds walk`)"
        )
    else:
        return None
    return f"No forecast for a walk not yet taken: {reason}."


def _broken(scores: "pd.DataFrame") -> list[str]:
    """Return the names of the walks that lie in more than one fold; a near-duplicate may draw a photo to another."""
    folds = scores.groupby("walk")["fold"].nunique()
    return [str(name) for name in folds.index[folds > 1]]


def forecast_lines(found: ForecastFigures | None, why_not: str | None = None) -> list[str]:
    """Return the forecast in words, or why there is none; nothing where none was to be made."""
    if found is None:
        return [why_not] if why_not else []
    one, low, high = found.forecast, *found.forecast.new_walk_interval_90_m
    ground = (
        "on the ground of these photos, in their light"
        if found.where == "photos"
        else ("anywhere on the site, 8 to 22 o'clock all year")
    )
    nested = (
        f" Each walk forecast from the others: {found.nested_inside} of {found.nested_walks} inside."
        if found.nested_walks
        else ""
    )
    broken = f" {format_count(found.broken_walks, 'walk')} not held out whole left out." if found.broken_walks else ""
    return [
        f"Forecast for a walk not yet taken, {ground}: RMSE {one.rmse_m:.1f} m "
        f"({one.interval_90_m[0]:.1f} to {one.interval_90_m[1]:.1f}). A single walk: {low:.1f} to {high:.1f} m "
        f"(90 %, from {found.walks} walks; against labels).{nested}{broken}"
    ]


def walk_errors(scores: "pd.DataFrame") -> WalkErrors:
    """Return the errors of scored folds, each photo among the training photos of its own fold's model."""
    places_m = _positions(scores)
    names, folds = scores["walk"].to_numpy(dtype=str), scores["fold"].to_numpy(dtype=np.int64)
    light = np.array([LIGHTS.index(one) for one in scores["light"]], dtype=np.int64)
    distance, near = np.zeros(len(scores)), np.zeros(len(scores))
    for fold in np.unique(folds):
        own = folds == fold
        found = training_near(places_m[own], places_m[~own], names[~own], light[own])
        distance[own], near[own] = found.distance_m, found.walks_near
    return WalkErrors(
        error_m=scores["error_m"].to_numpy(dtype=np.float64),
        places=TrainingNear(distance_m=distance, walks_near=near, light=light),
        walk=np.unique(names, return_inverse=True)[1].astype(np.int64),
        weight=walk_weights(names, np.nan_to_num(scores["clock_s"].to_numpy(dtype=np.float64))),
    )


def _positions(scores: "pd.DataFrame") -> FloatArray:
    return np.asarray(scores[["east_m", "north_m"]].to_numpy(dtype=np.float64))


def _squares(site: Site, basemap: "Basemap | None") -> tuple[FloatArray, float]:
    """Return the middles of the squares to stand in, and their size, which grows with the site."""
    west, south, east, north = site.local_polygon.bounds
    size_m = max(_CELL_M, float(np.sqrt((east - west) * (north - south) / _MOST_CELLS)))
    return standing_places(site, basemap, size_m), size_m


def _around(scores: "pd.DataFrame", squares: FloatArray) -> TrainingNear:
    names = scores["walk"].to_numpy(dtype=str)
    return training_near(squares, _positions(scores), names, np.zeros(len(squares), dtype=np.int64))


def _in_light(places: TrainingNear, light: int) -> TrainingNear:
    return dataclasses.replace(places, light=np.full(len(places.light), light, dtype=np.int64))


def _joined(parts: list[TrainingNear]) -> TrainingNear:
    return TrainingNear(
        distance_m=np.concatenate([part.distance_m for part in parts]),
        walks_near=np.concatenate([part.walks_near for part in parts]),
        light=np.concatenate([part.light for part in parts]),
    )


def _log_light(law: ForecastLaw, lights: FloatArray) -> float:
    nowhere = TrainingNear(
        distance_m=np.zeros(len(lights)), walks_near=np.zeros(len(lights)), light=np.arange(len(lights))
    )
    return float(0.5 * np.log(lights @ law.shape.relative(nowhere) ** 2))


def _lights_of_year(site: Site) -> FloatArray:
    """Return the shares (4,) of `LIGHTS` among the hours of a year in which people walk."""
    import pandas as pd

    zone = site.zone or f"Etc/GMT{-round(site.frame.origin_lon / 15):+d}"
    times = [
        pd.Timestamp(year=2025, month=month, day=15, hour=hour, minute=30, tz=zone)
        for month in range(1, 13)
        for hour in _HOURS
    ]
    elevation = sun_elevation_deg(
        pd.Series(pd.to_datetime(times, utc=True)), site.frame.origin_lon, site.frame.origin_lat
    )
    names = light_of(elevation)
    return np.array([names.count(light) / len(names) for light in LIGHTS])
