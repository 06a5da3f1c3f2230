"""What is remarkable about accepted photos, recomputed from their rows alone: own values and walk neighbours."""

import dataclasses
import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from collect.validation.timeline import Decisions
from collect.validation.two_times import STALE_AGE_S
from img2gps.geo import FloatArray, geodesic_m
from img2gps.manifest import pack_photos
from img2gps.photo_columns import floats_of, micros_of, ranks_of, tells
from img2gps.reasons import FLAGS
from img2gps.types import Photo

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["flags_of", "with_flags"]

_POOR_ACCURACY_M: Final = 100.0
_POOR_DOP: Final = 20.0  # "poor" on the usual scale of dilution of precision
# Of GPSProcessingMethod (Exif 2.32, 4.6.6: GPS, CELLID, WLAN, MANUAL) and of Android's location providers
_SATELLITES: Final = re.compile(r"\bGPS\b|GNSS|FUSED")
_NO_SATELLITES: Final = re.compile(r"NETWORK|CELL|WLAN|WI-?FI|MANUAL|\bIP\b|GEOIP")
_BY_CLOCK: Final = ("exif_offset", "site_zone")
_TRAITS: Final = ("panorama", "drone", "small_picture", "dark_frame")
_STALE_RUN_PHOTOS: Final = 3
_STALE_RUN_S: Final = 15.0
_QUANTISED_TOLERANCE_ARCSEC: Final = 1e-6
_WALKING_LIMIT_M_S: Final = 4.0
# What a phone that reports no accuracy is off by: the median of 715 photos of one campus that were corrected by hand.
_UNKNOWN_ACCURACY_M: Final = 17.6

Mask = NDArray[np.bool_]


def with_flags(photos: Sequence[Photo], decisions: Decisions | None = None) -> list[Photo]:
    """Return the photos with their flags, in the order of `img2gps.reasons.FLAGS`; `walk` must be filled in.

    `decisions` are those of `collect.validation.timeline`: what they say of a photo's times is flagged, too.
    """
    if not photos:
        return []
    decided = [(decisions or {}).get(photo.id) for photo in photos]
    disagree = np.array([found is not None and found.kind is not None for found in decided])
    repeated = np.array([found is not None and found.is_repeated for found in decided])
    flags = flags_of(pack_photos(photos), disagree=disagree, repeated=repeated).to_pylist()
    return [_flagged(photo, words) for photo, words in zip(photos, flags, strict=True)]


def _flagged(photo: Photo, words: str) -> Photo:
    flags = tuple(words.split(",")) if words else ()
    return photo if photo.flags == flags else dataclasses.replace(photo, flags=flags)


def flags_of(packed: "pa.Table", *, disagree: Mask, repeated: Mask) -> "pa.Array":
    """Return the flags of the rows of a packed table (`img2gps.photo_columns`), joined by commas as it holds them.

    `disagree` and `repeated` say which photos' times contradict each other, and whose local time came twice, (N,).
    """
    import pyarrow as pa

    walks = _Walks.of(packed)
    conditions = {
        **_of_own_values(packed),
        "times_disagree": disagree,
        "repeated_hour": repeated,
        "implausible_speed": walks.too_fast(),
    }
    conditions["stale_fix"] |= walks.repeated_positions()
    bits = np.zeros(len(packed), dtype=np.int64)
    for number, code in enumerate(FLAGS):
        bits |= conditions[code].astype(np.int64) << number
    found, codes = np.unique(bits, return_inverse=True)
    words = [",".join(code for number, code in enumerate(FLAGS) if bit >> number & 1) for bit in found.tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words, pa.string()))


def _of_own_values(packed: "pa.Table") -> dict[str, Mask]:
    numbers = {
        name: floats_of(packed.column(name))
        for name in ("lon", "lat", "gps_accuracy_m", "gps_dop", "fix_age_s", "heading_deg")
    }
    return {
        "edge": tells(packed.column("site_relation"), lambda word: word == "edge"),
        "accuracy_unknown": np.isnan(numbers["gps_accuracy_m"]),
        "stale_fix": numbers["fix_age_s"] > STALE_AGE_S,
        "void_fix": tells(packed.column("gps_status"), lambda word: word == "V"),
        "network_fix": tells(packed.column("gps_method"), _is_without_satellites),
        "poor_accuracy": numbers["gps_accuracy_m"] > _POOR_ACCURACY_M,
        "poor_geometry": numbers["gps_dop"] > _POOR_DOP,
        "quantised_gps": _is_quantised(numbers["lat"]) & _is_quantised(numbers["lon"]),
        "heading_unknown": np.isnan(numbers["heading_deg"]),
        "time_unknown": ~micros_of(packed.column("captured_at"))[1],
        **{trait: tells(packed.column("traits"), partial(_has_trait, trait)) for trait in _TRAITS},
    }


