"""What the pages tell a reader to type works, or says why not; and JSON is as the reference says."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rich_click as click
from documented_scene import SMALL, make_scene, stand_ins
from sentences import pages
from shell_blocks import Step, steps_of

from img2gps.cli import cli, run
from tests.train.colours import without_curves

ROOT = Path(__file__).parents[2]
# Tutorials build on each other: a test of their own follows them.
TUTORIALS = ROOT / "docs" / "tutorials"
# Other people's programs are not tried here.
OTHERS = {
    "pip": "it installs packages",
    "venv/bin/pip": "it installs packages",
    "python": "it starts a server, or a benchmark of minutes",
    "cp": "a tutorial's own test copies the folder",
    "curl": "it asks a server",
    "docker": "it builds a container",
    "hf": "it asks the Hub",
    "torchrun": "it wants several GPUs",
    "pytest": "it would run this test",
}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def told(page: Path) -> list[Step]:
    """Return the commands of this program on a page."""
    return [step for step in steps_of(page) if step.words[0] == "img2gps"]


PAGES = [page for page in pages() if "reference/commands" not in str(page)]
WITH_COMMANDS = [
    page for page in PAGES if page.parent != TUTORIALS and any(step.how != "not run" for step in told(page))
]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_on_a_page_is_one_with_its_options(page: Path) -> None:
    """Commands within sentences, too, and those that are not run."""
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.S)
    inline = re.findall(r"`img2gps ([^`]+)`", text)
    for words in [step.words[1:] for step in told(page)] + [tuple(shlex.split(text)) for text in inline]:
        context: click.Context = click.Context(cli, info_name="img2gps")
        command, rest = cli.get_command(context, words[0]), list(words[1:])
        if words[0].startswith("-") or words[0].isupper():
            continue
        assert command is not None, f"{name(page)}: there is no command {words[0]}"
        if isinstance(command, click.Group) and rest:
            command, rest = command.get_command(context, rest[0]), rest[1:]
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        for option in (word for word in rest if re.match(r"--?[a-z]", word)):
            assert option.partition("=")[0] in known | {"--help"}, f"{name(page)}: {' '.join(words)}: no {option}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_that_is_not_run_says_why(page: Path) -> None:
    for step in steps_of(page):
        if step.words[0] != "img2gps":
            assert step.words[0] in OTHERS or step.reason, f"{name(page)}:{step.line}: {step.text} is nobody's"


def test_most_commands_are_run() -> None:
    steps = [step for page in PAGES for step in told(page)]
    run_ones = [step for step in steps if step.how == "run"]
    assert len(run_ones) >= 0.7 * len(steps), "\n".join(f"{step.text}: {step.reason}" for step in steps if step.reason)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scene(tmp_path_factory.mktemp("scene"))


def waits(*_: Any, **__: Any) -> None:
    raise AssertionError("the command waits for a person: say before the block that it is not run")


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_the_commands_of_a_page_work(
    page: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(scene, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    without_curves(monkeypatch)
    for variable, value in SMALL.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("train.evaluation.evaluate.write_plots", lambda *_, **__: [])  # tests of their own draw them
    monkeypatch.setattr("uvicorn.Server.run", waits)
    names, failed = stand_ins(scene), []
    for step in told(page):
        if step.how == "not run":
            continue
        words = [placed(names.get(word, word)) for word in step.words[1:]] + ["--dry-run"] * (step.how == "dry run")
        code = run(words)
        said = capfd.readouterr().err.strip().splitlines()[-3:]
        if code != step.code:
            failed.append("\n".join([f"{name(page)}:{step.line}: exit {code}: {step.text}", *said]))
    assert not failed, "\n\n".join(failed)


def placed(word: str) -> str:
    """Return a word of a page as it is called in the scene, which is home and root at once."""
    return word.removesuffix("...").removeprefix("~/").removeprefix("/")


SCHEMAS = ROOT / "docs" / "reference" / "schemas"
# What stands in `schemas` under the name of a command: the words that print it in the scene, in this order.
PRINTED = {
    "version": "--version",
    "simulate": "simulate new --dry-run",
    "doctor": "doctor walks/monday",
    "validate": "validate campus/photos walks/monday --site site.geojson",
    "ingest": "ingest campus/photos walks/monday quad",
    "verify": "verify quad",
    "basemap": "basemap quad --layer campus/basemap.parquet",
    "audit": "audit quad",
    "label-queue": "label quad --queue",
    "label-export": "label quad --export again.geojson",
    "label-import": "label quad --import corrections.geojson",
    "label-marks": "label quad --marks marked --import polygons.json",
    "split": "split quad --dry-run",
    "site-check": "site check site.geojson",
    "site-draw": "site draw new.geojson --on walks/monday --accept --dry-run",
    "publish": "publish quad quad-hub --license cc-by-4.0",
    "fetch": "fetch quad-hub quad-2",
    "forget": "forget quad 3f2a9c04b1 --dry-run",
    "merge": "merge quad media/stick/quad --into both --dry-run",
    "migrate": "migrate quad --dry-run",
    "train": "train quad --preset published --size 32",
    "ablate": "ablate quad --preset published --model timm/test_efficientnet --lr 1e-3 --dry-run",
    "ablate-study": "ablate quad --preset quick --model timm/test_efficientnet --weights none --size 32 "
    "--set heads=neighbours,heat_map --explain practice/masks",
    "export": "export runs/quick-001 OUT --dry-run",
    "predict": "predict runs/quick-001 photos",
    "evaluate": "evaluate runs/quick-001",
    "evaluate-several": "evaluate runs/quick-001 runs/default-001",
    "explain": "explain runs/quick-001 photos/IMG_0001.jpg",
    "explain-classes": "explain runs/quick-001 --split val --masks practice/masks --refit",
}
ELSEWHERE = {"demo"}  # tests/img2gps/test_demo.py prints it


def schema_of(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))


def undescribed(value: object, schema: dict[str, Any], defs: dict[str, Any], where: str) -> list[str]:
    """Return the keys of a document that its schema does not name."""
    schema = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(value, list):
        return [key for one in value for key in undescribed(one, schema.get("items", {}), defs, f"{where}[]")]
    if not isinstance(value, dict) or schema.get("additionalProperties") is True:
        return []
    named, others, found = schema.get("properties", {}), schema.get("additionalProperties"), []
    for key, one in value.items():
        inner = named.get(key, others)
        found += [f"{where}.{key}"] if inner is None else undescribed(one, inner, defs, f"{where}.{key}")
    return found


def test_every_command_with_json_has_a_schema() -> None:
    with_json = set()
    context: click.Context = click.Context(cli, info_name="img2gps")
    for command in cli.list_commands(context):
        found = cli.get_command(context, command)
        kinds = list(found.commands.values()) if isinstance(found, click.Group) else [found]
        if any("--json" in parameter.opts for kind in kinds if kind for parameter in kind.params):
            with_json.add(command)
    described = {path.stem.partition("-")[0] for path in SCHEMAS.glob("*.json")}
    assert with_json - described <= {"serve"}  # it answers by HTTP, and describes that itself
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(PRINTED) | ELSEWHERE


@pytest.mark.slow
def test_what_is_printed_as_json_is_as_its_schema_says(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(scene, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    without_curves(monkeypatch)
    monkeypatch.setattr("train.evaluation.evaluate.write_plots", lambda *_, **__: [])
    for variable, value in SMALL.items():
        monkeypatch.setenv(variable, value)
    names, failed = stand_ins(scene), []
    for name, words in PRINTED.items():
        capfd.readouterr()
        code = run([*(names.get(word, word) for word in words.split()), "--json"])
        out, err = capfd.readouterr()
        assert code == 0, f"{words}: {err[-1000:]}"
        document, schema = json.loads(out), schema_of(name)
        errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
        failed += [f"{name}: {error.json_path}: {error.message[:200]}" for error in errors]
        failed += [f"{key}: not in the schema" for key in undescribed(document, schema, schema.get("$defs", {}), name)]
    assert not failed, "\n".join(failed)
