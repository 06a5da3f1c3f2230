"""Commands that are killed at random moments, and what reruns of them end with: the harness of tests and benchmark."""

import contextlib
import dataclasses
import http.client
import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from forked_commands import ForkedCommands

from img2gps.files import TEMPORARY_PREFIX
from img2gps.site import Site, load_site


@dataclasses.dataclass(frozen=True, kw_only=True)
class Killed:
    """A command that is killed: what it finds, what it is called with, and how its result is judged.

    `lay_out` makes the state before in an empty folder, in which `words` run; `check` raises AssertionError where what
    lies there after a kill is not sound; `result` is what a rerun must end with, as a run that nobody stopped did;
    `is_done` says whether a rerun would be refused since everything is there. `other` finishes as well what was begun,
    and is taken in half of the cases.
    """

    name: str
    words: Sequence[str]
    lay_out: Callable[[Path], None]
    result: Callable[[Path], Any]
    check: Callable[[Path], None]
    is_done: Callable[[Path], bool] = lambda _place: False
    other: Callable[[Path], None] | None = None


def kill_command(commands: ForkedCommands, killed: Killed, folder: Path, *, kills: int, seed: int = 0) -> Counter[str]:
    """Kill a command at random moments, rerun it, and compare; returns how many kills hit it at work, and reruns.

    A fifth of the reruns is killed as well. Raises AssertionError where anything is not as it should be.
    """
    generator = random.Random(f"{killed.name} {seed}")
    reference, place = folder / "reference" / "here", folder / "killed" / "here"
    _fresh(killed, reference)
    began = time.monotonic()
    _run(commands, killed, reference)
    usual_s = time.monotonic() - began
    expected = killed.result(reference)
    counts: Counter[str] = Counter()
    while counts["kills"] < kills:
        if not place.exists():
            _fresh(killed, place)
        pid = commands.start(killed.words, place)
        counts["hit"] += commands.kill_after(pid, generator.uniform(0.0, 1.05) * usual_s)
        counts["kills"] += 1
        killed.check(place)
        if generator.random() < 0.2 and counts["kills"] < kills:
            continue  # the rerun is killed, too
        _complete(commands, killed, place, generator)
        counts["completed"] += 1
        assert killed.result(place) == expected, f"{killed.name}: another result after kill {counts['kills']}"
        left = [path for path in place.rglob(f"{TEMPORARY_PREFIX}*") if "home" not in path.parts]
        assert left == [], left
        shutil.rmtree(place)
    return counts


def _fresh(killed: Killed, place: Path) -> None:
    place.mkdir(parents=True)
    killed.lay_out(place)


def _complete(commands: ForkedCommands, killed: Killed, place: Path, generator: random.Random) -> None:
    if killed.other is not None and generator.random() < 0.5:
        killed.other(place)
    if not killed.is_done(place):
        _run(commands, killed, place)
    killed.check(place)


def _run(commands: ForkedCommands, killed: Killed, place: Path) -> None:
    code = commands.run(killed.words, place)
    assert code == 0, (killed.name, code, (place / "said").read_text())


def kill_drawing(commands: ForkedCommands, folder: Path, *, kills: int, seed: int = 0) -> Counter[str]:
    """Kill the page of `site draw` while somebody saves; the file is the last outline that was acknowledged, or newer.

    Raises AssertionError where it is another, or a temporary file outlives the next save.
    """
    generator = random.Random(seed)
    counts: Counter[str] = Counter()
    for number in range(kills):
        place = folder / str(number)
        place.mkdir(parents=True)
        (place / "s.geojson").write_text(json.dumps(_outline(0)))
        pid = commands.start(["site", "draw", "s.geojson", "--no-open", "--json"], place)
        sent: list[int] = []
        saving = threading.Thread(target=_save_outlines, args=(_address(place), sent))
        saving.start()
        while len(sent) < 2:  # the first is saved: kills hit the work of a server that is warm
            assert saving.is_alive(), (place / "said").read_text()
            time.sleep(0.005)
        counts["hit"] += commands.kill_after(pid, generator.uniform(0.0, 0.3))
        saving.join()
        counts.update({"kills": 1, "saved": len(sent)})
        version = _version(load_site(place / "s.geojson"))
        assert version in {max(0, len(sent) - 1), len(sent)}, (version, len(sent))
        assert commands.run(["site", "draw", "s.geojson", "--accept"], place) == 0, (place / "said").read_text()
        assert _version(load_site(place / "s.geojson")) == version
        left = list(place.glob(f"{TEMPORARY_PREFIX}*"))
        assert left == [], left
    return counts


def _outline(version: int) -> dict[str, Any]:
    """Return an outline whose eastern corner tells its version."""
    east = round(8.01 + version * 1e-5, 5)
    return {"type": "Polygon", "coordinates": [[[8.0, 50.0], [8.01, 50.0], [east, 50.01], [8.0, 50.01], [8.0, 50.0]]]}


def _version(site: Site) -> int:
    return round((float(site.polygon.bounds[2]) - 8.01) / 1e-5)


def _address(place: Path) -> str:
    """Return where the page is, once it says so."""
    deadline = time.monotonic() + 60
    while "\n}" not in (text := (place / "printed").read_text() if (place / "printed").exists() else ""):
        assert time.monotonic() < deadline, (place / "said").read_text()
        time.sleep(0.005)
    return str(json.loads(text)["url"])


def _save_outlines(address: str, sent: list[int]) -> None:
    """Save one outline after the other until nobody answers; all but the last of `sent` were acknowledged."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            sent.append(len(sent) + 1)
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
            with contextlib.closing(connection):
                body = json.dumps({"geometry": _outline(sent[-1]), "name": "s"})
                connection.request("POST", "/api/site", body, {"Content-Type": "application/json"})
                assert connection.getresponse().status == 200
