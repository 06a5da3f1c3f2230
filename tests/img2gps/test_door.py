"""The three packages as a programmer meets them: names, types, examples, and a working folder with files of its own."""

import ast
import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from photos import write_site
from PIL import Image

from collect.api import ingest, simulate
from img2gps.dataset import Dataset
from img2gps.progress import stderr
from tests.train.colours import without_curves
from train.api import train

PACKAGES = ("img2gps", "collect", "train")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_only_those_are_listed(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__all__ == sorted(package.__all__)
    for public in package.__all__:
        assert getattr(package, public).__doc__ or public == "__version__", f"{name}.{public} says nothing of itself"
    assert set(package.__all__) - {"__version__"} <= set(dir(package))
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", PACKAGES)
def test_names_for_the_type_checker_are_those_of_all(name: str) -> None:
    tree = ast.parse((ROOT / name / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    typed = {alias.asname or alias.name for node in imports for alias in node.names} - {"__version__"}
    assert typed == set(importlib.import_module(name).__all__) - {"__version__"}


def test_importing_the_packages_imports_nothing_heavy() -> None:
    heavy = ("torch", "geopandas", "pandas", "matplotlib", "pyarrow", "click")
    code = f"import sys, img2gps, collect, train; print(sorted(set({heavy!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_names_stay_what_they_are_after_modules_were_imported() -> None:
    """A folder of a function's name would take its place in the package as soon as something imports it."""
    code = """
import importlib, pathlib, collect, img2gps, train
for package in (collect, train):
    for path in pathlib.Path(package.__file__).parent.rglob("*.py"):
        parts = path.relative_to(pathlib.Path(package.__file__).parents[1]).with_suffix("").parts
        if "commands" not in parts and parts[-1] != "__main__":
            importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
for package in (collect, train):
    for name in package.__all__:
        assert callable(getattr(package, name)), name
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("start", [["-m", "img2gps"], ["script"]])
def test_files_of_the_working_folder_are_not_taken_for_ours(start: list[str], tmp_path: Path) -> None:
    for name in ("train", "collect", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file of the working folder was run')\n")
    script = Path(sys.executable).parent / "img2gps"
    if start == ["script"] and not script.exists():
        pytest.skip("the program img2gps is not installed beside this Python")
    words = [str(script)] if start == ["script"] else [sys.executable, *start]
    # installed or not, the packages are found where this test has found them, and not in the working folder
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    simulate_one = ["simulate", "out", "--photos", "1", "--size", "64", "--jobs", "1"]
    for arguments in (["--help"], ["train", "nothing-here"], simulate_one):
        result = subprocess.run(
            [*words, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert "was run" not in result.stderr + result.stdout
        assert result.returncode == (3 if "nothing-here" in arguments else 0), result.stderr


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as the examples know it: raw photos, a dataset, a run and a photo."""
    folder = tmp_path_factory.mktemp("workplace")
    simulate(folder / "campus", photos=60, size=96, seed=4, jobs=1)
    ingest(folder / "campus" / "photos", folder / "quad", site="penn-engineering-quad", jobs=1)
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        patch.chdir(folder)
        from collect.api import split

        split("quad", val=12, test=12, folds=2)
        tiny = {"model": "timm/test_efficientnet", "weights": "none", "epochs": 1, "size": 32}
        train("quad", preset="quick", name="quick-001", **tiny)
    first = Dataset.open(folder / "quad").frame().iloc[0]
    (folder / "surveyed.csv").write_text(f"id,lon,lat,action\n{first['id']},{first['lon']},{first['lat']},confirm\n")
    Image.new("RGB", (64, 48)).save(folder / "IMG_0042.jpg")
    write_site(folder / "square.geojson")
    return folder


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(recurse=False)
    found = []
    for name in PACKAGES:
        package = importlib.import_module(name)
        found += finder.find(package, name)
        for public in sorted(set(package.__all__) - {"__version__"}):  # in one order, whatever the process
            found += finder.find(getattr(package, public), f"{name}.{public}", globs={})
    return [test for test in found if test.examples]


@pytest.mark.slow
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_the_examples_in_docstrings_hold(
    example: doctest.DocTest, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    without_curves(monkeypatch)
    monkeypatch.setattr(stderr(), "quiet", True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert runner.run(example).failed == 0
