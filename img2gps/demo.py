"""The whole loop on a generated campus: a script of the commands a user would type.

Each step is echoed and then run by its name through the root command, exactly as typed. The figures of the closing
block are read from the files that those commands write, not computed here.
"""

import contextlib
import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from img2gps.errors import UsageError
from img2gps.files import read_json_lines
from img2gps.progress import stderr
from img2gps.reasons import REASONS
from img2gps.text import format_count, format_duration, safe_path, shell_path

__all__ = ["DemoReport", "closing_block", "run_demo"]

Run = Callable[[list[str]], None]

# The figures of an evaluation; its file also holds every photo, for the map of its report.
_EVALUATION_KEYS = (
    *("run", "dataset", "split", "photos", "rmse_m", "mean_m", "median_m", "p90_m", "within_m"),
    *("intervals", "mean_predictor"),
)
_CAMPUS, _DATASET, _RUNS = "campus", "quad", "runs"
# Small enough for a laptop's two cores; the study's own size and length are what `--preset published` does alone.
_RESNET = "train quad --preset published --size 112 --epochs 12 --name resnet18"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What the demo found: the keys of ``demo --json``, and where everything lies."""

    photos: int
    rejected: dict[str, int]
    runs: dict[str, dict[str, Any]]
    dataset: str
    folder: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report under the keys of the output contract."""
        return dataclasses.asdict(self)


def run_demo(run: Run, *, photos: int, out: Path, seed: int) -> DemoReport:
    """Run every step in the new folder `out` and return what came of it.

    `run` takes the words of one command, without the program's name. Raises UsageError where `out` is no new or
    empty folder: a demo must not mix with somebody's own photos.
    """
    _make_folder(out)
    started = time.monotonic()
    held_out = _held_out_photos(photos)
    # The commands' own tables are the story here; stdout is kept for the closing block or the JSON.
    with contextlib.chdir(out), contextlib.redirect_stdout(sys.stderr):
        _tell(f"This demo renders {photos} photos of a campus that does not exist and runs the whole loop on them.")
        _echo(f"cd {shlex.quote(str(out))}")
        for comment, line in _script(photos, held_out, seed):
            _tell(f"\n# {comment}")
            _echo(f"img2gps {line}")
            run(shlex.split(line))
        sample = _held_out_photo(Path(_DATASET))
        _tell("\n# Where was this photo, which neither model has seen, taken?")
        _echo(f"img2gps predict {_RUNS}/quick {sample}")
        run(["predict", f"{_RUNS}/quick", str(sample)])
        ingest = read_json_lines(Path(_DATASET) / "ingests.jsonl")[-1]
        figures = {name: _figures(Path(_RUNS) / name) for name in ("resnet18", "quick")}
    return DemoReport(
        photos=ingest["counts"]["new"],
        rejected=ingest["counts"]["rejected"],
        runs=figures,
        dataset=str(out / _DATASET),
        folder=str(out),
        seconds=round(time.monotonic() - started, 1),
    )


def _make_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{safe_path(out)} is a file and the demo needs a folder: name a new one with --out.")
    if out.exists() and any(out.iterdir()):
        # `--out ""` means the current folder, too
        where = "The current folder" if out.samefile(Path.cwd()) else safe_path(out)
        raise UsageError(f"{where} is not empty and the demo needs a folder of its own: name a new one with --out.")
    out.mkdir(parents=True, exist_ok=True)


