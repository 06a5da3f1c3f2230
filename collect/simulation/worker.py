"""Renders photos into files, in this process or in several; what a file holds depends on its task alone."""

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from pathlib import Path

from collect.simulation.arrays import Bytes, generator
from collect.simulation.campus.world import CampusWorld, build_world
from collect.simulation.phones.develop import develop
from collect.simulation.phones.phone import PhoneFix, exif_of, store
from collect.simulation.phones.spoil import spoil_bytes, spoil_exif
from collect.simulation.phones.walks import Shot, Walk
from collect.simulation.rendering.render import View, render
from collect.simulation.rendering.scene import Scene, set_scene
from img2gps.interrupts import STOPPING, children_deaf, held_back
from img2gps.masks import write_mask
from img2gps.processes import SpawnedContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Campus:
    """What a process needs to build the campus: the site in local metres as WKB, seeds, clock, passers-by."""

    site_wkb: bytes
    seed: int
    walk_seed: int
    zone: tzinfo
    passers_by: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to write: a shot, what the phone believes, and the fault it gets (None for a good photo).

    `mask` is where the classes of its pixels go, None where they are not asked for.
    """

    target: Path
    shot: Shot
    fix: PhoneFix
    fault: str | None
    mask: Path | None = None


def write_all(campus: Campus, tasks: Sequence[Task], jobs: int) -> Iterator[int]:
    """Write the files of `tasks` with `jobs` processes; yields the number written after each few."""
    # Tasks come in the order of walks and chunks are long, so that few processes set up the same walk.
    size = max(4, math.ceil(len(tasks) / (jobs * 4)))
    chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    if jobs == 1 or len(chunks) == 1:
        for chunk in chunks:
            yield _write_chunk(campus, chunk)
        return
    spawn = SpawnedContext()
    with ProcessPoolExecutor(min(jobs, len(chunks)), mp_context=spawn, initializer=_start_worker) as pool:
        try:
            with held_back(), children_deaf([number for number in STOPPING if number != signal.SIGTERM]):
                # not `map`, which cancels what is left: the pool then stumbles over it where its processes are ended
                written = [pool.submit(_write_chunk, campus, chunk) for chunk in chunks]
            yield from (future.result() for future in written)
        except BaseException:  # nobody waits for the rest
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _start_worker() -> None:
    """End this process with its parent, even where that is killed: nobody would read what it makes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_chunk(campus: Campus, tasks: Sequence[Task]) -> int:
    for task in tasks:
        if task.fault == "not_a_photo":
            task.target.write_bytes(spoil_bytes("not_a_photo", task.target.name.encode()))
        else:
            _write_photo(campus, task)
    return len(tasks)


def _write_photo(campus: Campus, task: Task) -> None:
    """Write a file that shows something, and its mask."""
    view = render(_scene(campus, task.shot.walk), task.shot.camera, classify=task.mask is not None)
    task.target.write_bytes(photo_bytes(campus, task, view))
    if task.mask is not None and view.classes is not None:
        write_mask(task.mask, view.classes)


def photo_bytes(campus: Campus, task: Task, view: View) -> bytes:
    """The content of one file."""
    exif = exif_of(task.shot.walk.device, task.fix, campus.zone)
    exif = spoil_exif(task.fault or "", exif)
    content = store(picture(campus, task.shot, view), task.shot.walk.device, exif)
    return spoil_bytes(task.fault or "", content)


def picture(campus: Campus, shot: Shot, view: View) -> Bytes:
    """The developed pixels of a shot, upright: (height, width, 3)."""
    rng = generator(campus.walk_seed, "develop", shot.number)
    return develop(view.colours, shot.exposure, rng)


@lru_cache(maxsize=1)
def world_of(campus: Campus) -> CampusWorld:
    """The campus, built once in each process."""
    return build_world(campus.site_wkb, campus.seed)


@lru_cache(maxsize=2)
def _scene(campus: Campus, walk: Walk) -> Scene:
    return set_scene(world_of(campus), walk.light, campus.walk_seed, walk.number, campus.passers_by)
