"""The dataset folder: where its files lie, how it is opened, locked and read as a frame."""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from img2gps.corrections import Correction, newest, read_corrections
from img2gps.errors import DatasetLockedError, InvalidDatasetError, NotFoundError, UsageError
from img2gps.files import sha256_file
from img2gps.geo import geodesic_m
from img2gps.locks import hold
from img2gps.manifest import ManifestInfo, read_table
from img2gps.progress import stderr
from img2gps.refined import read_refinement
from img2gps.site import Site, read_site
from img2gps.site_file import is_edited
from img2gps.stored_dataset import address_of, local_root, publish, refresh
from img2gps.text import format_count, safe_path, safe_text, shell_path
from img2gps.working_copies import FolderCopies, WorkingCopies, copies_of

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Dataset", "frame_info"]

_TOLD: Final[set[tuple[Path, str, str]]] = set()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset folder (see docs/explanation/architecture.md for what each file is)."""

    root: Path
    copies: WorkingCopies = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look where the working copies lie. Raises InvalidDatasetError where that is not told."""
        object.__setattr__(self, "copies", copies_of(self.root))

    def __fspath__(self) -> str:
        """Return the folder: what takes a path takes this, too."""
        return str(self.root)

    @classmethod
    def open(cls, root: str | Path) -> "Dataset":
        """Return an existing dataset: a folder, or an address such as ``s3://bucket/quad``.

        Raises NotFoundError, InvalidDatasetError, or UsageError where a store cannot be read.
        """
        root = local_root(root)
        refresh(root)
        address = address_of(root)
        if not root.exists() or (address is not None and not (root / "manifest.parquet").exists()):
            where = safe_text(str(address)) if address else safe_path(root)
            words = where if address else shell_path(root)
            raise NotFoundError(f"No dataset at {where}: make one with `img2gps ingest PHOTOS {words}`.")
        dataset = cls(root=root)
        for path in (dataset.site_path, dataset.manifest_path):
            if not path.is_file():
                raise InvalidDatasetError(
                    f"{safe_path(root)} is not a dataset, {path.name} is missing: "
                    "give the folder that `img2gps ingest` made."
                )
        return dataset

    @property
    def site_path(self) -> Path:
        """The polygon that the photos were judged against."""
        return self.root / "site.geojson"

    @property
    def manifest_path(self) -> Path:
        """One row per accepted photo."""
        return self.root / "manifest.parquet"

    @property
    def outside_path(self) -> Path:
        """The rows of photos that a redrawn site left outside; absent where there are none."""
        return self.root / "outside.parquet"

    @property
    def rejected_path(self) -> Path:
        """The latest outcome of each distinct file that was not accepted."""
        return self.root / "rejected.csv"

    @property
    def sources_path(self) -> Path:
        """What was seen where: an index that can be rebuilt."""
        return self.root / "sources.parquet"

    @property
    def photos_path(self) -> Path:
        """The folder of the working copies; empty or absent where they lie in an object store."""
        return self.copies.root if isinstance(self.copies, FolderCopies) else self.root / "photos"

    @property
    def ingests_path(self) -> Path:
        """One line per ingest."""
        return self.root / "ingests.jsonl"

    @property
    def corrections_path(self) -> Path:
        """Label corrections, append-only."""
        return self.root / "corrections.csv"

    @property
    def basemap_path(self) -> Path:
        """Buildings, paths and green of the site (`img2gps.basemap`); absent where nobody asked for them."""
        return self.root / "basemap.parquet"

    @property
    def forgotten_path(self) -> Path:
        """The hashes of photos that must not come back."""
        return self.root / "forgotten.txt"

    @property
    def refined_path(self) -> Path:
        """The folder of positions that models refined (`img2gps.refined`)."""
        return self.root / "refined"

    @property
    def audit_path(self) -> Path:
        """The folder of the audit's report."""
        return self.root / "audit"

    def photo_path(self, photo_id: str) -> Path:
        """Return where the working copy of a photo lies; one in an object store is fetched when it is opened."""
        return self.copies.path(photo_id)

    def photo_paths(self, ids: Iterable[str]) -> list[Path]:
        """Return where the working copies of photos lie; from an object store many are fetched at once."""
        return self.copies.paths(map(str, ids))

    def site(self) -> Site:
        """Return the site. Raises InvalidDatasetError where its file is damaged."""
        try:
            return read_site(self.site_path)
        except UsageError as error:
            raise InvalidDatasetError(f"{error}") from error

    def tell_changed_site(self, info: ManifestInfo) -> None:
        """Say on stderr, once, where site.geojson is not as it was when the photos were judged by it.

        A person may edit that file. Whoever reads it uses the new content; the photos are judged by it at the next
        ingest.
        """
        site = self.site()
        judged = site.sha256 == info.site_sha256 and site.name == info.site_name
        told = (self.root.resolve(), site.sha256, f"{site.name}\0{site.title}")
        if told in _TOLD or (judged and not is_edited(self.site_path)):
            return
        if (self.root / "site.next.geojson").exists():  # an ingest at work
            return
        _TOLD.add(told)
        where = safe_path(self.site_path)
        again = f"`img2gps ingest PHOTOS {shell_path(self.root)} --site {shell_path(self.site_path)}`"
        if judged:
            words = f"{where} was changed after it was written: confirm it with {again}, or restore it."
        else:
            words = f"{where} was changed since the photos were judged by it: judge them again with {again}, or "
            words += "restore it."
        stderr().print(words, markup=False)

    def changed_copies(self, ids: Iterable[str], photo_sha256s: Iterable[str]) -> list[Path]:
        """Return the working copies whose bytes are not those of the manifest; missing ones are not among them."""
        wanted = dict(zip(map(str, ids), map(str, photo_sha256s), strict=True))
        paths = dict(zip(wanted, self.photo_paths(wanted), strict=True))
        changed = [one for one, path in paths.items() if path.is_file() and sha256_file(path) != wanted[one]]
        # what a cache holds may be older than what the store does
        return [paths[one] for one in changed if sha256_file(self.copies.renewed(one)) != wanted[one]]

    def tell_changed_copies(self, ids: Iterable[str], photo_sha256s: Iterable[str]) -> None:
        """Say on stderr how many working copies have changed since the ingest."""
        changed = self.changed_copies(ids, photo_sha256s)
        if changed:
            count = format_count(len(changed), "working copy was", "working copies were")
            where = f"such as {safe_path(changed[0])}: run `img2gps verify {shell_path(self.root)}`"
            stderr().print(f"{count} changed after ingest, {where}.", markup=False)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the dataset for writing. Raises DatasetLockedError at once where another process holds it.

        A dataset in an object store is brought up to date first. What was written is committed there at the end. That
        raises DatasetLockedError where another machine was faster.
        """
        with self._held():
            refresh(self.root, locked=True)
            yield
            self.publish()

    def publish(self) -> None:
        """Commit what was written to a dataset in an object store; the caller holds the lock. Raises as `lock` does."""
        publish(self.root)

    def _held(self) -> contextlib.AbstractContextManager[None]:
        busy = f"{safe_path(self.root)} is being written by another process: wait until it has finished."
        return hold(self.root / ".lock", otherwise=DatasetLockedError(busy))

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep others from writing to a dataset that is read, where anybody ever wrote to it: a lock is a file."""
        with contextlib.ExitStack() as stack:
            if (self.root / ".lock").exists():
                with contextlib.suppress(OSError):  # read-only media: nobody writes there
                    stack.enter_context(self._held())
            yield

    def frame(self, *, labels: Literal["gps", "refined"] = "gps") -> "gpd.GeoDataFrame":
        """Return the manifest with corrections applied, as a GeoDataFrame in EPSG:4326 indexed 0..N-1.

        These columns are added to those of `img2gps.manifest.COLUMNS`:

        - `lon`, `lat`: degrees, corrected; `ingest_lon`, `ingest_lat`, `ingest_heading_deg`: as ingested
        - `moved_m`: metres between the two positions
        - `label_state`: "" | move | unsure | exclude | confirm
        - `stored_split`: the split before exclusions

        `geometry`, `heading_deg` and `gps_source` follow the correction. Excluded photos have the split ``excluded``.
        `frame_info` returns what the manifest says about itself.

        With `labels` ``refined``, photos have `lon` and `lat` of the newest refinement, unless a person moved or
        confirmed them. `refined_radius_m` is the 90 % radius (NaN: not refined). Raises NotFoundError if nothing was
        refined, and UsageError for other `labels`.
        """
        if labels not in ("gps", "refined"):
            raise UsageError(f"No labels {safe_text(str(labels))!r}: choose gps or refined.")
        import geopandas as gpd
        import shapely

        table, info = read_table(self.manifest_path)
        self.tell_changed_site(info)
        points = shapely.from_wkb(table.column("geometry").to_pylist())
        data = table.drop_columns(["geometry"]).to_pandas()
        data["ingest_lon"], data["ingest_lat"] = shapely.get_x(points), shapely.get_y(points)
        data["ingest_heading_deg"] = data["heading_deg"]
        _correct(data, newest(read_corrections(self.corrections_path)))
        if labels == "refined":
            _refine(data, read_refinement(self.refined_path).rows)
        data["moved_m"] = geodesic_m(data["ingest_lon"], data["ingest_lat"], data["lon"], data["lat"])
        geometry = shapely.points(np.asarray(data["lon"], dtype=np.float64), np.asarray(data["lat"], dtype=np.float64))
        frame = gpd.GeoDataFrame(data, geometry=geometry, crs="EPSG:4326")
        frame.attrs["manifest"] = json.dumps(dataclasses.asdict(info))
        return frame


