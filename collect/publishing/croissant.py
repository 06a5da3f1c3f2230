"""croissant.json: a published dataset as Croissant 1.0 metadata with the geospatial extension.

Specifications: https://docs.mlcommons.org/croissant/docs/croissant-spec.html and croissant-geo-spec.html.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from collect.publishing.card import CardWords
from collect.publishing.columns import PUBLISHED_COLUMNS
from collect.publishing.facts import DatasetFacts
from collect.publishing.parquet_files import Shard
from img2gps.hub.licenses import license_url
from img2gps.text import format_count, safe_text

__all__ = ["croissant_document"]

_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "geocr": "http://mlcommons.org/croissant/geo/",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES: Final = {
    "image": "sc:ImageObject",
    "string": "sc:Text",
    "strings": "sc:Text",
    "float64": "sc:Float",
    "int32": "sc:Integer",
    "timestamp": "sc:DateTime",
    "binary": "sc:Text",
}


def croissant_document(
    words: CardWords, facts: DatasetFacts, digests: Mapping[Shard, str], published: date
) -> dict[str, Any]:
    """Return the document; `digests` are the SHA-256 of the Parquet files, whose addresses are relative to it."""
    west, south, east, north = facts.bounds
    site = safe_text(facts.site.title or facts.site.name)
    files = [_file(shard, digest) for shard, digest in digests.items()]
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": safe_text(words.title),
        "description": f"{format_count(facts.photos, 'photo')} of {site}, each with the place that it was taken at.",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/geo/1.0"],
        "license": license_url(words.license),
        "url": "./",
        "version": "1.0.0",
        "datePublished": published.isoformat(),
        "citeAs": _bibtex(words, site, published),
        "keywords": ["geospatial", "image geolocation", "visual place recognition"],
        "creator": [{"@type": "sc:Organization", "name": safe_text(name)} for name in words.authors]
        or [{"@type": "sc:Organization", "name": f"The photographers of {site}"}],
        "spatialCoverage": {
            "@type": "sc:Place",
            "geo": {"@type": "sc:GeoShape", "box": f"{south:.7f} {west:.7f} {north:.7f} {east:.7f}"},
        },
        "geocr:coordinateReferenceSystem": "EPSG:4326",
        "geocr:samplingStrategy": "Walks with phones over the site; whole walks, cells or groups are held out.",
        "distribution": files,
        "recordSet": [_record_set(shard, list(digests)) for shard in digests],
    }
    if facts.days:
        document["temporalCoverage"] = f"{facts.days[0].isoformat()}/{facts.days[1].isoformat()}"
    return document


def _file(shard: Shard, digest: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": shard.name,
        "name": shard.name,
        "contentUrl": shard.name,
        "encodingFormat": "application/x-parquet",
        "sha256": digest,
    }


def _record_set(shard: Shard, shards: list[Shard]) -> dict[str, Any]:
    """Return the rows of one file; they are called as their part where that has one file alone."""
    files = [other.name for other in shards if other.part == shard.part]
    name = shard.part if len(files) == 1 else f"{shard.part}-{files.index(shard.name):05d}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"Photos of the part {shard.part}.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column.name}",
                "name": column.name,
                "description": column.about,
                "dataType": _TYPES[column.kind],
                **({"repeated": True} if column.kind == "strings" else {}),
                "source": {
                    "fileObject": {"@id": shard.name},
                    "extract": {"column": column.name},
                    **({"transform": {"jsonPath": "bytes"}} if column.kind == "image" else {}),
                },
            }
            for column in PUBLISHED_COLUMNS
        ],
    }


def _bibtex(words: CardWords, site: str, published: date) -> str:
    authors = " and ".join(f"{{{safe_text(name)}}}" for name in words.authors or (f"The photographers of {site}",))
    return f"@misc{{img2gps, author={{{authors}}}, title={{{safe_text(words.title)}}}, year={{{published.year}}}}}"
