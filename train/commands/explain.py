"""``img2gps explain``: what a model looks at."""

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from img2gps.console import (
    DATASET,
    PATH,
    command,
    config_option,
    dry_run_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
    seed_option,
    warn,
)
from img2gps.errors import UsageError
from img2gps.text import format_count, safe_path

if TYPE_CHECKING:
    from train.explanation.class_figures import ClassExplanation, Figure, Worth
    from train.explanation.matches import MatchedPhotos

__all__ = ["explain"]

_EXAMPLE = """
img2gps explain runs/quick-001 IMG_0042.jpg
img2gps explain runs/quick-001 --split test --masks practice/masks
"""


@command("explain", example=_EXAMPLE, short_help="What places a photo; landmarks or people.")
@click.argument("run", type=PATH)
@click.argument("photos", type=PATH, nargs=-1)
@click.option("--at", type=float, nargs=2, metavar="LAT LON", help="Explain this place instead of the answer.")
@click.option("--split", type=click.Choice(["test", "val", "train", "all"]), help="Explain classes on these photos.")
@click.option("--masks", metavar="FOLDER", type=PATH, help="What each pixel shows (docs/guides/explain.md).")
@click.option("--segmenter", metavar="FILE", type=PATH, help="Instead of --masks: an ONNX model that makes them.")
@click.option(
    "--classes", metavar="TABLE", type=PATH, help="What the segmenter's numbers mean.  [default: classes.csv beside it]"
)
@click.option(
    "--refit",
    is_flag=True,
    help="With --masks: also fit models anew without each class; for networks, full trainings.",
)
@click.option("--on", metavar="DATASET", type=DATASET, help="A dataset other than the run's own.")
@click.option("--out", metavar="FOLDER", type=PATH, help="Where pictures go.", show_default="RUN/explanations/photos")
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@seed_option
@dry_run_option
@config_option
@json_option
def explain(
    *,
    run: Path,
    photos: tuple[Path, ...],
    at: tuple[float, float] | None,
    split: str | None,
    masks: Path | None,
    segmenter: Path | None,
    classes: Path | None,
    refit: bool,
    on: Path | None,
    out: Path | None,
    device: str,
    seed: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show which parts of PHOTOS place them. Without photos, show what each class of things is worth to a RUN.

    Parts are filled with content of photos of other places on the site, and the answers are compared. The result is
    pictures and one offline page. For a split, masks say what each pixel shows; intervals are over walks.
    """
    if bool(photos) + (masks is not None) + (segmenter is not None) != 1:
        raise UsageError(
            "Give photos to explain, or --masks FOLDER or --segmenter FILE for what the classes of things are worth."
        )
    if photos:
        _explain_photos(run, photos, at, on, out or run / "explanations" / "photos", device, seed, dry_run, as_json)
        return
    from train.explanation.explain import explain_split

    made_by = None if segmenter is None else (segmenter, classes or segmenter.with_name("classes.csv"))
    result = explain_split(
        run, masks, segmenter=made_by, split=split, on=on, refit=refit, seed=seed, device=device, write=not dry_run
    )
    if as_json:
        print_json(result.to_dict())
    else:
        _print_classes(result)
    _tell(result)


def _explain_photos(
    run: Path,
    photos: tuple[Path, ...],
    at: tuple[float, float] | None,
    on: Path | None,
    out: Path,
    device: str,
    seed: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    from train.explanation.photos import explain_photos
    from train.explanation.pictures import write_pictures
    from train.inference.predict import find_photos

    paths, _ = find_photos(photos)
    place = None if at is None else (at[1], at[0])
    found = explain_photos(run, paths, at=place, on=on, seed=seed, device=device)
    page = None if dry_run else write_pictures(out, found, _matches(run, paths, device))
    if as_json:
        print_json({"photos": [photo.to_dict() for photo in found], "page": None if page is None else str(page)})
        return
    columns = ("photo", "latitude", "longitude", "most important tenth moves m", "random tenth m", "above noise")
    rows = []
    for photo in found:
        if photo.deletion is None or photo.occlusion is None:
            rows.append((safe_path(photo.path), photo.error or "", "", "", "", ""))
            continue
        moved = (f"{photo.deletion.most_important_m:.1f}", f"{photo.deletion.random_m:.1f}")
        name = safe_path(photo.path)
        noise = photo.occlusion.noise
        above = "not known" if noise is None else f"{noise.share:.0%}"
        rows.append((name, f"{photo.lat:.6f}", f"{photo.lon:.6f}", *moved, above))
    print_table(format_count(len(found), "photo"), columns, rows)
    say("Dry run: nothing was written." if page is None else f"See what places them: {safe_path(page)}")


def _matches(run: Path, paths: list[Path], device: str) -> "list[MatchedPhotos | None] | None":
    """Return the best matches of photos; None of a run that compares none, or whose training photos are gone."""
    from train.explanation.matches import best_matches

    try:
        return best_matches(run, paths, device=device)
    except UsageError:
        return None


def _print_classes(result: "ClassExplanation") -> None:
    _print_worth(f"{result.run} on {result.split}", result.worth)
    if result.training is not None:
        _print_worth("Training photos, by models that had not seen their walks", result.training)
    if result.refitted:
        columns = ("class", "share of training photos", "metres", "95 %", "metres per tenth")
        rows = [
            (
                one.name,
                f"{one.share:.1%}",
                _number(one.cost_m.value),
                _bounds(one.cost_m),
                _number(one.per_tenth_m.value),
            )
            for one in result.refitted
        ]
        print_table("Fitted anew without a class: how much the mean error grows", columns, rows)


def _print_worth(title: str, worth: "Worth") -> None:
    columns = (
        "class",
        "share of area",
        "photos",
        "metres per tenth",
        "95 %",
        "same shape elsewhere",
        "log-probability",
    )
    rows = [
        (
            one.name,
            f"{one.share:.1%}",
            one.photos,
            _number(one.cost_m.value),
            _bounds(one.cost_m),
            _number(one.elsewhere_m.value),
            _number(one.cost_log_prob.value, 2),
        )
        for one in worth.classes
    ]
    print_table(f"{title}: what filling a tenth of the photo costs", columns, rows)
    headline = f"(building + vegetation) - (person + vehicle): {_number(worth.headline.value)} m per tenth of the area"
    print_text(f"{headline}, 95 % {_bounds(worth.headline) or 'unknown'}, over {worth.intervals_from.text}.")
    beyond = worth.beyond_elsewhere
    print_text(f"Beyond equal shapes elsewhere: {_number(beyond.value)} m, 95 % {_bounds(beyond) or 'unknown'}.")


def _tell(result: "ClassExplanation") -> None:
    from train.evaluation.explained import LEANS_ON_MOVING

    if result.without_mask:
        say(f"{format_count(result.without_mask, 'photo')} without a mask left out.")
    if result.worth.headline.value is None:
        say("No photo shows people or vehicles beside buildings or trees: the headline cannot be told.")
    if result.leans_on_moving:
        warn(LEANS_ON_MOVING)


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _bounds(figure: "Figure") -> str:
    return "" if figure.interval is None else f"{figure.interval.low:.1f} to {figure.interval.high:.1f}"
