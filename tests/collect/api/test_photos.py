"""The functions of `collect` beside its commands: the same settings, and each of them reaches the work."""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from photos import write_photo, write_site, write_walk
from shapely.geometry import Point, mapping

import collect
from img2gps.errors import UsageError
from img2gps.rejected import read_rejected
from tests.ingest_runs import rows

# What the functions call otherwise, because Python has no help text beside it: the unit.
UNITS = {
    "clock_offset": "clock_offset_s",
    "max_accuracy": "max_accuracy_m",
    "timeout": "timeout_s",
    "short_side": "short_side_px",
}
# How a command prints and exits, which a function has no part in.
OF_THE_TERMINAL = {"as_json", "strict", "fail_under"}
FAR = (-75.1930, 40.1)


@pytest.mark.parametrize("name", ["ingest", "validate", "split", "audit", "doctor", "simulate"])
def test_every_option_of_a_command_is_one_of_its_function(name: str) -> None:
    command = getattr(importlib.import_module(f"collect.commands.{name}"), name)
    options = {UNITS.get(param.name, param.name) for param in command.params if param.expose_value}
    assert options - OF_THE_TERMINAL <= set(inspect.signature(getattr(collect, name)).parameters)


def test_the_functions_stay_callable_whatever_was_imported() -> None:
    collect.doctor()
    collect.doctor()
    assert all(callable(getattr(collect, name)) for name in collect.__all__)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_walk(tmp_path / "in", 3, size=(32, 24))
    write_photo(tmp_path / "in/far.jpg", lon=FAR[0], lat=FAR[1], size=(32, 24), seed=9)
    (tmp_path / "in/.Trash-1000").mkdir()
    write_photo(tmp_path / "in/.Trash-1000/old.jpg", size=(32, 24), seed=10)
    write_site(tmp_path / "site.geojson")
    return tmp_path / "in"


@pytest.mark.parametrize("keep", [False, True])
def test_exact_positions_off_the_site_are_kept_where_that_is_asked(photos: Path, tmp_path: Path, keep: bool) -> None:
    dataset, site = tmp_path / "ds", tmp_path / "site.geojson"
    outcomes = collect.ingest(photos, dataset, site=site, jobs=0, keep_positions=keep, command="img2gps ingest in ds")
    assert (outcomes.new, outcomes.rejected) == (3, {"outside_site": 1})
    [row] = read_rejected(dataset / "rejected.csv").values()
    assert (f"{FAR[1]:.1f}" in row.detail) is keep
    assert '"command":"img2gps ingest in ds"' in (dataset / "ingests.jsonl").read_text().replace('": "', '":"')


def test_hidden_photos_are_taken_in_where_that_is_asked(photos: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.geojson"
    assert collect.validate(photos, site=site, jobs=0).new == 3
    assert collect.validate(photos, site=site, jobs=0, include_hidden=True).new == 4
    assert collect.doctor(photos, site=site, jobs=0, include_hidden=True).usable == 4
    assert collect.ingest(photos, tmp_path / "ds", site=site, jobs=0, include_hidden=True).new == 4


@pytest.mark.slow
def test_a_dry_run_writes_nothing(photos: Path, tmp_path: Path) -> None:
    outcomes = collect.ingest(photos, tmp_path / "ds", site=tmp_path / "site.geojson", jobs=0, dry_run=True)
    assert outcomes.new == 3
    assert not (tmp_path / "ds").exists()
    assert collect.simulate(tmp_path / "practice", photos=3, size=64, jobs=1, dry_run=True).kinds["good"] == 3
    assert not (tmp_path / "practice").exists()


def test_a_site_that_shrinks_is_refused_unless_allowed(photos: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "ds"
    collect.ingest(photos, dataset, site=tmp_path / "site.geojson", jobs=0)
    elsewhere = tmp_path / "elsewhere.geojson"
    elsewhere.write_text(json.dumps(mapping(Point(FAR).buffer(0.01))))
    with pytest.raises(UsageError, match="outside"):
        collect.ingest(photos, dataset, site=elsewhere, jobs=0)
    assert len(rows(dataset)) == 3
    collect.ingest(photos, dataset, site=elsewhere, jobs=0, allow_shrink=True)
    assert set(rows(dataset)) == {"far.jpg"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_accuracy_m": -1.0}, "accuracy"),
        ({"max_accuracy_m": float("nan")}, "accuracy"),
        ({"jobs": -1}, "worker processes"),
        ({"jobs": "two"}, "worker processes"),
        ({"short_side_px": 0}, "short side"),
        ({"timeout_s": 0.0}, "more than 0 s"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused_as_the_command_refuses_them(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    write_photo(tmp_path / "photos" / "a.jpg")
    site = write_site(tmp_path / "site.geojson")
    with pytest.raises(UsageError, match=said):
        collect.ingest(tmp_path / "photos", tmp_path / "quad", site=site, **settings)
    assert not (tmp_path / "quad").exists()
