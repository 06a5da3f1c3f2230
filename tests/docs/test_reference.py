"""The reference says what the code does: its tables are those of the code, and its folders hold what it names."""

import importlib.util
import re
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from img2gps.errors import __all__ as exceptions
from train.config.schema import ProbeConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_reference", DOCS / "write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_code_says(writer: ModuleType) -> None:
    for name, text in writer.pages().items():
        written = (DOCS / "reference" / name).read_text(encoding="utf-8")
        assert written == text, f"{name} is older than the code: run `python docs/write_reference.py`"


def test_a_field_has_its_bounds_its_words_and_what_presets_make_of_it(writer: ModuleType) -> None:
    page = writer.config_page()
    row = next(line for line in page.splitlines() if line.startswith("| `cell_m`"))
    assert "| 0.1 to 1e+06 |" in row
    assert str(ProbeConfig.model_fields["cell_m"].description) in row
    assert "`mean`, `median`, `mode`" in page
    assert re.search(r"\| `schedule` \|.*published: `step`", page)


def test_every_exception_has_its_code(writer: ModuleType) -> None:
    page = writer.exit_codes_page()
    missing = {name for name in exceptions if f"`{name}`" not in page}
    assert missing == {"Img2GPSError", "MissingSiteError"}  # the root, and a kind of UsageError
    for check in ("audit --fail-under", "site check", "export --check", "export --half"):
        assert f"`{check}`" in page


def test_the_page_of_folders_names_every_file() -> None:
    page = (DOCS / "reference" / "folders.md").read_text(encoding="utf-8")
    earlier = DOCS.parent / "tests" / "data" / "v0.1"
    with tarfile.open(earlier / "runs.tar.xz") as archive:
        inside = [Path(one.name) for one in archive.getmembers() if one.isfile()]
    names = {path.name for path in (earlier / "quad").iterdir()} | {path.name for path in inside}
    assert {"manifest.parquet", "model.safetensors"} <= names
    names |= {"rejected.sha256", "redaction.json", "forecast.json", "explanations/"}  # what that version did not write
    assert not {name for name in names if name not in page}
