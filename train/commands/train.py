"""``img2gps train``."""

from pathlib import Path

import rich_click as click
from click.core import ParameterSource

from img2gps.console import (
    DATASET,
    PATH,
    FiniteRange,
    cluster_option,
    command,
    dry_run_option,
    environment_sources,
    json_option,
    print_json,
    print_text,
    say,
)
from img2gps.errors import UsageError
from img2gps.text import safe_path, shell_path

__all__ = ["train"]


@command(
    "train",
    example="img2gps train quad --preset published --epochs 15\nimg2gps train --resume runs/published-001\n"
    "img2gps train quad --folds --cluster tcp://10.0.0.1:8786",
)
@click.argument("dataset", type=DATASET, required=False)
@click.option(
    "--preset",
    "preset_name",
    help="quick, default, finetune or published.  [default: default; finetune with a --model of your own]",
)
@click.option("--model", help="A torchvision network (resnet18, resnet50, ...) or timm/NAME.")
@click.option("--weights", help="First weights: imagenet (downloaded), bundled (installed), none, or a file.")
@click.option("--epochs", type=click.IntRange(min=1), help="Times that every training photo is seen.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Photos per step.")
@click.option("--lr", type=FiniteRange(min=0, min_open=True), help="Highest learning rate.")
@click.option("--size", type=click.IntRange(min=16), help="Short side of the input in pixels.")
@click.option("--seed", type=click.IntRange(min=0), help="The same seed, the same weights.  [default: 0]")
@click.option("--device", help="auto, cpu, cuda, cuda:1 or mps.  [default: auto]")
@click.option("--threads", type=click.IntRange(min=0), help="CPU threads; 0 for torch's choice.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any other field of the config.")
@click.option("--labels", type=click.Choice(["gps", "refined"]), help="Positions as given, or refined.  [default: gps]")
@click.option("--name", help="Name of the run.  [default: the preset, counted up]")
@click.option(
    "--folds", is_flag=True, help="Train one model per fold, which does not see that fold and then locates it."
)
@cluster_option
@click.option("--config", "config_path", type=PATH, help="A TOML file of these options, or a run's config.toml.")
@click.option("--resume", type=PATH, metavar="RUN", help="Go on with a run; with --epochs, for longer.")
@dry_run_option
@json_option
def train(
    *,
    dataset: Path | None,
    preset_name: str | None,
    assignments: tuple[str, ...],
    name: str | None,
    folds: bool,
    cluster: str | None,
    config_path: Path | None,
    resume: Path | None,
    dry_run: bool,
    as_json: bool,
    **options: str | int | float | None,
) -> None:
    """Train a model on DATASET. The run is a new folder in runs/.

    Without a split every photo trains and the last epoch is the model. Ctrl-C keeps every finished epoch; --resume goes
    on from there. With --folds, --cluster trains the folds on several machines; the run is the same.
    """
    from img2gps.interrupts import interruptible
    from train import api
    from train.config.options import resolve
    from train.runs.info import NO_PHOTOS
    from train.runtime.distributed import leads
    from train.training.summary import summary

    with interruptible():
        if resume is not None:
            typed = _typed_options()
            if typed - {"resume", "epochs", "cluster", "dry_run", "as_json"}:
                raise UsageError(
                    "--resume goes on with a run as it was begun: only --epochs and --cluster may be given with it."
                )
            epochs = options["epochs"] if "epochs" in typed else None
            longer = None if epochs is None else int(epochs)
            if dry_run:
                if leads():
                    print_json(api.plan_resume(resume, epochs=longer, cluster=cluster))
                return
            run = api.resume(resume, epochs=longer, cluster=cluster)
        else:
            config, file_dataset, file_folds = resolve(
                preset_name=preset_name,
                options=options,
                assignments=assignments,
                config_path=config_path,
                environment=environment_sources(),
            )
            root = dataset or file_dataset
            if root is None:
                raise UsageError("No dataset: give the folder that `img2gps ingest` made, or --resume RUN.")
            if dry_run:
                if leads():
                    print_json(api.plan_train(root, config, folds=folds or file_folds, name=name, cluster=cluster))
                return
            run = api.train(root, config, folds=folds or file_folds, name=name, cluster=cluster)
    if not leads():
        return
    if as_json:
        print_json(summary(run))
    else:
        where, info = shell_path(run.root), run.read_info()
        print_text(safe_path(run.root))
        if info.folds or any(info.split_ids[name] != NO_PHOTOS for name in ("test", "val")):
            say(f"Score it: `img2gps evaluate {where}`")
        else:
            say(
                f"Nothing was held back for scores: `img2gps evaluate {where} --on OTHER`, "
                f"or `img2gps predict {where} PHOTO`."
            )


def _typed_options() -> set[str]:
    """Return the parameters that the command line gave; those of the environment are wishes for new runs."""
    context = click.get_current_context()
    assert context is not None
    return {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
