"""A dataset written as a folder that the Hugging Face Hub shows: data first, then what describes them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from collect.publishing.also import ALSO, write_also
from collect.publishing.card import CardWords, card_text
from collect.publishing.citation import citation_text
from collect.publishing.croissant import croissant_document
from collect.publishing.facts import DatasetFacts, facts_of
from collect.publishing.folder import RECORD, PublishedRecord, check_target, digests_of, new_folder, sizes_of
from collect.publishing.parquet_files import Shard, ShardFacts, plan_shards, write_shard
from collect.publishing.pictures import PictureSource, WorkingCopies
from collect.publishing.redaction.detection import Detector, face_detector, file_detector
from collect.publishing.redaction.looking import add_boxes, look, read_boxes, redaction_facts, redaction_sentences
from collect.publishing.redaction.pictures import RedactedCopies
from collect.publishing.redaction.review import ReviewDesk
from collect.publishing.rows import Coarseness, PublishedRows, rows_of
from img2gps import __version__
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.files import write_atomic, write_json
from img2gps.hub.repository import PushResult
from img2gps.manifest import photos_of, read_table
from img2gps.progress import bar
from img2gps.redactions import UNSURE, Redactions
from img2gps.site_file import site_bytes
from img2gps.text import format_count, safe_path, shell_path
from img2gps.types import Photo

__all__ = ["PublishOptions", "PublishResult", "Redaction", "publish_dataset", "redaction_of", "review_desk"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What looks for people, from which score on a region is hidden, and a CSV of regions that a person drew."""

    detectors: tuple[Detector, ...] = ()
    boxes: Path | None = None
    lowest: float = UNSURE


def redaction_of(
    files: Sequence[Path], boxes: Path | None, hide_from: float | None, *, redact_people: bool
) -> Redaction | None:
    """Return what looks for people: CenterFace, ONNX `files`, `boxes`; None where nothing is to be looked for.

    `hide_from` is the score from which on a region is hidden, None for the usual one. Raises UsageError, NotFoundError.
    """
    faces = (face_detector(),) if redact_people else ()
    found = (*faces, *(file_detector(path) for path in files))
    if hide_from is not None and not found:
        raise UsageError("--hide-from is a score of detectors: give --redact-people or --detector, too.")
    if not found and not boxes:
        return None
    return Redaction(detectors=found, boxes=boxes, lowest=UNSURE if hide_from is None else hide_from)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """How a dataset is published: `also` are further formats (`ALSO`), `redaction` how people are looked for."""

    words: CardWords
    coarseness: Coarseness = dataclasses.field(default_factory=Coarseness)
    also: tuple[str, ...] = ()
    redaction: Redaction | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """What was published, or would be: photos of each part, the bytes of each file (None: not known beforehand).

    `excluded` counts the photos that stayed behind because a person excluded them, `redacted` the regions that were
    made unrecognisable in `redacted_photos`. `pushed` is where it went, None where it stayed here.
    """

    out: Path
    dry_run: bool
    photos: int
    parts: Mapping[str, int]
    files: Mapping[str, int | None]
    excluded: int = 0
    redacted: int = 0
    redacted_photos: int = 0
    pushed: PushResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``publish --json``."""
        return dataclasses.asdict(self) | {"out": safe_path(self.out)}


def publish_dataset(dataset: Dataset, out: Path, options: PublishOptions, *, dry_run: bool = False) -> PublishResult:
    """Write the published folder `out`, or with `dry_run` say what it would hold.

    An `out` that an earlier call wrote is replaced in one step. Raises UsageError, InvalidDatasetError, OSError.
    """
    check_target(out, dataset.root)
    site = dataset.site()
    rows = rows_of(dataset, site, options.coarseness)
    facts = facts_of(dataset, rows, options.coarseness, site)
    shards = plan_shards(facts.parts, _sizes(dataset, rows))
    parts = {name: len(photos) for name, photos in facts.parts.items()}
    result = PublishResult(out=out, dry_run=dry_run, photos=facts.photos, parts=parts, files={}, excluded=rows.excluded)
    if dry_run:
        if options.redaction is not None and options.redaction.boxes is not None:
            read_boxes(_published_photos(dataset, rows), options.redaction.boxes)
        beside = ["CITATION.cff", "README.md", "croissant.json", RECORD, "site.geojson"]
        beside += [ALSO[name][0] for name in options.also]
        names = sorted([*beside, *(shard.name for shard in shards)])
        return dataclasses.replace(result, files=dict.fromkeys(names))
    pictures: PictureSource = WorkingCopies(dataset=dataset, sha256s=rows.copies, phashes=rows.phashes)
    found = None
    if options.redaction is not None:
        redactions, found = _look(dataset, rows, options.redaction)
        pictures = RedactedCopies(source=pictures, redactions=redactions)
    with new_folder(out) as draft:
        written = _write_data(draft, shards, pictures, facts.photos)
        write_atomic(draft / "site.geojson", site_bytes(site))
        digests = digests_of(draft)
        today = datetime.now(UTC).date()
        _write_words(draft, options, facts, written, digests, today, redaction_sentences(found) if found else [])
        write_also(draft, options.also)
        record = dataclasses.replace(_record(rows, facts, digests, today), redaction=found, also=options.also)
        write_json(draft / RECORD, dataclasses.asdict(record))
        sizes = sizes_of(draft)
    return dataclasses.replace(
        result,
        files=sizes,
        redacted=sum(done.redacted for done in written.values()),
        redacted_photos=sum(done.redacted_photos for done in written.values()),
    )


def _look(dataset: Dataset, rows: PublishedRows, redaction: Redaction) -> tuple[Redactions, dict[str, Any]]:
    """Return the regions of what is published, and what is told of them."""
    photos = _published_photos(dataset, rows)
    if redaction.boxes is not None:
        add_boxes(dataset, photos, redaction.boxes)
    redactions = look(dataset, photos, redaction.detectors, lowest=redaction.lowest)
    ids = sorted(photo.id for photo in photos)
    return redactions, redaction_facts(redactions, ids, redaction.detectors, lowest=redaction.lowest)


def _published_photos(dataset: Dataset, rows: PublishedRows) -> list[Photo]:
    """Return the manifest's photos that are published."""
    ids = {photo.id for photo in rows.photos}
    return [photo for photo in photos_of(read_table(dataset.manifest_path)[0]) if photo.id in ids]


