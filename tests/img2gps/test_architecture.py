"""The import directions of docs/explanation/architecture.md, read from the source without running it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("img2gps", "collect", "train")
MAY_IMPORT = {"img2gps": {"img2gps"}, "collect": {"collect", "img2gps"}, "train": {"train", "img2gps"}}
# Modules that may take a second to import; a command body is the place for them.
HEAVY = {"geopandas", "torch", "torchvision", "timm", "matplotlib", "pandas", "scipy"}
CLICK = {"click", "rich_click"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """Yield the full names of the modules that `path` imports; those of `if TYPE_CHECKING` blocks are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(node) for branch in ast.walk(tree) if is_type_checking(branch) for node in ast.walk(branch)}
    nodes = tree.body if top_level else list(ast.walk(tree))
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module or ""


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_only_point_down(package: str) -> None:
    forbidden = set(PACKAGES) - MAY_IMPORT[package]
    for path in modules(package):
        crossed = {name for name in imports(path) if name.split(".")[0] in forbidden}
        assert not crossed, f"{path.relative_to(ROOT)} imports {crossed}"


@pytest.mark.slow
def test_click_stays_at_the_edge() -> None:
    for package in PACKAGES:
        for path in modules(package):
            relative = path.relative_to(ROOT)
            at_edge = relative.parts[1:2] == ("commands",) or relative.as_posix() in {
                "img2gps/cli.py",
                "img2gps/console.py",
            }
            used = {name.split(".")[0] for name in imports(path)} & CLICK
            assert at_edge or not used, f"{relative} imports {used}"


def test_img2gps_never_imports_torch() -> None:
    for path in modules("img2gps"):
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & {"torch", "torchvision", "timm"}, path


def test_command_modules_import_heavy_libraries_in_their_bodies() -> None:
    for package in ("collect", "train"):
        for path in modules(f"{package}/commands"):
            assert not {name.split(".")[0] for name in imports(path, top_level=True)} & HEAVY, path


@pytest.mark.slow
def test_no_import_cycles() -> None:
    graph = {module_name(path): set(imports(path, top_level=True)) for package in PACKAGES for path in modules(package)}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done or name not in graph:
            return
        for imported in graph[name]:
            visit(imported, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_help_imports_neither_torch_nor_geopandas() -> None:
    code = f"""
import sys
from img2gps.cli import run
code = run(["--help"])
print(sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)
sys.exit(code)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip().splitlines()[-1] == "[]"
    assert "ingest" in result.stdout


# The floors of docs/explanation/architecture.md, from the top down: a room may import what lies below it, never what
# lies above or beside it. Rooms of one floor stand in one tuple.
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "collect": (
        ("commands",),
        ("api",),
        ("publishing",),
        ("forgetting", "marking", "merging", "migration", "outlining"),
        ("verification", "diagnosis"),
        ("ingestion", "auditing", "label", "mapping"),
        ("validation", "splits"),
        ("reading", "simulation"),
        ("layers", "tables"),
    ),
    "collect.simulation": (
        ("simulate",),
        ("worker",),
        ("rendering",),
        ("phones",),
        ("campus",),
        ("facades",),
        ("drawing",),
        ("arrays",),
    ),
    "train": (
        ("commands",),
        ("api", "verification"),
        ("exporting",),
        ("study",),
        ("explanation",),
        ("evaluation", "training"),
        ("refinement",),
        ("inference",),
        ("models",),
        ("runs",),
        ("data",),
        ("config", "runtime"),
    ),
    "train.models": (
        ("registry",),
        ("probe",),
        ("network",),
        ("restoring",),
        ("localizer", "pretrained", "familiarity", "reliability", "walks", "strangers"),
        ("weights",),
        ("backbones", "evidence", "calibration"),
        ("distribution", "conformal"),
        ("grid",),
    ),
    "train.models.probe": (
        ("fit",),
        ("state", "unseen"),
        ("model",),
        ("site_model",),
        ("finetune",),
        ("heads",),
        ("features",),
        ("covisibility",),
    ),
}


@pytest.mark.parametrize("room", FLOORS)
def test_every_part_of_a_room_has_its_floor(room: str) -> None:
    folder = ROOT.joinpath(*room.split("."))
    parts = {path.stem for path in folder.iterdir() if path.suffix == ".py" and path.stem != "__init__"}
    parts |= {path.name for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert parts == {part for floor in FLOORS[room] for part in floor}


@pytest.mark.slow
@pytest.mark.parametrize("room", FLOORS)
def test_no_arrow_between_the_parts_of_a_room_runs_up_or_sideways(room: str) -> None:
    height = {part: -number for number, floor in enumerate(FLOORS[room]) for part in floor}
    wrong = []
    for path in modules(room.replace(".", "/")):
        importer = module_name(path)
        if importer == room:
            continue  # the door of a package names what lies behind it
        own = part_of(importer, room)
        for imported in every_import(path):
            other = part_of(imported, room)
            if other in height and other != own and height[other] >= height[own]:
                wrong.append(f"{importer} imports {imported}")
    assert not wrong, "\n".join(wrong)


def part_of(name: str, room: str) -> str:
    """Return which part of `room` a module belongs to, nothing where it is not of the room."""
    return name.removeprefix(f"{room}.").split(".")[0] if name.startswith(f"{room}.") else ""


def every_import(path: Path) -> Iterator[str]:
    """Yield the full names of everything that `path` imports, inside functions and for type checkers, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.slow
def test_a_public_class_name_means_one_class() -> None:
    places: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in modules(package):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
