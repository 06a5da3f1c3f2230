"""Photos that ingest refused for want of a position: shown on the label page, taken in where a click places them."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

from collect.label.store import position_complaint
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import sha256_file
from img2gps.imaging import open_image, upright_rgb
from img2gps.rejected import read_rejected
from img2gps.text import safe_path, safe_text

__all__ = ["NO_POSITION", "PhotoWithoutPlace", "Placer", "UnplacedPhotos"]

NO_POSITION: Final = frozenset(
    ("no_exif", "no_gps", "gps_redacted", "gps_ref_missing", "gps_not_finite", "null_island", "gps_out_of_range")
)
Placer = Callable[[Path, float, float], str]
"""Takes a file into the dataset at a position (lon, lat in degrees); returns what was wrong, "" where nothing was."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PhotoWithoutPlace:
    """A file without a position: its digest, its name fit to be shown, and why it was refused."""

    sha256: str
    name: str
    reason: str


class UnplacedPhotos:
    """The files of a folder that a dataset refused for want of a position."""

    def __init__(self, dataset: Dataset, folder: Path, place: Placer) -> None:
        if not folder.exists():
            raise NotFoundError(f"No photos at {safe_path(folder)}: give the folder that was ingested.")
        self._dataset, self._place = dataset, place
        refused = {row.sha256: row for row in read_rejected(dataset.rejected_path).values() if row.sha256}
        wanted = {digest for digest, row in refused.items() if row.reason in NO_POSITION}
        names = {Path(row.file).name for digest, row in refused.items() if digest in wanted}
        files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
        self._paths: dict[str, Path] = {}
        self._reasons = {digest: row.reason for digest, row in refused.items()}
        for path in files:
            if safe_text(path.name) in names and (digest := sha256_file(path)) in wanted:
                self._paths.setdefault(digest, path)

    def waiting(self) -> list[PhotoWithoutPlace]:
        """Return what is still without a position, by name."""
        rows = [
            PhotoWithoutPlace(
                sha256=digest, name=safe_text(path.name, limit=120), reason=self._reasons[digest].replace("_", " ")
            )
            for digest, path in self._paths.items()
        ]
        return sorted(rows, key=lambda row: (row.name, row.sha256))

    def picture(self, sha256: str) -> bytes:
        """Return a photo as a JPEG without metadata. Raises NotFoundError where there is none."""
        if sha256 not in self._paths:
            raise NotFoundError("There is no such photo.")
        file = io.BytesIO()
        upright_rgb(open_image(self._paths[sha256].read_bytes())).save(file, "JPEG", quality=85)
        return file.getvalue()

    def place(self, sha256: str, lon: float, lat: float) -> None:
        """Take a photo into the dataset at a position in degrees. Raises NotFoundError, UsageError saying why not."""
        if sha256 not in self._paths:
            raise NotFoundError("There is no such photo: load the page again.")
        if complaint := position_complaint(self._dataset.site(), lon, lat):
            raise UsageError(f"That cannot be the position, {complaint}: nothing was changed.")
        if refused := self._place(self._paths[sha256], lon, lat):
            raise UsageError(f"It was not taken in: {refused}.")
        del self._paths[sha256]
