"""README.md of a published dataset: the YAML that the Hub reads, and the text that people read."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from collect.publishing.columns import PUBLISHED_COLUMNS, hub_features
from collect.publishing.facts import DatasetFacts
from collect.publishing.parquet_files import Shard, ShardFacts
from collect.publishing.privacy_words import privacy_lines
from img2gps import __version__
from img2gps.hub.yaml_text import yaml_text
from img2gps.report.page import as_percent
from img2gps.text import format_count, join_words, safe_text

__all__ = ["CardWords", "card_text"]

_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TAGS: Final = ("geospatial", "geoparquet", "image", "image-geolocation", "visual-place-recognition", "img2gps")
_CONFIGS: Final = {"default": ("train", "validation", "test"), "set_aside": ("excluded", "unassigned")}
_HOW: Final = {
    "walk": "Whole walks are held out: no photo of a walk that was judged on was learnt from.",
    "cell": "Squares of 20 m are held out, and what lies within 10 m around them is set aside.",
    "random": "Groups are held out at random: the same places are in every split, seen at other moments.",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CardWords:
    """What the publisher says: the licence in the Hub's spelling, the title, who is to be cited, and a text."""

    license: str
    title: str
    authors: tuple[str, ...] = ()
    description: str = ""


def card_text(
    words: CardWords, facts: DatasetFacts, written: Mapping[Shard, ShardFacts], redaction: Sequence[str]
) -> str:
    """Return README.md; `redaction` are sentences about what was made unrecognisable."""
    lines = [
        f"# {safe_text(words.title)}",
        "",
        *_introduction(words, facts),
        *_use(facts),
        *_collection(facts),
        *_coverage(facts),
        *_splits(facts),
        *privacy_lines(facts, redaction),
        *_limits(facts),
        "## Columns",
        "",
        "| column | meaning |",
        "|---|---|",
        *(f"| `{column.name}` | {column.about} |" for column in PUBLISHED_COLUMNS),
        "",
        "## Citation",
        "",
        "`CITATION.cff` says how to cite this dataset; `croissant.json` describes it to programs (Croissant 1.0 with",
        "the geospatial extension).",
        "",
        f"Written by img2gps {__version__} from the dataset itself.",
    ]
    return f"---\n{yaml_text(_front_matter(words, facts, written))}---\n\n" + "\n".join(lines) + "\n"


def _front_matter(words: CardWords, facts: DatasetFacts, written: Mapping[Shard, ShardFacts]) -> dict[str, object]:
    size = next((word for limit, word in _SIZES if facts.photos < limit), "n>1M")
    configs = {name: [part for part in parts if part in facts.parts] for name, parts in _CONFIGS.items()}
    listed = {name: parts for name, parts in configs.items() if parts}
    return {
        "license": words.license,
        "pretty_name": safe_text(words.title),
        "size_categories": [size],
        "tags": list(_TAGS),
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": part, "path": f"data/{part}-*.parquet"} for part in parts],
                **({"default": True} if name == "default" else {}),
            }
            for name, parts in listed.items()
        ],
        "dataset_info": [_info(name, parts, facts, written) for name, parts in listed.items()],
    }


def _info(
    name: str, parts: Sequence[str], facts: DatasetFacts, written: Mapping[Shard, ShardFacts]
) -> dict[str, object]:
    splits = [
        {
            "name": part,
            "num_bytes": sum(done.rows_bytes for shard, done in written.items() if shard.part == part),
            "num_examples": len(facts.parts[part]),
        }
        for part in parts
    ]
    return {
        "config_name": name,
        "features": hub_features(),
        "splits": splits,
        "download_size": sum(done.bytes for shard, done in written.items() if shard.part in parts),
        "dataset_size": sum(int(str(split["num_bytes"])) for split in splits),
    }


def _introduction(words: CardWords, facts: DatasetFacts) -> Iterator[str]:
    place = safe_text(facts.site.title or facts.site.name)
    yield f"{format_count(facts.photos, 'photo')} of {place}, each with the place that it was taken at."
    yield "Made to train and to test models that place a photo on the site from its pixels alone."
    yield ""
    if words.description:
        yield from (safe_text(line.rstrip(), limit=5000) for line in words.description.strip().splitlines())
        yield ""


def _use(facts: DatasetFacts) -> Iterator[str]:
    first = next(iter(facts.parts))
    yield from ("## Use", "", "```python", "from datasets import load_dataset", "")
    yield 'photos = load_dataset("FOLDER_OR_OWNER/NAME")'
    yield f'print(photos["{first}"][0]["lon"], photos["{first}"][0]["lat"], photos["{first}"][0]["image"].size)'
    yield from ("", "import geopandas", "")
    columns = '["geometry", "walk", "captured_at"]'
    yield f'print(geopandas.read_parquet("data/{first}-00000-of-00001.parquet", columns={columns}))'
    yield from ("```", "", "```sh", "img2gps fetch FOLDER_OR_OWNER/NAME quad   # a dataset that `img2gps train` takes")
    yield from ("img2gps train quad", "```", "")


