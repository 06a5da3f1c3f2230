"""`img2gps validate`: the checks of ingest, writing nothing."""

from typing import Literal

import rich_click as click

from collect.commands.reading_options import reading_options, strict_option
from img2gps.address import Place
from img2gps.console import PLACE, command, config_option, json_option


@command("validate", example="img2gps validate ~/walks/monday --site penn-engineering-quad")
@click.argument("photos", nargs=-1, required=True, type=PLACE)
@click.option("--site", required=True, help="A packaged site or a polygon (GeoJSON, KML, GeoPackage).")
@reading_options
@strict_option
@config_option
@json_option
def validate(
    photos: tuple[Place, ...],
    site: str,
    labels: tuple[Place, ...],
    gpx: tuple[Place, ...],
    clock_offset: float | Literal["auto"],
    max_accuracy: float | None,
    timeout: float,
    include_hidden: bool,
    jobs: int,
    strict: bool,
    as_json: bool,
) -> None:
    """Say what an ingest of PHOTOS would accept and reject, and why. Nothing is written.

    It decodes only files with a doubtful structure. So it is many times faster than an ingest.
    """
    from collect.api import validate as run
    from collect.ingestion.report import close

    outcomes = run(
        photos,
        site=site,
        labels=labels,
        gpx=gpx,
        clock_offset_s=clock_offset,
        max_accuracy_m=max_accuracy,
        jobs=jobs,
        timeout_s=timeout,
        include_hidden=include_hidden,
    )
    close(outcomes, title="Validation", as_json=as_json, strict=strict)
