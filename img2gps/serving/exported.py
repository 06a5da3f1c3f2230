"""An exported model behind the service: the same answers without torch."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from img2gps.basemap.features import Basemap
from img2gps.basemap.geojson import basemap_from_geojson
from img2gps.basemap.surroundings import Surroundings
from img2gps.errors import Img2GPSError
from img2gps.pixels import fit_pixels
from img2gps.runtime.description import BASEMAP, MODEL_JSON, SITE, Description
from img2gps.runtime.locator import Locator
from img2gps.serving.backend import DecodedPhoto, Ground, Located, ServedModel
from img2gps.serving.ground import ground_of_cells, ground_of_points, ground_of_site
from img2gps.site import Site, site_from_geojson
from img2gps.text import safe_path

__all__ = ["ExportedBackend", "export_in", "exported_backend"]

_ALIKE = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExportedBackend:
    """A folder of ``img2gps export`` as the service asks it (`img2gps.serving.backend.Backend`)."""

    model: ServedModel
    locator: Locator

    def locate(self, photos: Sequence[DecodedPhoto], *, walk: bool) -> list[Located]:
        """Return one answer per photo. Raises UsageError for walks of a model that gives points alone."""
        images = np.stack([fit_pixels(photo.image, self.locator.pixels) for photo in photos])
        captures = [photo.capture for photo in photos] if walk else None
        found = self.locator.sightings_of(images, captures=captures)
        stretch = self.locator.description.alone
        located = []
        for sighting in found:
            answer = sighting.answer
            assert answer.lon is not None
            assert answer.lat is not None
            probs = None if sighting.probs is None or walk or stretch is None else sighting.probs**stretch.temper
            located.append(
                Located(
                    lon=answer.lon,
                    lat=answer.lat,
                    radius_50_m=answer.radius_50_m,
                    radius_90_m=answer.radius_90_m,
                    familiarity=answer.familiarity,
                    probs=probs,
                    alike=tuple(match.row for match in sighting.matches[:_ALIKE]),
                )
            )
        return located

    def photo(self, number: int) -> bytes | None:
        """Return a training photo as a small JPEG; None where the export holds none."""
        path = self.locator.thumbnail(number) if number >= 0 else None
        return None if path is None else path.read_bytes()


def export_in(path: Path) -> Path | None:
    """Return the folder of `path` that holds an exported model: itself, or ``model`` in a Space or a page."""
    return next((folder for folder in (path, path / "model") if (folder / MODEL_JSON).is_file()), None)


def exported_backend(folder: Path, *, thumbnails: bool = True, threads: int = 0) -> ExportedBackend:
    """Return the model of an export for the service.

    Raises NotFoundError, InvalidCheckpointError where it is damaged, UsageError without onnxruntime.
    """
    locator = Locator(folder, threads=threads)
    facts = locator.description
    site, basemap = _site(folder), _basemap(folder)
    gallery = locator.gallery_lonlat
    return ExportedBackend(
        locator=locator,
        model=ServedModel(
            name=str(facts.values["run"].get("name") or folder.resolve().name),
            site=site.title or site.name if site else str(facts.values.get("site") or "the site"),
            frame=facts.frame,
            ground=_ground(site, basemap, facts),
            locates_walks=facts.centres is not None,
            tells_strangers=facts.compares and len(facts.held_out) > 0,
            cells=facts.centres,
            cell_m=facts.cell_m if facts.centres is not None else None,
            alike_lonlat=gallery,
            shows_photos=thumbnails and gallery is not None and locator.thumbnail(0) is not None,
            surroundings=None if basemap is None else Surroundings(basemap, frame=facts.frame),
            about={key: facts.values[key] for key in ("preset", "model", "heads", "figures") if key in facts.values},
        ),
    )


def _site(folder: Path) -> Site | None:
    try:
        return site_from_geojson((folder / SITE).read_text(encoding="utf-8"), where=safe_path(folder / SITE))
    except (OSError, ValueError, Img2GPSError):
        return None


def _basemap(folder: Path) -> Basemap | None:
    """Return the map of an export, None where it has none or none that can be read: a page is worth having without."""
    path = folder / BASEMAP
    try:
        return basemap_from_geojson(path.read_text(encoding="utf-8"), where=safe_path(path))
    except (OSError, ValueError, Img2GPSError):
        return None


def _ground(site: Site | None, basemap: Basemap | None, facts: Description) -> Ground:
    """Return the outline of the site, else where the cells lie, else a place around the origin."""
    if site is not None and site.frame == facts.frame:
        return ground_of_site(site, basemap)
    if facts.centres is not None:
        return ground_of_cells(facts.centres, facts.cell_m)
    return ground_of_points(np.zeros((1, 2)), margin_m=200.0)