def closing_block(report: DemoReport) -> str:
    """Return the demo's last words: the figures, where things lie, and what to type next."""
    refused = sum(report.rejected.values())
    mean = report.runs["quick"]["mean_predictor"]
    rows = [("always the mean position", mean)]
    rows += [
        ("ResNet-18 from scratch, 12 short epochs", report.runs["resnet18"]),
        ("preset quick", report.runs["quick"]),
    ]
    lines = [
        "",
        f"Done in {format_duration(report.seconds)}. The photos are rendered: these figures say that the loop works,",
        "not how well it does on a real site.",
        "",
        f"{format_count(report.photos, 'photo')} accepted, {refused} refused on purpose:",
        *(f"  {count:3d}  {reason}: {REASONS[reason].text}" for reason, count in sorted(report.rejected.items())),
        "",
        f"{'On walks held out of training':42s} {'RMSE':>8s} {'median':>8s}",
        *(f"  {name:40s} {row['rmse_m']:6.1f} m {row['median_m']:6.1f} m" for name, row in rows),
        "",
        f"Dataset  {report.dataset}",
        f"Runs     {report.folder}/{_RUNS}/resnet18 and {report.folder}/{_RUNS}/quick",
        f"Audit    {report.dataset}/audit/report.html",
        f"Report   {report.folder}/{_RUNS}/quick/evaluations/{_DATASET}-test/report.html",
        "",
        "See it answer, on a page that takes photos (from phones, too, with --host 0.0.0.0):",
        f"  img2gps serve {shell_path(f'{report.folder}/{_RUNS}/quick')}",
        "",
        "Now your own photos (originals, copied by cable or AirDrop; your site's outline as GeoJSON):",
        "  img2gps ingest PHOTOS quad --site SITE.geojson && img2gps split quad && img2gps train quad --preset quick",
    ]
    return "\n".join(lines)


def _script(photos: int, held_out: int, seed: int) -> list[tuple[str, str]]:
    """Return (what it is for, the words after ``img2gps``) for each step."""
    return [
        (
            "Field photos: six walks and more, two phones, and some files that no dataset should take.",
            f"simulate {_CAMPUS} --photos {photos} --seed {seed}",
        ),
        (
            "Read their EXIF, judge it against the site's polygon, keep upright copies free of metadata.",
            f"ingest {_CAMPUS}/photos {_DATASET} --site penn-engineering-quad",
        ),
        (
            "A map under everything: this campus has its own; for a real site `img2gps basemap` asks OpenStreetMap.",
            f"basemap {_DATASET} --layer {_CAMPUS}/basemap.parquet",
        ),
        (
            "Hold out two whole walks or more, so that no burst is on both sides. All others train: so few "
            "photos are worth more there than for validation.",
            f"split {_DATASET} --by walk --val 0 --test {held_out} --seed {seed}",
        ),
        (
            "The published recipe, small: a ResNet-18 from scratch.",
            f"{_RESNET} --seed {seed}",
        ),
        (
            "What to begin with on photos of your own: pretrained features, light heads.",
            f"train {_DATASET} --preset quick --name quick --seed {seed}",
        ),
        ("Score both on the held-out walks, in metres.", f"evaluate {_RUNS}/resnet18"),
        ("", f"evaluate {_RUNS}/quick"),
        ("Is the site covered, what can be trusted, and where to walk next?", f"audit {_DATASET}"),
        (
            f"Which positions to look at first? `img2gps label {_DATASET}` shows them on a map, in the browser.",
            f"label {_DATASET} --queue",
        ),
    ]


def _held_out_photos(photos: int) -> int:
    """Return how many photos to hold out: two walks or a quarter of all, whichever is more.

    `simulate` takes six walks or more, of 30 photos each where there are enough. On a single one, one photo that
    is taken for a look-alike across the campus weighs as much as all others together.
    """
    return min(photos // 3, max(60, photos // 4))


def _held_out_photo(dataset: Path) -> Path:
    from img2gps.dataset import Dataset
    from img2gps.splits import in_split

    frame = in_split(Dataset.open(dataset).frame(), "test")
    return dataset / str(frame["file_name"].iloc[0])


def _figures(run: Path) -> dict[str, Any]:
    evaluation: dict[str, Any] = json.loads((run / "evaluations" / f"{_DATASET}-test" / "evaluation.json").read_text())
    return {key: evaluation[key] for key in _EVALUATION_KEYS}


def _tell(text: str) -> None:
    if text.strip("\n# "):
        stderr().print(text, style="dim", markup=False)


def _echo(line: str) -> None:
    stderr().print(f"$ {line}", style="bold", markup=False)
