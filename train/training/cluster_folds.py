"""The folds of a run trained by a cluster: each is a job, and ends as it does where one process trains them all."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from img2gps.cluster_jobs import JobCluster, SharedFile, await_file, jobs_of
from img2gps.errors import UsageError
from img2gps.progress import stderr
from img2gps.text import format_count
from train.data.training_data import TrainingData
from train.inference.load import read_resumable
from train.runs.folder import RunFolder
from train.runtime.devices import pick_device, use_threads
from train.runtime.distributed import World, started_processes
from train.training.folds import predictions_path
from train.training.model import fit_part
from train.training.parts import continuation

__all__ = ["FoldJob", "check_folds_shared", "fit_fold", "fit_folds", "folds_cluster"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoldJob:
    """One fold of a run in a folder that all machines share."""

    run: Path
    fold: int


@contextlib.contextmanager
def folds_cluster(word: str | None, *, folds: bool) -> Iterator[JobCluster | None]:
    """Yield the cluster that a word names; None without a word.

    Raises what `open_jobs` raises, and UsageError where there are no folds to share out, or under torchrun.
    """
    if word is not None and not folds:
        raise UsageError("--cluster trains the folds of a run on several machines: give --folds, too.")
    if word is not None and started_processes() > 1:
        raise UsageError("--cluster and torchrun both start processes: use one of them.")
    with jobs_of(word, threads=torch.get_num_threads()) as cluster:
        yield cluster


def check_folds_shared(
    parts: Sequence[TrainingData], cluster: JobCluster, run: RunFolder | None = None
) -> list[SharedFile]:
    """Return the files that workers need. Raises UsageError where one that is here does not find the same."""
    paths = [parts[0].source.dataset.manifest_path, *([] if run is None else [run.config_path])]
    needs = [SharedFile.of(path) for path in paths]
    cluster.check_shared(needs)
    return needs


def fit_folds(
    run: RunFolder, waiting: Sequence[TrainingData], parts: Sequence[TrainingData], cluster: JobCluster
) -> None:
    """Train the folds `waiting` of all `parts` of a run. Raises what a fold raises and what `JobCluster.do` says."""
    numbers = {data.fold: number for number, data in enumerate(parts, start=1)}
    folds = [data.fold for data in waiting if data.fold is not None]
    needs = check_folds_shared(parts, cluster, run)
    jobs = [FoldJob(run=run.root.resolve(), fold=fold) for fold in folds]
    for job, _ in cluster.do(fit_fold, jobs, needs=needs, doing="Training folds"):
        await_file(predictions_path(run.fold(job.fold)))
        photos = format_count(len(parts[numbers[job.fold] - 1].train), "photo")
        stderr().print(f"Fold {numbers[job.fold]} of {len(parts)}: trained on {photos}.")


def fit_fold(job: FoldJob) -> None:
    """Train one fold of a run, from its last checkpoint if it has one; called on a worker of a cluster.

    Raises what `fit_part` raises, and RunLockedError where a process that was given up still trains it.
    """
    run = RunFolder(root=job.run)
    info = run.read_info_quietly()
    use_threads(info.config.threads)
    config, parts, _ = continuation(run.root, run, info, None)
    [data] = [data for data in parts if data.fold == job.fold]
    folder = run.fold(job.fold)
    folder.root.mkdir(parents=True, exist_ok=True)
    with folder.lock():
        device, resume = pick_device(config.device), read_resumable(folder)
        fit_part(config, data, folder, device=device, world=World(), resume=resume)
    folder.drop_lock()
