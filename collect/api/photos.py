"""From photos to a dataset: taken in, judged, diagnosed; and photos to practise on."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from collect.api.arguments import DatasetOrPath, Paths, Places, as_paths, as_places, root_of
from img2gps.address import Place, place_of
from img2gps.errors import MissingSiteError

if TYPE_CHECKING:
    from collect.diagnosis.diagnose import Diagnosis
    from collect.ingestion.outcomes import Outcomes
    from collect.simulation.simulate import SimulationReport

__all__ = ["doctor", "ingest", "simulate", "validate"]


def ingest(
    photos: Places,
    dataset: DatasetOrPath,
    *,
    site: str | Place | None = None,
    labels: Places = (),
    gpx: Places = (),
    clock_offset_s: float | Literal["auto"] = 0.0,
    max_accuracy_m: float | None = None,
    copies: str | Place | None = None,
    short_side_px: int | None = None,
    jobs: int = 1,
    timeout_s: float = 60.0,
    cluster: str | None = None,
    rehash: bool = False,
    allow_shrink: bool = False,
    include_hidden: bool = False,
    keep_positions: bool = False,
    dry_run: bool = False,
    command: str = "ingest",
) -> "Outcomes":
    """Take photos (files or folders) into a dataset and return what became of each: what ``img2gps ingest`` does.

    Photos, site, labels and tracks may lie at addresses of object stores, web servers and archives (``s3://``). `site`
    is a packaged name or a file with a polygon. A new dataset needs one; in an older one it changes the polygon.
    `allow_shrink` lets a new polygon leave over a tenth of the photos outside. `labels` and `gpx` are tables and tracks
    with positions. `clock_offset_s` is added to the camera's clock for tracks; ``"auto"`` finds it. `max_accuracy_m`
    rejects positions with a worse reported accuracy. `copies` is where a new dataset keeps its working copies, if not
    in its folder: another folder, or an object store (``s3://bucket/copies``). `short_side_px` is that of the working
    copies (512 in a new dataset). `jobs` is the number of worker processes, `timeout_s` what one file may take.
    `cluster` names other machines to read on, such as ``"tcp://10.0.0.1:8786"``. `rehash` also reads files that look
    unchanged; `include_hidden` includes trash, thumbnails and unfinished files. `keep_positions` writes exact positions
    off the site to rejected.csv. `dry_run` writes nothing. ingests.jsonl keeps `command` as what was run.
    Raises NotFoundError, UsageError, InvalidDatasetError, DatasetLockedError, and the OSError of a disk that is full.

        >>> from collect import ingest
        >>> outcomes = ingest("campus/photos", "quad", site="penn-engineering-quad")
        >>> outcomes.found == outcomes.new + outcomes.unchanged + outcomes.duplicate + outcomes.skipped + sum(
        ...     outcomes.rejected.values())
        True
    """
    from collect.ingestion.options import IngestOptions
    from collect.ingestion.pipeline import ingest as run
    from collect.ingestion.side_files import with_local_side_files

    options = IngestOptions(
        clock_offset_s=clock_offset_s,
        max_accuracy_m=max_accuracy_m,
        copies=place_of(copies) if copies is not None else None,
        short_side_px=short_side_px,
        jobs=jobs,
        timeout_s=timeout_s,
        cluster=cluster,
        rehash=rehash,
        allow_shrink=allow_shrink,
        include_hidden=include_hidden,
        keep_positions=keep_positions,
        dry_run=dry_run,
        command=command,
    )
    places = as_places(photos)
    try:
        with with_local_side_files(options, site=site, labels=as_places(labels), gpx=as_places(gpx)) as options:
            return run(places, root_of(dataset), options)
    except MissingSiteError as error:
        from collect.outlining.positions import positions_of
        from collect.outlining.proposal import missing_site

        raise missing_site(root_of(dataset), places, str(error), *positions_of(places, jobs=jobs)) from error


def validate(
    photos: Places,
    *,
    site: str | Place,
    labels: Places = (),
    gpx: Places = (),
    clock_offset_s: float | Literal["auto"] = 0.0,
    max_accuracy_m: float | None = None,
    jobs: int = 1,
    timeout_s: float = 60.0,
    include_hidden: bool = False,
) -> "Outcomes":
    """Return what an ingest of photos would accept and reject; nothing is written: what ``img2gps validate`` does.

    The settings are those of `ingest`. Raises NotFoundError and UsageError.

        >>> from collect import validate
        >>> validate("campus/photos", site="penn-engineering-quad").new > 0
        True
    """
    from collect.ingestion.options import IngestOptions
    from collect.ingestion.pipeline import validate as run
    from collect.ingestion.side_files import with_local_side_files

    options = IngestOptions(
        clock_offset_s=clock_offset_s,
        max_accuracy_m=max_accuracy_m,
        jobs=jobs,
        timeout_s=timeout_s,
        include_hidden=include_hidden,
    )
    with with_local_side_files(options, site=site, labels=as_places(labels), gpx=as_places(gpx)) as options:
        return run(as_places(photos), options)


def doctor(
    photos: Paths = (),
    *,
    site: str | Path | None = None,
    jobs: int = 1,
    include_hidden: bool = False,
    models: bool = False,
) -> "Diagnosis":
    """Check the environment, and say for each folder of photos what is wrong: what ``img2gps doctor`` does.

    Without a `site`, any position will do. `include_hidden` looks into trash and thumbnails, too. `models` also
    tells which weights of networks lie on this machine, without asking a network. Raises NotFoundError.

        >>> from collect import doctor
        >>> diagnosis = doctor("campus/photos", site="penn-engineering-quad")
        >>> diagnosis.usable < diagnosis.files
        True
    """
    from collect.diagnosis.diagnose import diagnose

    return diagnose(as_paths(photos), site=site, jobs=jobs, include_hidden=include_hidden, models=models)


def simulate(
    out: str | Path,
    *,
    photos: int = 240,
    site: str | Path = "penn-engineering-quad",
    seed: int = 0,
    campus_seed: int | None = None,
    bad_share: float = 0.07,
    gps_noise_m: float = 8.0,
    size: int = 640,
    masks: bool = False,
    passers_by: float = 0.0,
    stops: str | Path | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
) -> "SimulationReport":
    """Render walks through a generated campus into the new folder `out`: what ``img2gps simulate`` does.

    `photos` is the number of good ones; `bad_share` of that are added as unusable files. `seed` draws the walks, and
    `campus_seed` the campus (None: the same as `seed`). `gps_noise_m` is the median error of positions, `size` the
    longer side of a photo in pixels. `jobs` is the number of processes (None: one per CPU). `masks` writes what
    each pixel shows. `passers_by` adds that many times the usual people, and vehicles on the paths. `stops` is a
    walk list (walk-list.geojson of an audit): one walk to its stops, whatever `photos` is. `dry_run` writes nothing.
    Raises UsageError, NotFoundError.

        >>> from collect import simulate
        >>> simulate("practice", photos=12, size=96, jobs=1).kinds["good"]
        12
    """
    from collect.simulation.phones.guided import read_stops
    from collect.simulation.simulate import simulate as render
    from img2gps.progress import bar
    from img2gps.site import load_site

    ground = load_site(site)
    listed = read_stops(Path(stops), ground.frame) if stops else ()
    with bar("Rendering", None) as advance:
        return render(
            Path(out),
            photos=photos,
            seed=seed,
            site=ground,
            campus_seed=campus_seed,
            bad_share=bad_share,
            gps_noise_m=gps_noise_m,
            long_side_px=size,
            masks=masks,
            passers_by=passers_by,
            stops=listed,
            jobs=jobs,
            dry_run=dry_run,
            advance=advance,
        )
