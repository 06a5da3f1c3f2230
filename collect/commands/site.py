"""`img2gps site`: a polygon of one's own, drawn or checked."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import rich_click as click

from img2gps.console import (
    PATH,
    command,
    config_option,
    dry_run_option,
    jobs_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
    warn,
)
from img2gps.text import safe_path, safe_text, shell_path

if TYPE_CHECKING:
    from collect.outlining.drawing import Drawing
    from img2gps.web.listening import ListeningAddress

__all__ = ["site"]


@command(
    "site",
    example="""img2gps site check campus.geojson
img2gps site check campus.kml --mend campus.geojson
img2gps site draw campus.geojson --on ~/walks/monday
img2gps site draw campus.geojson --on ~/walks/monday --accept --dry-run""",
)
@click.argument("action", type=click.Choice(["check", "draw"]))
@click.argument("file", metavar="FILE|NAME")
@click.option("--on", "places", type=PATH, multiple=True, help="Photos or a dataset to draw around [draw].")
@click.option("--from", "start", metavar="SITE", help="Begin with this site: a name or a file [draw].")
@click.option("--name", help="What the site is called [default: the file's name] [draw].")
@click.option("--accept", is_flag=True, help="Save the outline around the photos without a page [draw].")
@click.option("--mend", type=PATH, metavar="OUT", help="Write what can be saved of FILE to this GeoJSON [check].")
@click.option("--host", default="127.0.0.1", help="The address that the page listens on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Its port; 0 for any free one.")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@jobs_option
@dry_run_option
@config_option
@json_option
def site(
    action: Literal["check", "draw"],
    file: str,
    places: tuple[Path, ...],
    start: str | None,
    name: str | None,
    accept: bool,
    mend: Path | None,
    host: str,
    port: int,
    no_open: bool,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Check a site's FILE, or draw one over photos in the browser.

    `check` describes a polygon file (GeoJSON, KML, KMZ, GeoPackage) and what is wrong with it. It ends with 1 if --site
    would refuse the file. `draw` opens a page with the photos' positions and an outline around them. Move corners, add
    parts and holes, and save FILE, a GeoJSON for --site.
    """
    if action == "check":
        _check(file, None if dry_run else mend, as_json=as_json)
        return
    from collect.outlining.positions import new_drawing
    from img2gps.errors import UsageError
    from img2gps.site import load_site

    out = Path(file)
    if out.suffix.lower() not in (".geojson", ".json"):
        raise UsageError(f"{safe_path(out)} is no GeoJSON by its name: call it {safe_path(out.stem)}.geojson.")
    begin = load_site(start) if start else load_site(out) if out.is_file() else None
    drawing = new_drawing(out, places, begin, name=name or out.stem, jobs=jobs)
    if accept or dry_run:
        _accept(drawing, dry_run=dry_run, as_json=as_json)
    else:
        _serve(drawing, host, port, no_open=no_open, as_json=as_json)


def _check(file: str, mend: Path | None, *, as_json: bool) -> None:
    from collect.api import check_site
    from collect.outlining.check import mend_site
    from img2gps.errors import QualityGateError

    result = check_site(file)
    mended = mend_site(Path(file), mend) if mend is not None else None
    report = result.to_dict() | ({"mended": safe_path(mend)} if mend is not None and mended else {})
    if as_json:
        print_json(report)
    else:
        shown = ("name", "time_zone", "polygons", "holes", "corners", "area_m2", "width_m", "height_m", "zone_found")
        rows = [(key, safe_text(str(report[key]))) for key in shown if report.get(key) is not None]
        if rows:
            print_table(safe_path(file), ("what", "value"), rows)
        faulty = [(part.where, part.kind, part.problem) for part in result.parts if part.problem]
        if faulty and result.problem:
            print_table("Features", ("feature", "kind", "what is wrong"), faulty)
        for remark in result.remarks:
            print_text(remark)
    if mended is not None and mend is not None:
        say(f"Written to {safe_path(mend)}: look at it with `img2gps site draw {shell_path(mend)} --on PHOTOS`.")
    elif result.problem:
        raise QualityGateError(result.problem)
    elif not as_json:
        print_text(f"{safe_path(file)} is a site: `--site {shell_path(file)}` takes it.")


def _accept(drawing: "Drawing", *, dry_run: bool, as_json: bool) -> None:
    """Save the outline that the page would begin with."""
    from shapely.geometry import mapping

    start = drawing.start
    area_m2 = float(start.local_polygon.area)
    asked = {"geometry": dict(mapping(start.polygon)), "name": start.name, "time_zone": start.time_zone}
    if dry_run:
        inside = int(start.covers(drawing.lon, drawing.lat).sum()) if len(drawing.lon) else 0
        found = {"area_m2": round(area_m2, 1), "time_zone": start.time_zone}
        saved = {"file": safe_path(drawing.out), **found, "photos": len(drawing.lon), "inside": inside}
    else:
        saved = drawing.save(asked)
    if as_json:
        print_json({**saved, "dry_run": dry_run})
    else:
        word = "would be saved" if dry_run else "saved"
        print_text(
            f"{safe_path(drawing.out)} {word}: {area_m2 / 1e4:,.1f} ha, {saved['inside']:,} of "
            f"{saved['photos']:,} photos inside, time zone {saved['time_zone'] or 'unknown'}."
        )
    if dry_run:
        say("Dry run: nothing was written.")
    else:
        say(f"Next: `img2gps ingest PHOTOS DATASET --site {shell_path(drawing.out)}`.")


def _serve(drawing: "Drawing", host: str, port: int, *, no_open: bool, as_json: bool) -> None:
    """Serve the page until Ctrl-C."""
    from collect.outlining.drawing import serve_drawing
    from img2gps.web.guard import is_loopback

    def started(address: "ListeningAddress") -> None:
        """Say where the page is, warn where others can reach it, and open a browser."""
        if as_json:
            print_json({"url": address.url, "host": address.host, "port": address.port})
        say(f"Draw {safe_path(drawing.out)}: {address.url} (Ctrl-C ends it)")
        if not is_loopback(address.host):
            warn("This page can be reached from other machines, and traffic is not encrypted: keep its address secret.")
        if not no_open and _has_screen():
            click.launch(address.url)

    serve_drawing(drawing, host=host, port=port, started=started)
    if drawing.out.is_file():
        say(f"Ended. `img2gps ingest PHOTOS DATASET --site {shell_path(drawing.out)}` takes the site.")
    else:
        say("Ended; nothing was saved.")


def _has_screen() -> bool:
    """Return whether a browser has somewhere to open."""
    return sys.platform in ("win32", "darwin") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
