"""From uploads to answers: decoded in workers, located in turns, written as `predict` writes them."""

import asyncio
import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from img2gps.answers import Prediction, is_sure, is_unfamiliar, predictions_json
from img2gps.errors import UsageError
from img2gps.serving.backend import DecodedPhoto, Located, ServedModel
from img2gps.serving.decoding import Decoders
from img2gps.serving.turns import Turns
from img2gps.serving.uploads import Upload

__all__ = ["Answers", "detailed_rows", "locate_uploads", "unsure_beyond_m"]

_SHARE_LEVELS: Final = 255


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One prediction per photo, in their order, and what the model says of each; None where it could not be read."""

    predictions: list[Prediction]
    located: list[Located | None]


async def locate_uploads(uploads: Sequence[Upload], *, walk: bool, decoders: Decoders, turns: Turns) -> Answers:
    """Return the answers to photos. Raises Img2GPSError where the model cannot."""
    names = [upload.name for upload in uploads]
    found = await asyncio.gather(*(_decoded(upload, decoders) for upload in uploads))
    shots = [one for one in found if isinstance(one, DecodedPhoto)]
    answers: list[Located] = await asyncio.wrap_future(turns.locate(shots, walk=walk)) if shots else []
    following = iter(answers)
    located = [next(following) if isinstance(one, DecodedPhoto) else None for one in found]
    predictions = [
        _prediction(name, row, one if isinstance(one, str) else None)
        for name, row, one in zip(names, located, found, strict=True)
    ]
    return Answers(predictions=predictions, located=located)


async def _decoded(upload: Upload, decoders: Decoders) -> DecodedPhoto | str:
    found = await asyncio.wrap_future(decoders.decode(upload.data))
    upload.data = bytearray()  # decoded: its bytes are not needed, nor kept
    return found


def _prediction(name: str, located: Located | None, error: str | None) -> Prediction:
    if located is None:
        return Prediction(file=name, lon=None, lat=None, radius_50_m=None, radius_90_m=None, error=error)
    return Prediction(
        file=name,
        lon=located.lon,
        lat=located.lat,
        radius_50_m=located.radius_50_m,
        radius_90_m=located.radius_90_m,
        familiarity=located.familiarity,
        error=None,
    )


def detailed_rows(answers: Answers, model: ServedModel, *, abstain_m: float | None) -> list[dict[str, Any]]:
    """Return the rows of ``predict --json`` with what the page draws beside them.

    `verdict` is ``here``, ``unsure`` or ``elsewhere``. `shares` (C,) is the distribution over the cells of /v1/model,
    in parts of 255 of its largest. `alike` are the training photos that look most like it. `place` says in words where
    it is, for a site with a map.
    """
    rows = predictions_json(answers.predictions)
    for row, prediction, located in zip(rows, answers.predictions, answers.located, strict=True):
        if located is not None:
            row["verdict"] = _verdict(prediction, abstain_m)
            row["shares"] = _shares(located)
            row["place"] = None if model.surroundings is None else model.surroundings.at(located.lon, located.lat).text
            row["alike"] = [_alike(number, model) for number in located.alike]
    return rows


def _verdict(prediction: Prediction, abstain_m: float | None) -> str:
    if is_unfamiliar(prediction):
        return "elsewhere"
    return "unsure" if is_sure(prediction, abstain_m) is False else "here"


def _shares(located: Located) -> list[int] | None:
    if located.probs is None:
        return None
    levels: list[int] = np.rint(located.probs * (_SHARE_LEVELS / max(located.probs.max(), 1e-12))).astype(int).tolist()
    return levels


def _alike(number: int, model: ServedModel) -> dict[str, Any]:
    row: dict[str, Any] = {"photo": number}
    if model.alike_lonlat is not None:
        lon, lat = model.alike_lonlat[number].tolist()
        row |= {"lon": lon, "lat": lat}
    if model.shows_photos:
        row["url"] = f"v1/photos/{number}"
    return row


def unsure_beyond_m(model: ServedModel) -> float | None:
    """Return the radius of a disc as large as a third of the model's cells: a wider region says hardly anything.

    None where the model has no distribution.
    """
    if model.cells is None or model.cell_m is None:
        return None
    return round(math.sqrt(len(model.cells) * model.cell_m**2 / (3 * math.pi)), 1)


def needs_regions(model: ServedModel) -> None:
    """Raise UsageError where a model gives points alone, which cannot be located as walks."""
    if not model.locates_walks:
        raise UsageError("This model locates photos one by one: leave walk out.")
