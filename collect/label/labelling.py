"""A dataset opened for labelling: where corrections go, which photos to look at first, and what the page draws."""

import dataclasses
import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from collect.label.actions import BY_LIMIT
from collect.label.page_state import PageState
from collect.label.predictions import FoldPrediction, read_predictions
from collect.label.refined import RefinedPlace, read_refined
from collect.label.review_queue import ReviewQueue
from collect.label.store import LabelStore
from collect.label.unplaced import Placer, UnplacedPhotos
from collect.layers import read_layer
from img2gps.basemap.features import Basemap
from img2gps.basemap.file import basemap_of
from img2gps.basemap.surroundings import Surroundings
from img2gps.dataset import Dataset

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = ["Labelling", "open_labelling"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """The parts that work on one dataset; `unplaced` are photos that wait for a position, where any were given."""

    store: LabelStore
    queue: ReviewQueue
    page: PageState
    unplaced: UnplacedPhotos | None = None

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        *,
        by: str,
        buildings: "list[BaseGeometry] | None" = None,
        paths: "list[BaseGeometry] | None" = None,
        predictions: Mapping[str, FoldPrediction] | None = None,
        basemap: Basemap | None = None,
        unplaced: UnplacedPhotos | None = None,
        refined: Mapping[str, RefinedPlace] | None = None,
    ) -> "Labelling":
        """Return the parts over a dataset; `by` is whose corrections are written, the layers are in degrees.

        Without `buildings`, the queue judges by those of the basemap.
        """
        store, buildings, predictions = LabelStore(dataset, by=by), buildings or [], predictions or {}
        mapped = [feature.geometry for feature in basemap.of("building")] if basemap else []
        page = PageState(
            store=store,
            buildings=buildings,
            paths=paths or [],
            predictions=predictions,
            basemap=basemap,
            surroundings=Surroundings(basemap, frame=store.site.frame) if basemap else None,
            refined=refined or {},
        )
        gross = {photo_id: place.gross for photo_id, place in (refined or {}).items()}
        queue = ReviewQueue(store, buildings=buildings or mapped, predictions=predictions, gross=gross)
        return cls(store=store, queue=queue, page=page, unplaced=unplaced)


def open_labelling(
    root: Path,
    *,
    by: str | None = None,
    run: Path | None = None,
    buildings: Path | None = None,
    paths: Path | None = None,
    photos: Path | None = None,
    placer: Placer | None = None,
) -> Labelling:
    """Return a dataset folder, open, with its layers and, from a run of ``train --folds``, predictions.

    `by` defaults to the name of the user's account. Of `photos`, those without a
    position wait for a click, and `placer` takes them in. Raises what reading each of the files raises.
    """
    dataset = Dataset.open(root)
    site = dataset.site() if buildings or paths else None
    return Labelling.of(
        dataset,
        by=(by or _account())[:BY_LIMIT],
        buildings=read_layer(buildings, kinds=("Polygon",), site=site),
        paths=read_layer(paths, kinds=("LineString", "Polygon"), site=site),
        predictions=read_predictions(run) if run else None,
        basemap=basemap_of(dataset),
        unplaced=UnplacedPhotos(dataset, photos, placer) if photos and placer else None,
        refined=read_refined(dataset),
    )


def _account() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user without a name
        return "somebody"