def _collection(facts: DatasetFacts) -> Iterator[str]:
    yield from ("## How it was collected", "")
    when = f", from {facts.days[0]} to {facts.days[1]}" if facts.days else ""
    devices, walks = format_count(facts.devices, "phone"), format_count(facts.walks, "walk")
    yield f"{walks} with {devices}{when} (UTC). Positions are those of the phones; every file was judged against the"
    yield "site's outline (`site.geojson`), and what has no position, or one off the site, is not here."
    if facts.accuracy_m:
        low, middle, high = facts.accuracy_m
        known = facts.photos - facts.accuracy_unknown
        yield f"{format_count(known, 'photo')} tell how far off the phone thought it was: {middle:.0f} m in the median,"
        yield f"{low:.0f} to {high:.0f} m for eight in ten."
    else:
        yield "No photo tells how far off the phone thought it was."
    fixes = facts.corrections
    if fixes.photos:
        moved = f", {fixes.moved_median_m:.0f} m in the median" if fixes.moved_median_m is not None else ""
        yield f"People looked at {format_count(fixes.photos, 'position')} and moved {fixes.move}{moved}."
    yield ""


def _coverage(facts: DatasetFacts) -> Iterator[str]:
    west, south, east, north = facts.bounds
    shares, light = facts.shares, facts.conditions
    yield from ("## Site, coverage, conditions", "")
    yield f"The site has {facts.area_m2:,.0f} m² to walk on; the photos lie between {south:.5f}, {west:.5f} and"
    yield f"{north:.5f}, {east:.5f} (latitude, longitude). In cells of {facts.cell_m:g} m:"
    yield from ("", "| cells | share |", "|---|---|")
    yield f"| with a photo | {as_percent(shares.visited)} |"
    yield f"| with three photos or more | {as_percent(shares.coverage)} |"
    yield f"| with two walks or more | {as_percent(shares.walks)} |"
    yield f"| seen in four directions or more | {as_percent(shares.headings)} |"
    seasons = join_words([f"{count} in {name}" for name, count in light.seasons.items() if count]) or "none dated"
    yield from (
        "",
        f"Photos by season: {seasons}; on {format_count(light.days, 'day')}; {light.after_dark} after dark.",
    )
    yield f"{light.heading_unknown} have no heading, {light.time_unknown} no time."
    yield ""


def _splits(facts: DatasetFacts) -> Iterator[str]:
    yield from ("## Splits, and why they do not leak", "", "| part | photos | walks | groups |", "|---|---|---|---|")
    for part, photos in facts.parts.items():
        walks, groups = len({photo.walk for photo in photos}), len({photo.group for photo in photos})
        yield f"| {part} | {len(photos)} | {walks} | {groups} |"
    yield ""
    if not facts.split or not any(name in facts.parts for name in ("validation", "test")):
        yield "Nothing is held out: split by `group` at least, better by `walk`, before a score is believed."
    else:
        by = str(facts.split.get("by"))
        yield f"Split by {safe_text(by)}. {_HOW.get(by, '')}"
        yield "Bursts, equal positions and near-duplicates form a `group`; groups with photos in two splits:"
        yield f"{facts.torn_groups}."
        if facts.leakage is not None and facts.leakage.within_m.get(5) is not None:
            leak = facts.leakage
            yield f"Of the held-out photos {as_percent(leak.within_m[5])} have a training photo within 5 m"
            yield f"({as_percent(leak.within_m_same_walk[5])} one of their own walk); pairs of near-duplicates across"
            yield f"splits: {leak.near_duplicates}; walks in more than one split: {leak.walks}."
    if "excluded" in facts.parts:
        yield "Photos that were set aside so that nothing leaks are in the config `set_aside`."
    if facts.folds:
        yield f"The column `fold` deals the photos to {facts.folds} folds of a cross-validation."
    yield ""


def _limits(facts: DatasetFacts) -> Iterator[str]:
    yield from ("## Known limits", "")
    yield "- Positions are those of phones, off by 5 to 50 m beside buildings: an error against them counts both."
    if facts.devices < 3:
        yield f"- {format_count(facts.devices, 'phone')}: other phones see other colours, and report other errors."
    if facts.conditions.days < 3:
        yield f"- {format_count(facts.conditions.days, 'day')}: other days, light and seasons are harder."
    yield "- Everything here is of one site: a model of it places photos from anywhere on this site."
    yield "- Buildings and signs change; photos do not."
    yield "- A model that compares photos (a retrieval model, such as the presets `default` and `quick`) holds the"
    yield "  positions of its training photos: who publishes it publishes them, however coarse the positions here are."
    yield ""
