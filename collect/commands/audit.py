"""``img2gps audit``."""

import errno
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

from img2gps.console import (
    DATASET,
    PATH,
    FiniteRange,
    cluster_option,
    command,
    config_option,
    json_option,
    print_json,
    print_text,
    say,
    stdout_is_unicode,
    warn,
)
from img2gps.text import safe_path

if TYPE_CHECKING:
    from collect.auditing.audit import AuditResult
    from img2gps.cluster_jobs import JobCluster

__all__ = ["audit"]

_READ_ONLY: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


@command("audit", example="img2gps audit quad --fail-under coverage=0.6,leakage_5m=0.05")
@click.argument("dataset", type=DATASET)
@click.option(
    "--cell", "cell_m", type=FiniteRange(1, 100_000), default=10.0, metavar="METRES", help="The side of a cell."
)
@click.option("--buildings", type=PATH, help="Polygons (GeoJSON, KML, GeoPackage) to leave out of the site.")
@click.option("--paths", type=PATH, help="Lines (GeoJSON, KML, GeoPackage) to draw behind the report's map.")
@click.option("--stops", type=click.IntRange(min=1, max=200), default=24, help="The most stops of the next walk.")
@click.option("--run", type=PATH, help="An evaluated run with folds: walk where its expected error is largest.")
@click.option("--redact", is_flag=True, help="Coarsen positions and times in the report; leave out thumbnails.")
@click.option("--fail-under", metavar="KEY=SHARE,...", help="Exit 1 below coverage, walks, headings; above leakage_5m.")
@cluster_option
@config_option
@json_option
def audit(
    dataset: Path,
    cell_m: float,
    buildings: Path | None,
    paths: Path | None,
    stops: int,
    run: Path | None,
    redact: bool,
    fail_under: str | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Report whether the site is covered, what can be trusted, and where to walk next.

    Writes audit/report.html, audit.json, walk-list.gpx and walk-list.geojson into the dataset.
    """
    from collect.api import audit as audited
    from collect.auditing.document import audit_document
    from collect.auditing.gate import check_gate, parse_thresholds
    from collect.auditing.summary import summary_lines
    from img2gps.cluster_jobs import jobs_of

    thresholds = parse_thresholds(fail_under) if fail_under is not None else {}
    with jobs_of(cluster) as workers:
        result = audited(dataset, cell_m=cell_m, buildings=buildings, stops=stops, run=run, write=False)
        failed = _written(result, redact=redact, paths=paths, workers=workers)
    if result.cells.size_m > cell_m:
        say(f"The site is large: its cells are {result.cells.size_m:g} m instead of {cell_m:g} m.")
    if as_json:
        print_json(audit_document(result))
    else:
        width = shutil.get_terminal_size((120, 40)).columns
        print_text("\n".join(summary_lines(result, unicode=stdout_is_unicode(), width=width)))
    if failed:
        warn(f"{safe_path(dataset)} cannot be written ({failed}): no report. Copy the dataset to have one.")
    else:
        say(f"Report: {safe_path(result.report_path)}")
    check_gate(result.gated, thresholds)


def _written(result: "AuditResult", *, redact: bool, paths: Path | None, workers: "JobCluster | None") -> str:
    """Write the report. Returns why that is not possible on media that may only be read, else nothing."""
    from collect.auditing.audit import write_audit

    try:
        write_audit(result, redact=redact, paths=paths, workers=workers)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return error.strerror or "read-only"
    return ""
