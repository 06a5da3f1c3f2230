"""``img2gps ablate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from img2gps.console import (
    DATASET,
    PATH,
    cluster_option,
    command,
    config_option,
    dry_run_option,
    environment_sources,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
)
from img2gps.errors import UsageError
from img2gps.text import format_count, safe_path

if TYPE_CHECKING:
    from train.explanation.compare import ComparedWorth
    from train.study.study import Study

__all__ = ["ablate"]


@command(
    "ablate",
    example="img2gps ablate quad --preset published --lr 1e-3,3e-3 --batch-size 8,16,32 --seeds 3\n"
    "img2gps ablate quad --model resnet18,resnet50 --set loss=mse,huber",
)
@click.argument("dataset", type=DATASET)
@click.option(
    "--preset", "preset_name", help="What all runs share.  [default: default; finetune with a --model of your own]"
)
@click.option("--model", metavar="A,B,...", help="Networks to compare.")
@click.option("--weights", metavar="A,B,...", help="First weights to compare.")
@click.option("--lr", metavar="X,Y,...", help="Learning rates to compare.")
@click.option("--batch-size", metavar="M,N,...", help="Batch sizes to compare.")
@click.option("--size", metavar="M,N,...", help="Input sizes to compare.")
@click.option("--epochs", metavar="M,N,...", help="Lengths to compare; one value for all.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=A,B,...", help="Any other field as an axis.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, help="Runs per setting.")
@click.option(
    "--scale-lr",
    type=click.Choice(["none", "linear", "sqrt"]),
    default="none",
    help="Scale the learning rate with the batch; given rates are for batch 32.",
)
@click.option(
    "--explain", "masks", type=PATH, metavar="MASKS", help="Also compare what the settings look at, by these masks."
)
@click.option("--name", help="Name of the study.  [default: the same for the same photos and labels]")
@click.option("--device", help="auto, cpu, cuda, cuda:1 or mps.  [default: auto]")
@click.option("--threads", type=click.IntRange(min=0), help="CPU threads; 0 for torch's choice.")
@cluster_option
@config_option
@dry_run_option
@json_option
def ablate(
    *,
    dataset: Path,
    preset_name: str | None,
    assignments: tuple[str, ...],
    seeds: int,
    scale_lr: Any,
    masks: Path | None,
    name: str | None,
    device: str | None,
    threads: int | None,
    cluster: str | None,
    dry_run: bool,
    as_json: bool,
    **axes: str | None,
) -> None:
    """Train a grid of runs on DATASET and say which differences exceed the noise.

    The same command goes on after an interruption. Finished runs are not run again; failed ones are. More values or
    seeds add runs. With --cluster each run is trained by one of its workers; the study is the same.
    """
    from img2gps.interrupts import interruptible
    from train.config.options import study_base
    from train.study.grid import parse_axes, study_cells
    from train.study.runs import plan_study, study_folder
    from train.study.study import make_study
    from train.training.session import RUNS

    shared = {"device": device, "threads": threads}
    grid = parse_axes(axes, assignments)
    models = [str(model) for model in grid.get("model", ())]
    base = study_base(preset_name, models=models, options=shared, environment=environment_sources())
    cells = study_cells(base, grid, seeds=seeds, scale_lr=scale_lr)
    folder = study_folder(RUNS, dataset, name=name)
    if dry_run:
        print_json(
            {
                "study": str(folder),
                "runs": [run.root.name for run in plan_study(dataset, cells, folder, cluster=cluster)],
            }
        )
        return
    with interruptible():
        study = make_study(dataset, cells, folder, cluster=cluster)
        looks = None if masks is None else _looks(study, masks, device or "auto")
    result = study.result
    if as_json:
        extra = {} if looks is None else {"looks_at": looks.to_dict()}
        print_json(result.to_dict() | {"study": str(folder), "report": str(study.report)} | extra)
    else:
        for title, columns, rows in result.tables():
            print_table(f"{title}: validation RMSE in metres ({format_count(result.photos, 'photo')})", columns, rows)
        print_text(f"Mean position: {result.mean_predictor_rmse_m:.1f} m")
        for verdict in result.verdicts:
            say(verdict)
        if looks is not None:
            _print_looks(looks)
        print_text(safe_path(study.report))
    if study.failure is not None:
        raise study.failure


def _looks(study: "Study", masks: Path, device: str) -> "ComparedWorth":
    """Compare what the settings look at on the validation photos, and keep that beside the study."""
    from img2gps.files import write_json
    from train.explanation.compare import compare_worth

    runs: dict[str, list[Path]] = {}
    for one in study.runs:
        if one.error is None:
            runs.setdefault(str(one.cell.setting), []).append(one.run.root)
    if not runs:
        raise UsageError("No run of this study is finished: there is nothing to explain.")
    looks = compare_worth(runs, masks, split="val", device=device)
    write_json(study.folder / "looks.json", looks.to_dict())
    return looks


def _print_looks(looks: "ComparedWorth") -> None:
    """Print the headline of each setting, and what the differences allow to say."""
    columns = ("setting", "runs", "(building + vegetation) - (person + vehicle), m per tenth", "95 %")
    rows = []
    for one in looks.settings:
        figure = one.worth.headline
        bounds = "" if figure.interval is None else f"{figure.interval.low:.1f} to {figure.interval.high:.1f}"
        rows.append((one.setting, one.runs, "" if figure.value is None else f"{figure.value:.1f}", bounds))
    print_table("What the settings look at", columns, rows)
    for pair in looks.pairs:
        say(pair.sentence)
    say("Intervals tell the chance of the walks, not of the seeds.")
