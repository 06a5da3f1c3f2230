"""``img2gps basemap``."""

from pathlib import Path

import rich_click as click

from img2gps.console import (
    PATH,
    FiniteRange,
    command,
    config_option,
    dry_run_option,
    json_option,
    print_json,
    print_table,
    say,
)
from img2gps.stored_dataset import address_of, shown
from img2gps.text import format_count, safe_path

__all__ = ["basemap"]


@command(
    "basemap",
    example=(
        "img2gps basemap quad\nimg2gps basemap quad --osm pennsylvania.osm.pbf\n"
        "img2gps basemap quad --layer building=buildings.geojson --layer campus.gpkg"
    ),
)
@click.argument("target", metavar="DATASET|SITE", type=str)
@click.option("--osm", type=PATH, help="An extract of OpenStreetMap (.osm, .osm.pbf); needs no network.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="[CLASS=]FILE",
    help="A layer of your own: GeoJSON, KML, GeoPackage, or another basemap.parquet. May be given several times.",
)
@click.option("--margin", "margin_m", type=FiniteRange(0, 2000), default=100.0, help="Metres around the site.")
@click.option("--attribution", default="", metavar="TEXT", help="What every page must say about your layers.")
@click.option("--licence", default="", metavar="TEXT", help="The terms of your layers.")
@click.option("--server", metavar="URL", help="Another Overpass server, such as https://overpass.example.org/api.")
@click.option("--out", type=PATH, help="Write to this file.  [default: DATASET/basemap.parquet]", show_default=False)
@config_option
@dry_run_option
@json_option
def basemap(
    target: str,
    osm: Path | None,
    layers: tuple[str, ...],
    margin_m: float,
    attribution: str,
    licence: str,
    server: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fetch the map of a site: buildings, paths, roads, green, water, walls, trees and doors.

    Asks OpenStreetMap, unless --osm or --layer gives the map. The label page, the audit and the evaluation draw it.
    """
    from collect.api import basemap as run

    report = run(
        target,
        osm=osm,
        layers=layers,
        margin_m=margin_m,
        attribution=attribution,
        licence=licence,
        server=server,
        out=out,
        dry_run=dry_run,
    )
    if as_json:
        print_json(report.to_dict())
    else:
        print_table(report.basemap.source, ("class", "features"), list(report.basemap.counts().items()))
    if report.basemap.attribution:
        say(f"Every page that shows this map says: {report.basemap.attribution}")
    count = format_count(len(report.basemap), "feature")
    root, name = report.path.parent, report.path.name
    where = f"{shown(root)}/{name}" if address_of(root) else safe_path(report.path)
    say(f"{count} {'written to' if report.written else 'would be written to'} {where}.")
