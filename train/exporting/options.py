"""What an export can be asked for, and what it answers: shared by every format."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from img2gps.hub.repository import PushResult

__all__ = ["ExportOptions", "ExportResult", "Writer"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """How a run is exported.

    `half` stores weights in 16 bits. `heads` keeps these heads alone, joined by ``+``; None keeps all. `round_m` blurs
    the positions of the gallery and of the cells to a grid of so many metres; 0 leaves them. `thumbnails` puts a small
    picture of every training photo beside a gallery. `fold` exports the model of one fold.
    `onnxruntime_web` is a folder with that package, for the format ``page``; None: npm fetches it.
    `license` is a word of the Hub's list, which the format ``hub`` asks for.
    """

    half: bool = False
    heads: str | None = None
    round_m: float = 0.0
    thumbnails: bool = True
    fold: int | None = None
    onnxruntime_web: Path | None = None
    license: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What was written: the files of `out` in bytes by their names (thumbnails as one), and what to know of them.

    `notes` are sentences: what the folder gives away, what was left out. `parity` is the largest difference to the run
    in metres on `parity_photos` photos, compared on the same pixels; None where the very weights were copied. `figures`
    are those of a model that was changed by the options (``rmse_m``, ``median_m``, ...), None where it is the run's
    own. `pushed` is where the folder went, None where it stayed here.
    """

    out: Path
    format: str
    files: Mapping[str, int]
    notes: tuple[str, ...]
    parity_m: float | None
    parity_photos: int
    figures: Mapping[str, object] | None
    seconds: float
    pushed: PushResult | None = None

    def to_json(self) -> dict[str, object]:
        """Return what `img2gps export --json` prints."""
        return {
            "out": str(self.out),
            "format": self.format,
            "files": dict(self.files),
            "notes": list(self.notes),
            "parity_m": self.parity_m,
            "parity_photos": self.parity_photos,
            "figures": None if self.figures is None else dict(self.figures),
            "seconds": self.seconds,
            "pushed": None if self.pushed is None else dataclasses.asdict(self.pushed),
        }


Writer = Callable[[Path, Path, ExportOptions], ExportResult]
"""Writes the run at the first path into the second, an empty folder that exists, and returns what it did."""
