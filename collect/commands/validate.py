"""`img2gps validate`: the checks of ingest, writing nothing."""

from pathlib import Path

import rich_click as click

from collect.commands.reading_options import options_of, reading_options, strict_option
from img2gps.console import PATH, command, config_option, json_option


@command("validate", example="img2gps validate ~/walks/monday --site penn-engineering-quad")
@click.argument("photos", nargs=-1, required=True, type=PATH)
@click.option("--site", required=True, help="A packaged site or a polygon (GeoJSON, KML, GeoPackage).")
@reading_options
@strict_option
@config_option
@json_option
def validate(photos: tuple[Path, ...], strict: bool, as_json: bool, **shared: object) -> None:
    """Say what an ingest of PHOTOS would accept and reject, and why; nothing is written.

    Pixels are decoded only where the structure of a file leaves doubt, which makes it many times faster than an ingest.
    """
    from collect.ingestion.pipeline import validate as run
    from collect.ingestion.report import close

    outcomes = run(photos, options_of(shared, command="validate"))
    close(outcomes, title="Validation", as_json=as_json, strict=strict)
