"""`img2gps ingest`: photos into a dataset."""

from pathlib import Path
from typing import Literal

import rich_click as click

from collect.commands.reading_options import reading_options, strict_option
from img2gps.address import Place
from img2gps.console import (
    DATASET,
    PLACE,
    cluster_option,
    command,
    command_line,
    config_option,
    dry_run_option,
    json_option,
    say,
)
from img2gps.stored_dataset import address_of, shown


@command(
    "ingest",
    example="""img2gps ingest ~/walks/monday quad --site penn-engineering-quad
img2gps ingest ~/walks/tuesday quad
img2gps ingest images campus --site campus.geojson --labels labels.csv
img2gps ingest s3://bucket/walks quad --cluster tcp://10.0.0.1:8786""",
)
@click.argument("photos", nargs=-1, required=True, type=PLACE)
@click.argument("dataset", type=DATASET)
@click.option(
    "--site",
    help="A packaged site or polygon (GeoJSON, KML, GeoPackage), for a new dataset or to change an old one's.",
)
@reading_options
@cluster_option
@click.option(
    "--photos",
    "copies",
    type=PLACE,
    metavar="FOLDER|ADDRESS",
    help="Where a new dataset keeps its working copies: a shared folder or an object store [default: DATASET/photos].",
)
@click.option("--short-side", type=click.IntRange(min=64), help="Pixels of the working copies [default: 512].")
@click.option("--rehash", is_flag=True, help="Read every file, including those that look unchanged.")
@click.option("--allow-shrink", is_flag=True, help="Let a new --site leave over a tenth of the photos outside.")
@click.option(
    "--keep-positions",
    is_flag=True,
    help="Write exact positions of photos off the site into rejected.csv. Without it: distance and direction.",
)
@dry_run_option
@strict_option
@config_option
@json_option
def ingest(
    photos: tuple[Place, ...],
    dataset: Path,
    site: str | None,
    labels: tuple[Place, ...],
    gpx: tuple[Place, ...],
    clock_offset: float | Literal["auto"],
    max_accuracy: float | None,
    timeout: float,
    include_hidden: bool,
    jobs: int,
    cluster: str | None,
    copies: Place | None,
    short_side: int | None,
    rehash: bool,
    allow_shrink: bool,
    keep_positions: bool,
    dry_run: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Add PHOTOS (files or folders) to DATASET; unusable photos are rejected with a reason.

    PHOTOS can be in object stores, on web servers and in archives: s3://, gs://, https://, zip://. DATASET is a folder,
    or lies in an object store.

    The originals are never changed. Ingesting the same photos again changes nothing.
    """
    from collect.api import ingest as run
    from collect.ingestion.report import close

    outcomes = run(
        photos,
        dataset,
        site=site,
        labels=labels,
        gpx=gpx,
        clock_offset_s=clock_offset,
        max_accuracy_m=max_accuracy,
        copies=copies,
        short_side_px=short_side,
        jobs=jobs,
        timeout_s=timeout,
        cluster=cluster,
        rehash=rehash,
        allow_shrink=allow_shrink,
        include_hidden=include_hidden,
        keep_positions=keep_positions,
        dry_run=dry_run,
        command=command_line(),
    )
    name = address_of(dataset) or dataset
    title = f"{name} (dry run: nothing was written)" if dry_run else f"{name}"
    close(outcomes, title=title, as_json=as_json, strict=strict)
    if outcomes.new + outcomes.unchanged and not (dry_run or as_json):
        words = shown(dataset)
        say(f"Next: `img2gps audit {words}` shows what they cover, `img2gps split {words}` comes before training.")
