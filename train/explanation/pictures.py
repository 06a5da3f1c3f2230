"""The explanation of a photo as a picture: red parts place it there, blue ones speak for other places."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup
from PIL import Image

from img2gps.answers import Prediction
from img2gps.files import write_atomic
from img2gps.pixels import Pixels
from img2gps.report.page import render_page
from img2gps.text import safe_text
from train.explanation.matches import MatchedPhotos, side_by_side
from train.explanation.occlusion import Occlusion
from train.explanation.photos import ExplainedPhoto

__all__ = ["PAGE", "overlay", "write_matches", "write_pictures"]

PAGE: Final = "explanation.html"
_TEMPLATE: Final = Path(__file__).parent / "explanation.j2"
_MATCHES: Final = Path(__file__).parent / "why.j2"
_FOR: Final = np.array([214.0, 40.0, 40.0])
_AGAINST: Final = np.array([40.0, 90.0, 214.0])
_STRONGEST: Final = 0.65
_PALE: Final = 0.35  # of their strength: parts that may be chance
_LEAST: Final = 1e-9


def overlay(picture: Pixels, occlusion: Occlusion) -> Image.Image:
    """Return a photo in grey with its parts in red and blue, as strong as they matter beside the strongest.

    Parts that are not above noise are pale, where that is known.
    """
    importance = occlusion.importance
    strength = np.clip(np.abs(importance) / max(float(np.abs(importance).max()), _LEAST), 0, 1)[..., None] * _STRONGEST
    if occlusion.above is not None:
        strength = np.where(occlusion.above[..., None], strength, _PALE * strength)
    grey = np.repeat(picture.astype(np.float64).mean(axis=0)[..., None], 3, axis=2)
    colour = np.where(importance[..., None] > 0, _FOR, _AGAINST)
    return Image.fromarray((grey * (1 - strength) + colour * strength).astype(np.uint8))


def write_matches(page: Path, matches: Sequence[MatchedPhotos | None], answers: Sequence[Prediction]) -> None:
    """Write one offline page with each photo beside its best match; `answers` are those of the same photos."""
    cards, unread = [], []
    for match, answer in zip(matches, answers, strict=True):
        if match is None:
            unread.append(f"{answer.file}: {answer.error or 'its match cannot be read'}")
            continue
        name = safe_text(match.path.name, limit=80)
        cards.append({"match": match, "answer": answer, "name": name, "picture": _text(_png(side_by_side(match)))})
    html = render_page(_MATCHES, title="What these photos match", cards=cards, unread=unread)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, html.encode("utf-8"))


def write_pictures(
    folder: Path, photos: Sequence[ExplainedPhoto], matches: Sequence[MatchedPhotos | None] | None = None
) -> Path:
    """Write a PNG per photo and one offline page that shows them all; return the page.

    `matches` are the training photos most like each, where the model compares photos.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cards = []
    for number, photo in enumerate(photos, start=1):
        match = None if matches is None else matches[number - 1]
        if photo.picture is None or photo.occlusion is None:
            continue
        png = _png(overlay(photo.picture, photo.occlusion))
        write_atomic(folder / f"{number:04d}-{_stem(photo.path)}.png", png)
        seen = _png(Image.fromarray(photo.picture.transpose(1, 2, 0)))
        cards.append(
            {
                "photo": photo,
                "name": safe_text(photo.path.name, limit=80),
                "map": _text(png),
                "seen": _text(seen),
                "match": match,
                "matched": None if match is None else _text(_png(side_by_side(match))),
            }
        )
    unread = [safe_text(f"{photo.path.name}: {photo.error}") for photo in photos if photo.error is not None]
    html = render_page(_TEMPLATE, title="What places these photos", cards=cards, unread=unread)
    write_atomic(folder / PAGE, html.encode("utf-8"))
    return folder / PAGE


def _stem(path: Path) -> str:
    return "".join(char if char.isalnum() or char in "-_" else "_" for char in path.stem)[:60]


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _text(content: bytes) -> Markup:
    return Markup(base64.b64encode(content).decode("ascii"))  # noqa: S704 - base64 holds no markup