def review_desk(dataset: Dataset, redaction: Redaction | None) -> ReviewDesk:
    """Return the desk of a person who looks at the regions; what was not looked at yet is looked at first."""
    rows = rows_of(dataset, dataset.site(), Coarseness())
    _look(dataset, rows, redaction or Redaction())
    return ReviewDesk(dataset=dataset, photos=_published_photos(dataset, rows))


def _sizes(dataset: Dataset, rows: PublishedRows) -> dict[str, int]:
    """Return the bytes of the working copies. Raises InvalidDatasetError where one is missing."""
    sizes = {}
    paths = dataset.photo_paths(photo.id for photo in rows.photos)
    for photo, path in zip(rows.photos, paths, strict=True):
        try:
            sizes[photo.id] = path.stat().st_size
        except FileNotFoundError as error:
            verify = f"run `img2gps verify {shell_path(dataset.root)}`"
            raise InvalidDatasetError(f"{safe_path(path)} is missing: {verify}.") from error
    return sizes


def _write_data(draft: Path, shards: list[Shard], pictures: PictureSource, photos: int) -> dict[Shard, ShardFacts]:
    with bar(f"Writing {format_count(photos, 'photo')}", photos) as advance:
        return {shard: write_shard(draft, shard, pictures, done=lambda: advance(1)) for shard in shards}


def _write_words(
    draft: Path,
    options: PublishOptions,
    facts: DatasetFacts,
    written: Mapping[Shard, ShardFacts],
    digests: Mapping[str, str],
    today: date,
    redaction: Sequence[str],
) -> None:
    """Write what describes the data: to people, to the Hub, to programs."""
    words = options.words
    document = croissant_document(words, facts, {shard: digests[shard.name] for shard in written}, today)
    write_json(draft / "croissant.json", document)
    write_atomic(draft / "CITATION.cff", citation_text(words, facts, today).encode())
    write_atomic(draft / "README.md", card_text(words, facts, written, redaction).encode())


def _record(rows: PublishedRows, facts: DatasetFacts, digests: Mapping[str, str], today: date) -> PublishedRecord:
    info = rows.info
    options = {key: value for key, value in (info.split or {}).items() if not key.endswith("_sha256")}
    return PublishedRecord(
        site_name=facts.site.name,
        site_sha256=facts.site.sha256,
        short_side_px=info.short_side_px,
        published_on=today.isoformat(),
        photos=facts.photos,
        parts={name: len(photos) for name, photos in facts.parts.items()},
        files=dict(digests),
        excluded=rows.excluded,
        split=json.loads(json.dumps(options)) or None,
        coarseness=dataclasses.asdict(facts.coarseness),
        tool_version=__version__,
    )
