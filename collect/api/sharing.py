"""A dataset that leaves the laptop, and one that comes: published, fetched."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collect.api.arguments import DatasetOrPath, Paths, as_path, as_paths, opened, root_of

if TYPE_CHECKING:
    from collect.publishing.card import CardWords
    from collect.publishing.fetch import FetchResult
    from collect.publishing.publish import PublishResult
    from img2gps.dataset import Dataset
    from img2gps.hub.models import FetchedModel

__all__ = ["fetch", "fetch_model", "publish"]


def publish(
    dataset: DatasetOrPath,
    out: str | Path,
    *,
    license: str,  # noqa: A002  the Hub's word
    title: str | None = None,
    authors: Sequence[str] = (),
    description: str = "",
    round_m: float | None = None,
    hours: bool = False,
    redact_people: bool = False,
    detectors: Paths = (),
    boxes: str | Path | None = None,
    hide_from: float | None = None,
    also: Sequence[str] = (),
    push: str | None = None,
    private: bool = False,
    dry_run: bool = False,
) -> "PublishResult":
    """Write a dataset as a folder that the Hugging Face Hub shows: what ``img2gps publish`` does.

    `license` is a word of the Hub's list, such as ``cc-by-4.0``. `title`, `authors` and `description` go into the card
    and the citation. `round_m` puts positions on a grid of so many metres, `hours` cuts times to the hour. Names,
    serial numbers, original files and EXIF are never written.

    `redact_people` looks for faces (with the extra ``redact``). `detectors` are ONNX files for plates or people, and
    `boxes` is a CSV of regions drawn by a person. All become coarse mosaics. What a detector finds is hidden from the
    score `hide_from` on (0.1..1, else 0.15): a lower one hides more people, and more else. The dataset's
    redaction.json keeps what was found.

    `also` are ``gpkg``, ``csv``, ``stac``. `push` is ``OWNER/NAME`` on the Hub (with the extra ``hub``); `private`
    makes a new repository there private. `dry_run` writes and uploads nothing.

    Raises UsageError, NotFoundError, InvalidDatasetError, DatasetLockedError, and the OSError of a disk or the network.

        >>> from collect import publish
        >>> result = publish("quad", "quad-published", license="cc-by-4.0", round_m=5)
        >>> result.photos == sum(result.parts.values())
        True
    """
    from dataclasses import replace

    from collect.publishing.also import check_also
    from collect.publishing.publish import PublishOptions, publish_dataset, redaction_of
    from collect.publishing.rows import Coarseness
    from img2gps.hub.repository import check_hub_name, check_private, push_folder, require_hub

    source = opened(dataset)
    options = PublishOptions(
        words=_words(source, license, title, authors, description),
        coarseness=Coarseness(round_m=round_m, hours=hours),
        also=check_also(also),
        redaction=redaction_of(as_paths(detectors), as_path(boxes), hide_from, redact_people=redact_people),
    )
    check_private(push, private=private)
    if push is not None:
        check_hub_name(push)
        require_hub()
    result = publish_dataset(source, Path(out), options, dry_run=dry_run)
    if push is None or dry_run:
        return result
    return replace(result, pushed=push_folder(Path(out), push, private=private))


def _words(
    source: "Dataset", license_word: str, title: str | None, authors: Sequence[str], description: str
) -> "CardWords":
    from collect.publishing.card import CardWords
    from img2gps.hub.licenses import check_license

    site = source.site()
    return CardWords(
        license=check_license(license_word),
        title=title or f"{site.title or site.name}: photos and where they were taken",
        authors=tuple(authors),
        description=description,
    )


def fetch(source: str | Path, dataset: DatasetOrPath, *, dry_run: bool = False) -> "FetchResult":
    """Bring a published dataset back as a new dataset, splits, folds and groups as they were: ``img2gps fetch``.

    `source` is a folder that `publish` wrote, or ``OWNER/NAME`` on the Hub (with the extra ``hub``). `dry_run` makes no
    dataset. Raises NotFoundError, UsageError, InvalidDatasetError, and the OSError of a disk or of the network.

        >>> from collect import fetch, publish
        >>> published = publish("quad", "published", license="cc0-1.0")
        >>> fetch("published", "fetched").photos == published.photos
        True
    """
    from collect.publishing.fetch import fetch_folder
    from img2gps.hub.repository import download_folder, is_hub_name
    from img2gps.text import safe_path

    folder = Path(source)
    if not folder.exists() and is_hub_name(str(source)):
        folder = download_folder(str(source))
    return fetch_folder(folder, root_of(dataset), source=safe_path(Path(source)), dry_run=dry_run)


def fetch_model(source: str | Path, run: str | Path, *, dry_run: bool = False) -> "FetchedModel":
    """Bring a published model back as the new folder of a run: what ``img2gps fetch`` does of a model's repository.

    `source` is a folder that ``img2gps export --format hub`` wrote, or ``OWNER/NAME`` on the Hub (with the extra
    ``hub``). `predict`, `serve`, `verify` and `evaluate --on` take the run. Raises NotFoundError, UsageError,
    InvalidDatasetError, and the OSError of a disk or of the network.
    """
    from img2gps.hub.models import MODEL_FILES, copy_model
    from img2gps.hub.repository import download_folder, is_hub_name
    from img2gps.text import safe_path

    folder = Path(source)
    if not folder.exists() and is_hub_name(str(source)):
        folder = download_folder(str(source), kind="model", patterns=MODEL_FILES)
    return copy_model(folder, Path(run), source=safe_path(Path(source)), dry_run=dry_run)