def _has_trait(trait: str, traits: str) -> bool:
    return trait in traits.split(",")


def _is_without_satellites(method: str) -> bool:
    return bool(_NO_SATELLITES.search(method)) and not _SATELLITES.search(method)


def _is_quantised(degrees: FloatArray) -> Mask:
    arc_seconds = np.abs(degrees) * 3600
    return np.asarray(np.abs(arc_seconds - np.round(arc_seconds)) < _QUANTISED_TOLERANCE_ARCSEC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Walks:
    """The timed rows walk by walk in order of time, `rows` (T,) of N; what follows is in this order.

    `follows` says which are of the walk of the one before. `clock_s` is the camera's clock where it is known: a stale
    fix may have stopped the GPS time, too.
    """

    count: int
    rows: NDArray[np.int64]
    follows: Mask
    micros: NDArray[np.int64]
    clock_s: FloatArray
    lons: FloatArray
    lats: FloatArray
    accuracy_m: FloatArray

    @classmethod
    def of(cls, packed: "pa.Table") -> "_Walks":
        micros, known = micros_of(packed.column("captured_at"))
        walks, names, ids = (ranks_of(packed.column(name)) for name in ("walk", "source_name", "id"))
        order = np.lexsort((ids, names, micros, walks))
        rows = order[known[order]]
        by_clock = tells(packed.column("time_source"), lambda word: word in _BY_CLOCK)[rows]
        age_s = np.nan_to_num(floats_of(packed.column("fix_age_s"))[rows], nan=0.0)
        accuracy_m = floats_of(packed.column("gps_accuracy_m"))[rows]
        return cls(
            count=len(packed),
            rows=rows,
            follows=walks[rows][1:] == walks[rows][:-1],
            micros=micros[rows],
            clock_s=micros[rows] / 1e6 + np.where(by_clock, 0.0, age_s),
            lons=packed.column("lon").to_numpy()[rows],
            lats=packed.column("lat").to_numpy()[rows],
            accuracy_m=np.where(np.isnan(accuracy_m), _UNKNOWN_ACCURACY_M, accuracy_m),
        )

    def repeated_positions(self) -> Mask:
        """Return the photos, (N,), of every run of one position that lasts too long for somebody who walks."""
        if not len(self.rows):
            return np.zeros(self.count, dtype=np.bool_)
        same = self.follows & (self.lons[1:] == self.lons[:-1]) & (self.lats[1:] == self.lats[:-1])
        starts = np.flatnonzero(np.concatenate([[True], ~same]))
        photos = np.diff(np.concatenate([starts, [len(self.rows)]]))
        lasted_s = np.maximum.reduceat(self.clock_s, starts) - np.minimum.reduceat(self.clock_s, starts)
        stale = (photos >= _STALE_RUN_PHOTOS) & (lasted_s > _STALE_RUN_S)
        return self._of_all(np.repeat(stale, photos))

    def too_fast(self) -> Mask:
        """Return each photo, (N,), whose distance from the one before no walker covers, both accuracies granted."""
        if not len(self.rows):
            return np.zeros(self.count, dtype=np.bool_)
        steps_m = geodesic_m(self.lons[:-1], self.lats[:-1], self.lons[1:], self.lats[1:])
        explained_m = self.accuracy_m[:-1] + self.accuracy_m[1:]
        elapsed_s = np.diff(self.micros) / 1e6
        fast = self.follows & (steps_m - explained_m > _WALKING_LIMIT_M_S * elapsed_s)
        return self._of_all(np.concatenate([[False], fast]))

    def _of_all(self, timed: Mask) -> Mask:
        every = np.zeros(self.count, dtype=np.bool_)
        every[self.rows] = timed
        return every
