"""The map under everything: what stands on a site and around it, kept in the dataset as ``basemap.parquet``.

`read_basemap` and `write_basemap` are the file, `Basemap` its content. `describe_place` says in words where a place is,
and `Surroundings` does so for many. `Ways` finds the way on foot between them. `ground_columns` is what the pages' map
draws, `draw_basemap` the same in a plot.
"""

from typing import TYPE_CHECKING

from img2gps.lazy import lazy_names

if TYPE_CHECKING:
    from img2gps.basemap.features import CLASSES, Basemap, MapFeature
    from img2gps.basemap.file import basemap_of, read_basemap, write_basemap
    from img2gps.basemap.ground import ground_columns
    from img2gps.basemap.picture import draw_basemap
    from img2gps.basemap.surroundings import Surroundings, Whereabouts, describe_place
    from img2gps.basemap.ways import Ways, WayTable

__all__ = [
    "CLASSES",
    "Basemap",
    "MapFeature",
    "Surroundings",
    "WayTable",
    "Ways",
    "Whereabouts",
    "basemap_of",
    "describe_place",
    "draw_basemap",
    "ground_columns",
    "read_basemap",
    "write_basemap",
]

_MODULES = {
    "features": ("CLASSES", "Basemap", "MapFeature"),
    "file": ("basemap_of", "read_basemap", "write_basemap"),
    "ground": ("ground_columns",),
    "picture": ("draw_basemap",),
    "surroundings": ("Surroundings", "Whereabouts", "describe_place"),
    "ways": ("WayTable", "Ways"),
}

__getattr__, __dir__ = lazy_names(
    __name__, {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}
)
