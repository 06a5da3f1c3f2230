"""What a reason, a flag or a name most often comes from in the field, and what to do about it."""

from typing import Final

from collect.validation.two_times import DISAGREEMENTS

__all__ = ["CAUSES", "LEFT_OUT", "PLACEHOLDERS", "SPECIAL_FILES"]

_COPY_ORIGINALS: Final = "copy the originals by USB cable, AirDrop or a cloud drive's original-quality download"
_CHECK_TIMES: Final = (
    "check the hour of these photos; docs/reference/positions-and-times.md says which of the two times is taken"
)
_TIMES_REMEDY: Final = {
    "weeks": "nothing to do: the camera's clock is believed; update the receiver",
    "zone": "set the camera's zone, so that it writes its offset; then the clock is believed",
    "unset": "set the camera's clock; the GPS time is taken",
}

# What a reason or a flag most often comes from in the field; "38 of 40 photos" is put before it.
CAUSES: Final = {
    "no_gps": (
        "have camera tags but no GPS: probably picked through a browser or a messenger, or the camera app was not "
        "allowed to use the location",
        f"{_COPY_ORIGINALS}; for the next walk, allow the camera app the precise location",
    ),
    "gps_redacted": (
        "have GPS tags whose values were blanked: picked through Android's photo picker or a browser",
        f"{_COPY_ORIGINALS}, not through a picker or an upload form",
    ),
    "no_exif": (
        "carry no EXIF at all: sent through a messenger, edited, or taken as screenshots",
        f"{_COPY_ORIGINALS}; or give positions with --labels",
    ),
    "null_island": (
        "say 0, 0: the phone had no fix yet",
        "wait for the first fix before walking; give the positions of these with --labels or --gpx",
    ),
    "gps_ref_missing": (
        "lack the hemisphere of their position: an export tool dropped it",
        f"{_COPY_ORIGINALS}; the hemisphere is never guessed",
    ),
    "gps_not_finite": ("have a malformed position: an export tool damaged it", _COPY_ORIGINALS),
    "gps_out_of_range": ("have an impossible position: an export tool damaged it", _COPY_ORIGINALS),
    "truncated": ("end early: the transfer was cut off", "copy them again and compare the sizes with the phone's"),
    "unreadable": ("cannot be read", "open them on the phone; copy those again that show there"),
    "unsupported_format": (
        "are images in a format that is not read",
        "set the camera to JPEG or HEIC, and convert these with their EXIF kept",
    ),
    "too_large": ("exceed the limits for photos", "export them below 100 megapixels"),
    "outside_site": (
        "lie outside the site",
        "check that the folder belongs to this site, and that the polygon is large enough",
    ),
    "stale_fix": (
        "have a repeated old position: the phone had not found its place again, or saves power",
        "switch power saving off, keep the camera open a few seconds at each place",
    ),
    "quantised_gps": (
        "have positions rounded to whole arc-seconds, 24 to 31 m apart: an app rounded them",
        "use the phone's own camera app",
    ),
    "time_unknown": (
        "have no capture time: the camera wrote none",
        "set the camera's clock, and copy the originals",
    ),
    "zone_unknown": (
        "have a clock time without a zone: no offset was written that can be read, and the site names no time zone",
        "add time_zone to the properties of the site file and give it by --site; where an offset is damaged, give "
        "captured_at by --labels",
    ),
    **{
        f"times_disagree: {kind}": (f"have {text}", _TIMES_REMEDY.get(kind, _CHECK_TIMES))
        for kind, text in DISAGREEMENTS.items()
    },
    "repeated_hour": (
        "were taken in the hour that autumn repeats: the photos around them decided which of the two it was",
        "let the camera write its offset",
    ),
    "void_fix": (
        "say themselves that the receiver had no fix (GPSStatus V)",
        "wait for a fix before the photo, and check these positions with img2gps label",
    ),
    "network_fix": (
        "were placed by cell towers, Wi-Fi or by hand, not by satellites",
        "allow the camera the precise location, and check these positions with img2gps label",
    ),
    "poor_accuracy": (
        "report an accuracy worse than 100 m",
        "wait for a fix in the open, and check these positions with img2gps label",
    ),
    "poor_geometry": (
        "were placed by satellites that stood badly (a dilution of precision over 20)",
        "wait for a fix in the open, and check these positions with img2gps label",
    ),
    "timed_out": ("take too long to read", "export them as JPEG"),
    "crashed": ("crash their decoder", "export them as JPEG"),
}

SPECIAL_FILES: Final = (
    "are called like photos and are links, pipes or devices, which are never followed or opened",
    "give the folder that holds the files themselves, or copy them there",
)
LEFT_OUT: Final = (
    "lie in recycle bins or folders of thumbnails, or were not finished, and are left out",
    "nothing to do, or include them with --include-hidden",
)
PLACEHOLDERS: Final = (
    "are called like photos but hold none: placeholders of a cloud drive, or failed downloads",
    "open the cloud drive's app, make the folder available offline, and copy again",
)
