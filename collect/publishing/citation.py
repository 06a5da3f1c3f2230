"""CITATION.cff: how to cite a published dataset (Citation File Format 1.2.0)."""

from datetime import date

from collect.publishing.card import CardWords
from collect.publishing.facts import DatasetFacts
from img2gps.hub.licenses import spdx_of
from img2gps.hub.yaml_text import yaml_text
from img2gps.text import safe_text

__all__ = ["citation_text"]


def citation_text(words: CardWords, facts: DatasetFacts, published: date) -> str:
    """Return CITATION.cff; without authors, those who collected the site's photos are cited as a group."""
    site = safe_text(facts.site.title or facts.site.name)
    authors = [{"name": safe_text(author)} for author in words.authors or (f"The photographers of {site}",)]
    spdx = spdx_of(words.license)
    document = {
        "cff-version": "1.2.0",
        "message": "If you use this dataset, please cite it as below.",
        "type": "dataset",
        "title": safe_text(words.title),
        "authors": authors,
        "date-released": published.isoformat(),
        "keywords": ["image geolocation", "visual place recognition", "geospatial"],
        **({"license": spdx} if spdx else {}),
    }
    return yaml_text(document)
