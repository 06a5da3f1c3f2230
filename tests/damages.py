"""Files that are flipped, zeroed, cut or forged, and what the commands that read them make of it."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import random
import shutil
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from damage_scene import Scene, files_of, without_drawing, working_in

from img2gps.cli import run as img2gps

Kind = Literal["flip", "zero", "cut", "forge"]
Verdict = Literal["refused", "same", "named", "unseen", "different", "traceback"]

KINDS: tuple[Kind, ...] = ("flip", "zero", "cut", "forge")
DOCUMENTED = frozenset(range(8)) | {74, 75, 130}
_PASSING = frozenset(
    {
        "report",
        "seconds",
        "digest",
        "made_by",
        "finished_at",
        "images_per_s",
        "epoch_s",
        "s",
        "ingested_at",
        "ingest",
        "at",
        "started_at",
        "rows_sha256",
        "info_sha256",
        "seconds_per_epoch",
        "mtime_ns",
        "inode",
        "ctime_ns",
    }
)
_UNCOMPARED = frozenset({".cache", ".sha256", "SHA256SUMS", ".npy"})


def damaged(data: bytes, kind: Kind, generator: random.Random) -> bytes:
    """Return `data` with a bit flipped, a few bytes zeroed, or its end cut off."""
    place = generator.randrange(len(data)) if data else 0
    if kind == "cut":
        return data[:place]
    changed = bytearray(data)
    if kind == "flip" and data:
        changed[place] ^= 1 << generator.randrange(8)
    elif data:
        length = min(generator.choice((1, 4, 16, 512)), len(data) - place)
        changed[place : place + length] = bytes(length)
    return bytes(changed)


def forged(folder: Path, path: Path, generator: random.Random) -> None:
    """Damage a file of a checkpoint in a way that its sum, made anew, bears out."""
    if path.name == "state.json":
        state = json.loads(path.read_text())
        keys = [(state, key) for key in state if key != "format"]
        keys += [(value, key) for value in list(state.values()) if isinstance(value, dict) for key in value]
        table, key = generator.choice(keys)
        values: list[Any] = [None, "x", -1, 1e300, float("nan"), [], {}, True, [1, 2, 3]]
        if generator.random() < 0.2:
            del table[key]
        else:
            table[key] = generator.choice(values)
        path.write_text(json.dumps(state))
    elif path.suffix == ".safetensors":
        _forge_tensors(path, generator)
    else:
        path.write_bytes(damaged(path.read_bytes(), "flip", generator))
    names = [name for name in ("model.safetensors", "state.json", "optimizer.safetensors") if (folder / name).exists()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def _forge_tensors(path: Path, generator: random.Random) -> None:
    import torch
    from safetensors import torch as safetensors

    tensors = safetensors.load(path.read_bytes())
    if not tensors:
        return
    name = generator.choice(sorted(tensors))
    tensor = tensors[name]
    changes: list[Callable[[], torch.Tensor]] = [
        lambda: tensor[..., None].clone(),
        lambda: tensor.flatten()[:1].clone(),
        lambda: tensor.to(torch.float16),
        lambda: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor.flatten()[:0].clone(),
        lambda: torch.zeros(0),
    ]
    if generator.random() < 0.2:
        del tensors[name]
    else:
        tensors[name] = generator.choice(changes)()
    path.write_bytes(safetensors.save(tensors))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command said: its exit code, the values on stdout, the text on stderr, a traceback that escaped it.

    `files` is what stands in the dataset and the runs afterwards, see `contents`.
    """

    code: int
    values: str
    said: str
    escaped: str = ""
    files: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def answer_of(arguments: Sequence[str]) -> Answer:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    escaped = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), without_drawing():
        try:
            code = img2gps(list(arguments))
        except BaseException:  # noqa: BLE001  whatever it is, it should not have come out
            code, escaped = -1, traceback.format_exc()
    text = out.getvalue()
    with contextlib.suppress(ValueError):
        text = json.dumps(_lasting(json.loads(text)), sort_keys=True)
    return Answer(code=code, values=text, said=err.getvalue(), escaped=escaped)


def _lasting(value: Any) -> Any:
    """Return JSON values without what differs from time to time."""
    if isinstance(value, float) and value != value:
        return "nan"
    if isinstance(value, dict):
        return {key: _lasting(part) for key, part in value.items() if key not in _PASSING}
    return [_lasting(part) for part in value] if isinstance(value, list) else value


def verdict(found: Answer, expected: Answer) -> Verdict:
    """Return what became of a damage: 'different' is an answer that changed without a word about it.

    An answer is what a command prints, and what it writes.
    """
    if found.escaped or found.code not in DOCUMENTED or "Traceback" in found.said:
        return "traceback"
    if found.code != expected.code:
        return "refused" if found.said.strip() else "different"
    if found.values == expected.values and not changed_contents(found, expected):
        return "same"
    return "named" if _remarks(found) - _remarks(expected) else "different"


