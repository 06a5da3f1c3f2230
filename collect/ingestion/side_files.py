"""Labels, tracks and sites that lie at an address: fetched into a temporary folder, read there, told by address."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from collect.ingestion.options import IngestOptions
from collect.reading.stores import read_address
from img2gps.address import Address, Place, place_of
from img2gps.errors import Img2GPSError, UsageError
from img2gps.text import safe_text

__all__ = ["with_local_side_files"]

_MOST_BYTES: Final = 256 << 20


@contextlib.contextmanager
def with_local_side_files(
    options: IngestOptions, *, site: str | Place | None, labels: Sequence[Place], gpx: Sequence[Place]
) -> Iterator[IngestOptions]:
    """Yield the options with files of this machine for what `site`, `labels` and `gpx` name.

    Raises NotFoundError or UsageError where an address cannot be read; errors of the block name the address.
    """
    with tempfile.TemporaryDirectory(prefix="img2gps-") as name:
        folder = Path(name)
        fetched = _Fetched(folder)
        place = place_of(site) if site is not None else None
        changed = dataclasses.replace(
            options,
            # a packaged site is a name, which looks like a path
            site=fetched.path_of(place) if isinstance(place, Address) else site if isinstance(site, str) else place,
            labels=[fetched.path_of(place) for place in labels],
            gpx=[fetched.path_of(place) for place in gpx],
        )
        try:
            yield changed
        except Img2GPSError as error:
            error.args = tuple(fetched.told(one) if isinstance(one, str) else one for one in error.args)
            raise


class _Fetched:
    """What was fetched, and from where."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._from: dict[str, str] = {}

    def path_of(self, place: Place) -> Path:
        """Return a path as it is, and an address as a file of its own folder under its own name."""
        if isinstance(place, Path):
            return place
        data = read_address(place, limit=_MOST_BYTES)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{safe_text(str(place))} is larger than {_MOST_BYTES >> 20} MiB.")
        path = self._folder / str(len(self._from)) / (place.name or "file")
        path.parent.mkdir()
        path.write_bytes(data)
        self._from[str(path)] = safe_text(str(place))
        return path

    def told(self, message: str) -> str:
        """Return a message with addresses in place of the temporary files."""
        for path, address in self._from.items():
            message = message.replace(path, address)
        return message
