"""Photos located by a cluster: each worker loads the model once, and forms the batches that one process would form."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from img2gps.answers import Prediction
from img2gps.cluster_jobs import JobCluster, SharedFile, open_jobs, shards, unshared
from img2gps.exif import Capture
from img2gps.files import SUMS
from train.inference.load import checkpoint_path, load_localizer
from train.inference.locate import BATCH, Method, PartsOf, PhotoContent, parts_here
from train.inference.predict import predict_files
from train.models.evidence import Evidence
from train.models.localizer import Localizer

__all__ = ["PhotosJob", "locate_photos", "locate_shard"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PhotosJob:
    """Photos and a checkpoint (by its list of digests) in folders that all machines share."""

    model: SharedFile
    device: str
    method: Method
    paths: tuple[Path, ...]


def locate_photos(
    run: Path, paths: Sequence[Path], *, walks: bool = False, device: str = "auto", cluster: str | None = None
) -> list[Prediction]:
    """Return one prediction per path by the model of a run, with the workers of `cluster` (`img2gps.cluster`) if given.

    Walks are put together here. Raises what `load_localizer`, `predict_files` and `open_jobs` raise, and UsageError
    where a worker does not find the run or a photo.
    """
    if cluster is None:
        return predict_files(load_localizer(run, device=device), paths, walks=walks)
    with open_jobs(cluster, threads=torch.get_num_threads()) as workers:
        localizer = load_localizer(run, device="cpu")  # what workers find comes back to the processor
        return predict_files(localizer, paths, walks=walks, parts_of=_by_workers(workers, run, device))


def _by_workers(workers: JobCluster, run: Path, device: str) -> PartsOf:
    """Return what locates photos by the workers. Raises UsageError where one that is here does not find the run."""
    model = SharedFile.of(checkpoint_path(run) / SUMS)
    workers.check_shared([model])

    def parts_of(contents: Sequence[PhotoContent], method: Method) -> tuple[list[Any], list[Capture | str]]:
        paths = [content.absolute() for content in contents if isinstance(content, Path)]
        assert len(paths) == len(contents)
        jobs = [
            PhotosJob(model=model, device=device, method=method, paths=tuple(some))
            for some in shards(paths, workers.slots, multiple=BATCH)
        ]
        parts: list[Any] = []
        found: list[Capture | str] = []
        for _, (some_parts, some_found) in workers.do(
            locate_shard, jobs, doing="Locating", needs=[model], steps=lambda job: len(job.paths)
        ):
            parts += some_parts
            found += some_found
        return parts, found

    return parts_of


def locate_shard(job: PhotosJob) -> tuple[list[Any], list[Capture | str]]:
    """Return what `parts_here` returns, on the processor; called on a worker of a cluster.

    Raises UsageError for a photo that is not on this machine: that is no property of the photo.
    """
    for path in job.paths:
        if not path.exists():
            raise unshared(path)
    parts, found = parts_here(_loaded(job.model, job.device), job.paths, job.method)
    return [_on_processor(part) if isinstance(part, Evidence) else part for part in parts], found


@functools.lru_cache(maxsize=1)
def _loaded(model: SharedFile, device: str) -> Localizer:
    return load_localizer(model.path.parent, device=device)


def _on_processor(evidence: Evidence) -> Evidence:
    # copied, since a view would travel with all that it is a view of
    return Evidence(log_probs=evidence.log_probs.cpu().clone(), similarity=evidence.similarity.cpu().clone())
