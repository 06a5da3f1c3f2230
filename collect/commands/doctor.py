"""`img2gps doctor`: the environment, and why photos would fail."""

from pathlib import Path

import rich_click as click

from img2gps.console import PATH, command, config_option, jobs_option, json_option, print_json, print_table, print_text

_NOTHING_WRONG = "Everything is ready for an ingest."
_OTHER_WEIGHTS = "Others need a network once: docs/guides/backbones.md says how to bring DINOv2 or MegaLoc."
_NO_PHOTO = "No photo was found there: give the folder that holds them (links to other folders are not followed)."


@command("doctor", example="""img2gps doctor
img2gps doctor --models
img2gps doctor ~/walks/monday --site penn-engineering-quad""")  # fmt: skip
@click.argument("photos", nargs=-1, type=PATH)
@click.option("--site", help="A packaged site or polygon (GeoJSON, KML, GeoPackage); without it, any position will do.")
@click.option("--include-hidden", is_flag=True, help="Include recycle bins and folders of thumbnails.")
@click.option("--models", is_flag=True, help="List the weights of networks on this machine, and how to use each.")
@jobs_option
@config_option
@json_option
def doctor(
    *, photos: tuple[Path, ...], site: str | None, include_hidden: bool, models: bool, jobs: int, as_json: bool
) -> None:
    """Check this machine, and say what is wrong with PHOTOS, folder by folder, and what to do."""
    from collect.api import doctor as run
    from collect.diagnosis.diagnose import sentences
    from img2gps.text import format_count

    report = run(photos, site=site, jobs=jobs, include_hidden=include_hidden, models=models)
    if as_json:
        print_json(report.to_dict())
        return
    rows = [(check.name, check.value, check.advice or "fine") for check in report.environment]
    print_table("Environment", ("what", "found", "advice"), rows)
    if report.models is not None:
        weights = [(found.source, found.name, f"{found.bytes / 1e6:,.0f} MB", found.use) for found in report.models]
        print_table("Weights", ("from", "what", "size", "use it with"), weights)
        print_text(_OTHER_WEIGHTS)
    if photos:
        print_text(f"\n{format_count(report.files, 'file')}, {format_count(report.usable, 'usable photo')}")
        for sentence in sentences(report.findings):
            print_text(f"- {sentence}")
        if not report.findings:
            print_text(_NOTHING_WRONG if report.usable else _NO_PHOTO)
