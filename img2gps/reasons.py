"""Why a file was not accepted, and what is remarkable about an accepted one: codes, texts, remedies.

The codes are what other programs rely on; the texts are what people read.
"""

import dataclasses
from typing import Final

__all__ = ["FLAGS", "REASONS", "Explanation"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One code: what it means, and what a person can do about it."""

    code: str
    text: str
    remedy: str


def _table(*rows: tuple[str, str, str]) -> dict[str, Explanation]:
    return {code: Explanation(code=code, text=text, remedy=remedy) for code, text, remedy in rows}


_COPY_ORIGINALS = "copy the originals by USB cable, AirDrop or a cloud drive's original-quality download"

REASONS: Final = _table(
    (
        "unreadable",
        "the file could not be opened or decoded",
        "open it on the phone; if it shows there, copy it again, else delete it",
    ),
    ("truncated", "the image ends before its data does", "copy the file again: the transfer was cut off"),
    (
        "unsupported_format",
        "an image in a format that is not read",
        "convert it to JPEG, PNG, WebP, TIFF or HEIC, keeping its EXIF",
    ),
    (
        "too_large",
        "the file, its EXIF or its pixel dimensions exceed the limits",
        "check that it is a photo from a phone; export it below 100 megapixels if it is",
    ),
    (
        "timed_out",
        "reading the file took longer than the limit, twice",
        "open it on the phone; if it shows there, export it as JPEG and ingest that",
    ),
    (
        "crashed",
        "the decoder crashed or ran out of memory on the file, twice",
        "export it as JPEG from a photo viewer and ingest that; keep the original for a bug report",
    ),
    (
        "no_exif",
        "the file carries no EXIF at all",
        f"messengers and web uploads strip it: {_COPY_ORIGINALS}, or give positions with --labels",
    ),
    (
        "no_gps",
        "the EXIF holds no GPS position",
        "allow the camera app to use the location; if it was on, "
        f"{_COPY_ORIGINALS}; or give positions with --labels or --gpx",
    ),
    (
        "gps_redacted",
        "the GPS tags are there but their values were blanked",
        f"Android's photo picker and browsers do this: {_COPY_ORIGINALS}, not through a picker or a messenger",
    ),
    (
        "gps_ref_missing",
        "the hemisphere (N/S, E/W) of the GPS position is missing",
        "it is never guessed: copy the original again, or give the position with --labels",
    ),
    (
        "gps_not_finite",
        "the GPS position is malformed or not a number",
        f"{_COPY_ORIGINALS}, or give the position with --labels",
    ),
    (
        "null_island",
        "the GPS position is 0, 0, which phones write when they have no fix",
        "wait for a fix before the first photo, or give the position with --labels",
    ),
    (
        "gps_out_of_range",
        "the GPS position lies beyond 90 degrees of latitude or 180 of longitude",
        "the file was damaged or edited: copy the original again, or give the position with --labels",
    ),
    (
        "outside_site",
        "the position lies outside the site by more than its accuracy explains",
        "check the site's polygon and that the photo belongs to it; correct the position with --labels if it does",
    ),
    (
        "accuracy_too_low",
        "the reported accuracy is worse than --max-accuracy",
        "wait for a better fix in the open, or raise --max-accuracy",
    ),
    (
        "forgotten",
        "this dataset was asked to forget the photo",
        "nothing to do; if that was a mistake, `img2gps forget DATASET ID --take-back` lets it in again",
    ),
)
"""Every reason of a rejection, by code."""

FLAGS: Final = _table(
    (
        "edge",
        "outside the polygon, within what the accuracy explains",
        "fine as it is; widen the polygon if such photos should count as inside",
    ),
    (
        "accuracy_unknown",
        "the phone reported no accuracy (most Android phones do not)",
        "nothing to do; check the position on the map if it matters",
    ),
    (
        "stale_fix",
        "the GPS fix is older than the photo, or was repeated while walking",
        "wait a few seconds at each place; correct the position with img2gps label",
    ),
    (
        "void_fix",
        "the receiver itself says that it had no fix (GPSStatus V)",
        "wait for a fix before the photo; check the position with img2gps label",
    ),
    (
        "network_fix",
        "the position came from cell towers, Wi-Fi or by hand, not from satellites",
        "wait for a satellite fix in the open; check the position with img2gps label",
    ),
    (
        "poor_accuracy",
        "the phone reported an accuracy worse than 100 m",
        "allow the camera the precise location and wait for a fix; check the position with img2gps label",
    ),
    (
        "poor_geometry",
        "the satellites stood badly: a dilution of precision over 20",
        "wait for a better fix in the open; check the position with img2gps label",
    ),
    (
        "quantised_gps",
        "the coordinates are whole arc-seconds, 24 to 31 m apart",
        "an app rounded them: use the phone's own camera, or correct the position with img2gps label",
    ),
    ("heading_unknown", "no compass heading was recorded", "turn the compass on in the camera's settings"),
    (
        "time_unknown",
        "no capture time is known: none was recorded, or its zone is unknown",
        "if the clock's time is known, name `time_zone` in the site file and give it with --site; else set the phone's "
        f"clock, and {_COPY_ORIGINALS}",
    ),
    (
        "times_disagree",
        "the GPS time and the camera's clock contradict each other; one was taken by a rule",
        "check the hour by the rule in docs/reference/positions-and-times.md; set the camera's clock and zone",
    ),
    (
        "repeated_hour",
        "the clock was in the hour that autumn repeats; the photos around it decided which of the two it was",
        "nothing to do if the order of the walk is right; let the camera write its offset",
    ),
    (
        "implausible_speed",
        "the step from the previous photo of the walk is faster than a person, beyond what both accuracies explain",
        "one of the two positions is wrong: compare them with img2gps label",
    ),
    (
        "panorama",
        "a panorama: all around, or a wide strip",
        "leave it out of training: it shows more than an ordinary photo",
    ),
    ("drone", "taken by a drone", "leave it out: nobody on foot sees the site from above"),
    (
        "small_picture",
        "under 200 pixels on its short side, as thumbnails and previews are",
        f"a program made it from a photo: {_COPY_ORIGINALS}",
    ),
    (
        "dark_frame",
        "black or nearly so, as from a pocket",
        "leave it out: it shows nothing of the place",
    ),
)
"""Every flag of an accepted photo, by code."""
