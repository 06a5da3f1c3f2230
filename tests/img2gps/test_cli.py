"""The root command: every command has help, an example and a place in the docs; errors have exit codes."""

import configparser
import io
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import click
import pytest
from photos import write_site, write_walk

from img2gps import cli, console, errors
from img2gps.console import command
from img2gps.drafts import draft_of
from img2gps.files import read_json_lines

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNS_IMG2GPS = re.compile(r"(^|&& |-m )\s*img2gps ")
NAMES = sorted(entry.name for entry in entry_points(group="img2gps.commands"))


def loaded(name: str) -> click.Command:
    found = cli.cli.get_command(click.Context(cli.cli), name)
    assert found is not None
    return found


def parse(words: list[str]) -> None:
    """Parse the words after ``img2gps`` and run nothing: unknown options and missing arguments raise."""
    name, *arguments = words
    if name.startswith("-"):  # `--version --json`
        options = {option for parameter in cli.cli.params for option in parameter.opts}
        assert set(words) <= options | {"--help"}
        return
    loaded(name).make_context(name, arguments, parent=click.Context(cli.cli))


def documented_lines() -> list[tuple[str, str]]:
    """Return (page:line, shell line) for each line of a code block that runs img2gps, and for inline code with words
    behind the command's name: `img2gps label` alone is a mention."""
    found = []
    for page in PAGES:
        fenced = False
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            fenced ^= line.startswith("```")
            if line.startswith("<!--"):  # a remark about the block below, which tests/docs/test_shell_blocks.py reads
                continue
            shown = [line] if fenced or line.startswith("    ") else re.findall(r"`(img2gps [^`\s]+ [^`]+)`", line)
            found += [(f"{page.name}:{number}", text) for text in shown if RUNS_IMG2GPS.search(text)]
    return found


def statements(line: str) -> list[list[str]]:
    """Return the words of each command of a shell line, without its comment."""
    words = shlex.split(line, comments=True)
    return [list(group) for is_and, group in itertools.groupby(words, "&&".__eq__) if not is_and]


def test_the_commands_of_the_design_exist() -> None:
    expected = (
        "ablate audit basemap demo doctor evaluate explain export fetch forget ingest label "
        "merge migrate predict publish serve simulate site split train validate verify"
    )
    assert expected.split() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_command_has_help_with_a_working_example(name: str) -> None:
    found = loaded(name)
    assert found.help
    epilog = str(found.epilog)
    examples = [line.removeprefix("$ img2gps ") for line in epilog.split("\n\n") if line.startswith("$ img2gps ")]
    words = [shlex.split(example) for example in examples]
    assert name in {first for first, *_ in words}, f"img2gps {name} --help shows no example of it"
    for line in words:
        parse(line)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"fetch"}))  # it makes a run, of any name
def test_an_example_names_runs_as_train_or_the_guides_do(name: str) -> None:
    runs = re.findall(r"runs/([\w-]+)", str(loaded(name).epilog))
    assert all(re.fullmatch(r"(quick|default|finetune|published|folds)-001", run) for run in runs), runs


@pytest.mark.parametrize(("where", "line"), documented_lines())
def test_a_documented_command_line_is_one_that_can_be_typed(where: str, line: str) -> None:
    found = [words[words.index("img2gps") + 1 :] for words in statements(line) if "img2gps" in words]
    assert found, f"{where} shows no command"
    for words in found:
        parse(words)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_help(name: str) -> None:
    for parameter in loaded(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"img2gps {name} {parameter.opts[0]} has no help"


@pytest.mark.parametrize("name", NAMES)
def test_command_takes_a_config_file_and_speaks_json(name: str) -> None:
    options = {option for parameter in loaded(name).params for option in parameter.opts}
    assert {"--config", "--json"} <= options


@pytest.mark.parametrize(
    "line",
    [
        "validate photos --site x --clock-offset {}",
        "validate photos --site x --max-accuracy {}",
        "validate photos --site x --timeout {}",
        "ingest photos quad --clock-offset {}",
        "audit quad --cell {}",
        "simulate out --gps-noise-m {}",
        "simulate out --bad-share {}",
    ],
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_is_a_usage_error(
    line: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(line.format(value).split()) == 2
    assert "Invalid value for '--" in capsys.readouterr().err


@pytest.mark.parametrize("offset", ["1e18", "-1e18"])
def test_a_clock_that_is_off_by_more_than_years_is_a_usage_error(offset: str) -> None:
    with pytest.raises(click.UsageError, match="not in the range"):
        parse(["validate", "photos", "--site", "x", "--clock-offset", offset])
    parse(["validate", "photos", "--site", "x", "--clock-offset", "-3600"])


@pytest.mark.parametrize("name", NAMES)
def test_command_has_a_place_in_the_docs(name: str) -> None:
    assert any(f"img2gps {name}" in page.read_text(encoding="utf-8") for page in PAGES)


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["frobnicate"]) == 2
    assert "frobnicate" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("Evaluate", "evaluate"), ("ingst", "ingest")])
