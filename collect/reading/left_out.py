"""Names of what phones, computers and network drives keep beside photos: deleted, unfinished, or made from them.

Android: MediaStore's ``.trashed-`` and ``.pending-`` names; macOS: AppleDouble ``._`` (RFC 1740) and ``.Trashes``;
Windows: ``$RECYCLE.BIN``; freedesktop.org: ``.Trash-UID``; Synology ``@eaDir`` and ``#recycle``; QNAP ``.@__thumb``.
"""

import re
from typing import Final

__all__ = ["LEFT_OUT", "left_out_as"]

LEFT_OUT: Final = {
    "trash": "in a recycle bin",
    "unfinished": "not written to the end by their camera app",
    "thumbnails": "in a folder of thumbnails",
    "system": "notes of a computer about files",
    "dataset": "working copies of a dataset that img2gps made",
}
"""Why a file is no photo of the walk, by the codes that `left_out_as` gives; the walk itself finds datasets."""

_FOLDERS: Final = (
    (
        "trash",
        re.compile(
            r"\$recycle\.bin|recycler|recycled|\.trash|\.trashes|\.trash-\d+|\.globaltrash|\.trashbin|\.trashed|\.recycle"
            r"|\.recyclebin|[#@]recycle|\.dtrash|\.deleted|\..*(?:trash|recycle).*|\.dropbox\.cache"
        ),
    ),
    (
        "thumbnails",
        re.compile(
            r"\..*thumb.*|\.cache|ipod photo cache|@eadir|\.@__thumb|\.picasaoriginals|\.xvpics|\.tmb|.*\.lrdata"
        ),
    ),
    (
        "system",
        re.compile(
            r"__macosx|\.appledouble|\.stversions|#snapshot|@recently-snapshot|system volume information|\.fseventsd"
            r"|\.spotlight-v100"
        ),
    ),
)
_FILES: Final = (
    ("trash", re.compile(r"\.trashed-.*")),
    ("unfinished", re.compile(r"\.pending-.*")),
    ("system", re.compile(r"\._.*")),
)


# Takeout's folder of deleted photos, and the previews in a library of Apple Photos: their names alone say less.
_PATHS: Final = (
    (
        "trash",
        re.compile(
            r"(?:.*/)?google (?:photos|fotos|foto|フォト)"
            r"/(?:trash|bin|papierkorb|corbeille|papelera|cestino|lixeira|prullenbak)/.*"
        ),
    ),
    ("thumbnails", re.compile(r"(?:.*/)?[^/]*\.photoslibrary/(?:resources|previews|thumbnails)/.*")),
)


def left_out_as(name: str) -> str | None:
    """Return why a file is no photo of the walk, None where it may be one; `name` is relative, with slashes."""
    for code, pattern in _PATHS:
        if pattern.fullmatch(name.lower()):
            return code
    *folders, file = name.lower().split("/")
    for parts, kinds in ((folders, _FOLDERS), ([file], _FILES)):
        for code, pattern in kinds:
            if any(pattern.fullmatch(part) for part in parts):
                return code
    return None
