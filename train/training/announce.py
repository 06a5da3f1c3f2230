"""What a person is told while a run trains."""

from typing import TYPE_CHECKING

from rich.markup import escape

from img2gps.progress import stderr
from img2gps.text import format_count, format_duration, safe_path, shell_path
from train.config.schema import TrainConfig
from train.data.training_data import DatasetPhotos, TrainingData
from train.runs.folder import RunFolder
from train.runtime.distributed import World

if TYPE_CHECKING:
    import torch

__all__ = ["announce_fold", "announce_run"]


def announce_run(
    run: RunFolder, config: TrainConfig, parts: list[TrainingData], device: "torch.device", world: World
) -> None:
    """Say what begins: the run, its model and its photos."""
    if not world.leads:
        return
    from train.runtime.devices import device_name

    data = parts[0]
    if data.fold is not None:
        photos = f"{len(parts)} folds, {format_count(sum(len(part.held_out or ()) for part in parts), 'photo')}"
    elif data.val is None:
        why = _why_none_held_back(data.source)
        photos = f"{format_count(len(data.train), 'photo')}, none held back ({why})"
        photos += "" if config.method == "probe" else "; the last epoch is kept"
    else:
        photos = f"{format_count(len(data.train), 'photo')} train, {len(data.val):,} validate"
    spec = config.pixels
    stderr().print(
        escape(
            f"{safe_path(run.root)}: {config.preset}, {config.model} ({config.weights} weights) at "
            f"{spec.width} x {spec.height} px on {device_name(device)}; {photos}."
        )
    )


def _why_none_held_back(source: DatasetPhotos) -> str:
    if "val" in source.emptied:
        root = shell_path(source.dataset.root)
        return f"every validation photo is excluded by a correction: `img2gps split {root}` deals out others"
    return "the split has no validation photos" if any(source.photos.split) else "there is no split"


def announce_fold(number: int, parts: list[TrainingData], left: float | None) -> None:
    """Say which fold begins and, from the second that this process trains on, when all will be done."""
    about = "" if left is None else f" (about {format_duration(left)} left for all)"
    photos = format_count(len(parts[number - 1].train), "photo")
    stderr().print(f"Fold {number} of {len(parts)}{about}: {photos} train.")
