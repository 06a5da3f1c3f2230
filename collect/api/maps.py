"""The map under everything."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collect.api.arguments import as_path
from img2gps.dataset import Dataset

if TYPE_CHECKING:
    from collect.mapping.build import BasemapReport

__all__ = ["basemap"]


def basemap(
    target: Dataset | str | Path,
    *,
    osm: str | Path | None = None,
    layers: Sequence[str | Path] = (),
    margin_m: float = 100.0,
    attribution: str = "",
    licence: str = "",
    server: str | None = None,
    out: str | Path | None = None,
    dry_run: bool = False,
) -> "BasemapReport":
    """Fetch the map of a dataset's site, or of a site, and keep it: what ``img2gps basemap`` does.

    `osm` is an extract of OpenStreetMap. `layers` are your own files; ``CLASS=FILE`` names the class of features
    without one. Without both, an Overpass server is asked. `margin_m` is how far around the site the map reaches.
    Raises UsageError, NotFoundError, InvalidDatasetError, DatasetLockedError.

        >>> from collect import basemap
        >>> report = basemap("quad", layers=["campus/basemap.parquet"])
        >>> report.basemap.counts()["building"] > 10
        True
    """
    from collect.mapping.build import MapRequest, make_basemap

    request = MapRequest(
        osm=as_path(osm),
        layers=tuple(map(str, layers)),
        server=server,
        margin_m=margin_m,
        attribution=attribution,
        licence=licence,
    )
    where = target.root if isinstance(target, Dataset) else target
    return make_basemap(where, request, out=as_path(out), dry_run=dry_run)