def changed_contents(found: Answer, expected: Answer) -> list[str]:
    """Return the files that two commands left with different contents."""
    names = sorted({*found.files, *expected.files})
    none: Any = ()
    now = {name: found.files.get(name, none) for name in names}
    return [name for name in names if now[name] is not None and now[name] != expected.files.get(name, none)]


def contents(scene: Scene, *, where: Path | None = None, harmed: bytes | None = None) -> dict[str, Any]:
    """Return what the files of the dataset and of the runs say, without times, digests, caches and pages.

    A damaged file that a command left as it was, moved, or added lines to, is no answer of it: it is None.
    """
    lines = harmed[: harmed.rfind(b"\n") + 1] if harmed else None
    found: dict[str, Any] = {}
    for path in files_of(scene):
        data = path.read_bytes()
        if not _UNCOMPARED & {path.suffix, path.name, *path.parts}:
            added = path.suffix in (".jsonl", ".csv") and lines is not None and data.startswith(lines)
            carried = data == harmed or (added and path == where)
            found[str(path.relative_to(scene.root))] = None if carried else _content_of(path.suffix, data)
    return found


@functools.lru_cache(maxsize=4096)
def _content_of(suffix: str, data: bytes) -> Any:
    try:
        return _parsed(suffix, data)
    except (ValueError, pa.ArrowException):  # a damage that lives on
        return hashlib.sha256(data).hexdigest()


def _parsed(suffix: str, data: bytes) -> Any:
    if suffix == ".parquet":
        table = pq.read_table(pa.BufferReader(data))
        info = json.loads((table.schema.metadata or {}).get(b"img2gps", b"{}"))
        return _lasting(info), [_lasting(row) for row in table.to_pylist()]
    if suffix in (".json", ".jsonl", ".geojson"):
        return [_lasting(json.loads(line)) for line in (data.splitlines() if suffix == ".jsonl" else [data])]
    if suffix == ".toml":
        return _lasting(tomllib.loads(data.decode()))
    return hashlib.sha256(data).hexdigest()


def _remarks(answer: Answer) -> set[str]:
    """Return the sentences on stderr that tell of something wrong."""
    words = ("changed", "damaged", "lacks", "cannot", "missing")
    return {line for line in answer.said.splitlines() if any(word in line for word in words)}


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


class Sweep:
    """Damages a scene again and again, each time from the same undamaged state."""

    def __init__(self, scene: Scene, pristine: Path) -> None:
        self.scene, self._pristine = scene, pristine
        shutil.copytree(scene.root, pristine, symlinks=True)
        self._expected: dict[str, Answer] = {}
        self.files = files_of(scene)

    def restore(self) -> None:
        """Put everything back: what was changed, added or deleted, by size and time."""
        for name in ("ds", "runs"):
            here, whole = self.scene.root / name, self._pristine / name
            for path in sorted(here.rglob("*"), reverse=True):  # a folder after what is in it
                if not (whole / path.relative_to(here)).exists():
                    path.rmdir() if path.is_dir() else path.unlink()
            for path in sorted(whole.rglob("*")):
                target = here / path.relative_to(whole)
                if path.is_dir():
                    target.mkdir(exist_ok=True)
                elif not target.exists() or _stamp(target) != _stamp(path):
                    shutil.copy2(path, target)

    def expected(self, arguments: Sequence[str]) -> Answer:
        """Return the answer of the undamaged files."""
        key = "\0".join(arguments)
        if key not in self._expected:
            self.restore()
            answer = answer_of(arguments)
            self._expected[key] = dataclasses.replace(answer, files=contents(self.scene))
        return self._expected[key]

    def try_one(self, path: Path, kind: Kind, name: str, generator: random.Random) -> tuple[Verdict, Answer]:
        """Damage one file, run one of the commands that read it, and return what came of it.

        A damage that `verify` has no word for is 'unseen'.
        """
        arguments = self.scene.commands(path)[name]
        with working_in(self.scene.root):
            expected = self.expected(arguments)
            self.restore()
            whole = path.read_bytes()
            if kind == "forge":
                forged(path.parent, path, generator)
            else:
                path.write_bytes(damaged(whole, kind, generator))
            harmed = path.read_bytes()
            found = answer_of(arguments)
            if found.code == expected.code:
                found = dataclasses.replace(found, files=contents(self.scene, where=path, harmed=harmed))
        judged = verdict(found, expected)
        unseen = name == "verify" and judged == "same" and harmed != whole and ".cache" not in path.parts
        return ("unseen" if unseen else judged), found

    def choices(self, path: Path) -> list[Kind]:
        """Return the damages that a file can get: only checkpoints have sums to forge."""
        if path.name == "SHA256SUMS":
            return list(KINDS[:3])
        return list(KINDS if (path.parent / "SHA256SUMS").exists() and "evaluations" not in path.parts else KINDS[:3])
