"""The Python that pages show imports what is there and uses no name that the page has not made."""

import ast
import builtins
import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from sentences import pages

ROOT = Path(__file__).parents[2]
OURS = ("collect", "train", "img2gps")
FENCED = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
INDENTED = re.compile(r"(?:\A|\n\n)((?:    (?:from|import) .*\n)(?:(?:    .*)?\n)*)")


def source_of(page: Path) -> str:
    """Return the Python of a page, its blocks one after the other."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(textwrap.dedent(block) for block in FENCED.findall(text) + INDENTED.findall(text))


WITH_PYTHON = [page for page in pages() if source_of(page)]


def test_pages_with_python_are_found() -> None:
    assert {"python.md", "evaluation.md", "audit.md", "export.md"} <= {page.name for page in WITH_PYTHON}


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_is_imported_or_made_on_the_page(page: Path) -> None:
    tree = ast.parse(source_of(page))
    made = set(dir(builtins)) | {alias.asname or alias.name for alias in imports(tree)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    unknown = {node.id for node in names if node.id not in made}
    assert not unknown, f"{page.name} uses {', '.join(sorted(unknown))}, which its Python never imports or makes"


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_imported_of_these_packages_is_there(page: Path) -> None:
    for node in ast.walk(ast.parse(source_of(page))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OURS:
            module = importlib.import_module(node.module or "")
            missing = {alias.name for alias in node.names if not hasattr(module, alias.name)}
            assert not missing, f"{page.name}: {node.module} has no {', '.join(sorted(missing))}"


def imports(tree: ast.Module) -> Iterator[ast.alias]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from node.names
