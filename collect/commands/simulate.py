"""`img2gps simulate`: raw photos of a generated campus."""

from pathlib import Path

import rich_click as click

from img2gps.console import (
    PATH,
    FiniteRange,
    command,
    config_option,
    dry_run_option,
    jobs_option,
    json_option,
    print_json,
    print_table,
    say,
    seed_option,
)


@command(
    "simulate",
    example="img2gps simulate practice --photos 240\n"
    "img2gps ingest practice/photos practice-set --site penn-engineering-quad",
)
@click.argument("out", type=PATH)
@click.option("--photos", type=click.IntRange(min=1), default=240, help="Good photos; bad files come on top.")
@click.option(
    "--site",
    default="penn-engineering-quad",
    help="A packaged site or polygon (GeoJSON, KML, GeoPackage) to build in.",
)
@click.option(
    "--campus-seed",
    type=click.IntRange(min=0),
    show_default="that of --seed",
    help="Which campus; with another --seed it is another visit to the same one.",
)
@click.option(
    "--bad-share",
    type=FiniteRange(0, 1),
    default=0.07,
    help="Bad files per good photo: redacted, truncated, outside the site and so on.",
)
@click.option(
    "--gps-noise-m",
    type=FiniteRange(0, 10_000),
    default=8.0,
    help="Median horizontal error of positions; it drifts along a walk, as a receiver's does.",
)
@click.option("--size", type=click.IntRange(min=64, max=4096), default=640, help="Longer side of a photo in pixels.")
@click.option(
    "--masks",
    is_flag=True,
    help="Write what each pixel shows (building, vegetation, ground, sky, person, vehicle, sign) to OUT/masks.",
)
@click.option(
    "--passers-by",
    type=FiniteRange(0, 20),
    default=0.0,
    help="Add this many times the usual people, and vehicles on the paths; they move from walk to walk.",
)
@click.option(
    "--stops",
    type=PATH,
    metavar="FILE",
    help="One walk to the stops of an audit's walk-list.geojson, whatever --photos says. The site must be the same.",
)
@seed_option
@jobs_option
@config_option
@dry_run_option
@json_option
def simulate(
    out: Path,
    photos: int,
    site: str,
    campus_seed: int | None,
    bad_share: float,
    gps_noise_m: float,
    size: int,
    masks: bool,
    passers_by: float,
    stops: Path | None,
    seed: int,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Render walks through a generated campus into OUT: photos as phones store them, with some bad files.

    OUT/photos is what a phone would hold. OUT/truth.csv has the true places. OUT/basemap.parquet is the map of the
    campus, for `img2gps basemap --layer`. Use the photos for practice, tests and benchmarks. They say nothing about a
    real site.
    """
    from collect.api import simulate as run

    report = run(
        out,
        photos=photos,
        site=site,
        seed=seed,
        campus_seed=campus_seed,
        bad_share=bad_share,
        gps_noise_m=gps_noise_m,
        size=size,
        masks=masks,
        passers_by=passers_by,
        stops=stops,
        jobs=jobs,
        dry_run=dry_run,
    )
    if as_json:
        print_json(report.to_dict())
        return
    title = f"{report.walks} walks on {report.days} days with {len(report.devices)} devices"
    print_table(title, ("files", "count"), sorted(report.kinds.items(), key=lambda item: (item[0] != "good", item[0])))
    say(
        "Dry run: nothing was written." if dry_run else f"Photos in {out / 'photos'}, the truth in {out / 'truth.csv'}."
    )