def test_a_command_that_is_nearly_one_is_answered_with_that(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([typed]) == 2
    assert f"did you mean `{meant}`?" in capsys.readouterr().err


def test_the_help_groups_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    said = capsys.readouterr().out
    titles = [said.index(f" {title} ") for title in ("Collect", "Train", "Practise")]
    assert titles == sorted(titles)
    assert titles[0] < said.index("ingest ") < titles[1] < said.index("evaluate ") < titles[2] < said.index("simulate ")
    assert "─ Commands ─" not in said  # every command has a group


def test_the_version_is_told_alone_and_with_what_answers_depend_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["img2gps,", "version", version("img2gps")]
    assert cli.run(["--version", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == version("img2gps")
    assert told["packages"]["torch"] == version("torch")


def test_every_extra_is_in_the_docs() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    page = (ROOT / "docs" / "guides" / "install.md").read_text(encoding="utf-8")
    extras = [name for name, needs in setup["options.extras_require"].items() if needs.strip()]
    assert [name for name in extras if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_for_a_shell_completes_commands_and_options(shell: str) -> None:
    page = (ROOT / "docs" / "guides" / "install.md").read_text(encoding="utf-8")
    assert f"_IMG2GPS_COMPLETE={shell}_source img2gps" in page
    for words, wanted in (("img2gps tr", "train"), ("img2gps ingest --dry", "--dry-run")):
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_IMG2GPS_COMPLETE": f"{shell}_complete"}
        asked |= {"COMP_CWORD": words.split()[-1]} if shell == "fish" else {}
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.argv[0] = 'img2gps'; from img2gps.start import main; main()"],
            env=os.environ | asked,
            capture_output=True,
            text=True,
            check=False,
        )
        assert wanted in done.stdout


def test_the_help_looks_for_commands_among_the_packages_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(*, group: str) -> object:
        asked.append(group)
        return entry_points(group=group)

    monkeypatch.setattr(cli, "entry_points", counted)
    cli._entry_points.cache_clear()
    assert cli.run(["--help"]) == 0
    assert asked == ["img2gps.commands"]


@pytest.mark.parametrize("name", NAMES)
def test_help_names_the_environment_variable_of_each_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    assert cli.run([name, "--help"]) == 0
    said = "".join(capsys.readouterr().out.replace("│", "").split())
    options = [option for option in command.params if isinstance(option, click.Option) and not option.is_eager]
    for option in options:
        assert f"envvar:{option.envvar}" in said


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_become_one_message_and_their_exit_code(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error_type = getattr(errors, name)

    def fail(*_: object, **__: object) -> None:
        raise error_type("The [/] thing is wrong: mend it.")

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.run([]) == error_type.exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Error: The [/] thing is wrong: mend it.\n"


def test_exit_codes_are_those_of_the_contract() -> None:
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__}
    assert codes == {
        "Img2GPSError": 1,
        "QualityGateError": 1,
        "UsageError": 2,
        "MissingSiteError": 2,
        "NotFoundError": 3,
        "InvalidDatasetError": 4,
        "InvalidCheckpointError": 5,
        "DeviceError": 6,
        "RejectedFilesError": 7,
        "DatasetLockedError": 75,
        "RunLockedError": 75,
    }


def test_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.cli, "main", interrupt)
    assert cli.run([]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "manifest.parquet")

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.run([]) == cli.EXIT_IO_ERROR
    assert "No space left on device (manifest.parquet)" in capsys.readouterr().err


@command("toy", example="img2gps toy --size 3")
@click.option("--size", type=int, default=1)
@console.config_option
@console.json_option
def toy(size: int, as_json: bool) -> None:
    """Print the size."""
    if as_json:
        console.print_json({"size": size, "bad": float("nan"), "path": "é"})
    else:
        console.print_text(str(size))


def run_toy(*arguments: str) -> None:
    toy.main(list(arguments), prog_name="toy", standalone_mode=False, auto_envvar_prefix="IMG2GPS_TOY")


def test_option_beats_environment_beats_config_beats_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[toy]\nsize = 2\n")
    run_toy()
    run_toy("--config", str(config))
    monkeypatch.setenv("IMG2GPS_TOY_SIZE", "3")
    run_toy("--config", str(config))
    run_toy("--config", str(config), "--size", "4")
    assert capsys.readouterr().out.split() == ["1", "2", "3", "4"]


def test_config_errors_name_the_file_and_the_key(tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.toml"
    unknown.write_text("sise = 2\n")
    with pytest.raises(errors.UsageError, match="sise"):
        run_toy("--config", str(unknown))
    malformed = tmp_path / "malformed.toml"
    malformed.write_text("size = \n")
    with pytest.raises(errors.UsageError, match="is not TOML"):
        run_toy("--config", str(malformed))
    with pytest.raises(errors.NotFoundError):
        run_toy("--config", str(tmp_path / "absent.toml"))


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    run_toy("--json")
    assert json.loads(capsys.readouterr().out) == {"size": 1, "bad": None, "path": "é"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_text_that_stdout_cannot_encode_is_escaped_and_json_stays_json(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(*_: object, **__: object) -> None:
        console.print_table("世界", ["photo"], [["世界.jpg"]])
        console.print_text("…")
        console.say("世界")
        console.print_json({"photo": "é世😀"})

    stdout = io.BytesIO()
    for name, stream in (("stdout", stdout), ("stderr", io.BytesIO())):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding=encoding))
    monkeypatch.setattr(cli.cli, "main", show)
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main([])
    written = stdout.getvalue()
    assert written.startswith(rb"\u4e16\u754c")
    assert json.loads(written[written.index(b"{") :]) == {"photo": "é世😀"}


def test_tables_show_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table("T [/]", ["name", "n"], [["[/red] x", 1_000]])
    assert "[/red] x" in capsys.readouterr().out


def test_no_bar_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from img2gps.progress import track

    assert list(track(range(3), "counting", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_closed_pipe_is_no_error() -> None:
    program = [sys.executable, "-m", "img2gps", "--help"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 0


@pytest.mark.parametrize("closed", [">&-", "<&-", "<&- >&-"])
def test_a_closed_stream_is_no_error(closed: str, tmp_path: Path) -> None:
    shell = f'"{sys.executable}" -m img2gps --version {closed}'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk")
@pytest.mark.parametrize("unheard", ["2>/dev/full", "2>&-"])
def test_messages_that_cannot_be_written_change_no_exit_code(unheard: str, tmp_path: Path) -> None:
    shell = f'"{sys.executable}" -m img2gps verify missing {unheard}'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == errors.NotFoundError.exit_code


def test_a_draft_that_cannot_be_made_is_told_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_words: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", os.fspath(draft_of(tmp_path / "out")))

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.run(["merge"]) == cli.EXIT_IO_ERROR
    assert f"Permission denied ({tmp_path.resolve()}): nothing" in " ".join(capsys.readouterr().err.split())


def test_work_goes_on_where_nobody_reads_its_messages(tmp_path: Path) -> None:
    program = "from img2gps import cli, console; cli.run = lambda _: console.say('x') or print('done') or 7; cli.main()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.close()
        assert process.stdout.read().strip() == b"done"
    assert process.returncode == 7


@pytest.mark.slow
def test_an_ingest_is_recorded_as_a_line_that_a_shell_takes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_walk(tmp_path / "monday's walk", 2, size=(32, 24))
    write_site(tmp_path / "site.geojson")
    words = ["ingest", "monday's walk", "ds", "--site", "site.geojson"]
    assert cli.run([*words, "--jobs", "1"]) == 0
    record = read_json_lines(tmp_path / "ds/ingests.jsonl")[-1]
    assert shlex.split(record["command"]) == ["img2gps", *words, "--jobs", "1"]


def test_a_command_that_another_one_runs_knows_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    commands = {
        "outer": click.Command("outer", callback=lambda: cli.cli.main(["inner"], standalone_mode=False)),
        "inner": click.Command("inner", callback=lambda: lines.append(console.command_line())),
    }
    monkeypatch.setattr(cli.CommandGroup, "get_command", lambda _group, _context, name: commands[name])
    assert cli.run(["outer"]) == 0
    assert lines == ["img2gps inner"]