def _correct(data: "pd.DataFrame", latest: Mapping[str, Correction]) -> None:
    """Give the manifest's rows the corrected columns (see `Dataset.frame`), whole columns at once."""
    found = [latest.get(photo_id) for photo_id in data["id"]]
    placed = np.array([entry is not None and entry.lon is not None for entry in found], dtype=bool)
    turned = np.array([entry is not None and entry.heading_deg is not None for entry in found], dtype=bool)
    excluded = np.array([entry is not None and entry.action == "exclude" for entry in found], dtype=bool)
    for name in ("lon", "lat"):
        data[name] = data[f"ingest_{name}"]
        data.loc[placed, name] = [getattr(entry, name) for entry, here in zip(found, placed, strict=True) if here]
    data.loc[turned, "heading_deg"] = [entry.heading_deg for entry in found if entry and entry.heading_deg is not None]
    data.loc[turned, "heading_ref"] = "T"
    data.loc[placed, "gps_source"] = "correction"
    data["stored_split"] = data["split"]
    data.loc[excluded, "split"] = "excluded"
    data.loc[excluded, "split_reason"] = "excluded by a correction"
    data["label_state"] = [entry.action if entry else "" for entry in found]


def _refine(data: "pd.DataFrame", rows: "pd.DataFrame") -> None:
    """Give the manifest's rows refined positions, but where a person told one."""
    known = rows.set_index("id").reindex(data["id"])
    free = known["lon"].notna().to_numpy() & ~data["label_state"].isin(("move", "confirm")).to_numpy()
    for name in ("lon", "lat"):
        data[name] = np.where(free, known[name].to_numpy(), data[name].to_numpy())
    data["refined_radius_m"] = np.where(free, known["radius_90_m"].to_numpy(), np.nan)


def frame_info(frame: "gpd.GeoDataFrame") -> ManifestInfo:
    """Return what the manifest behind a frame of `Dataset.frame` says about itself."""
    return ManifestInfo(**json.loads(frame.attrs["manifest"]))
