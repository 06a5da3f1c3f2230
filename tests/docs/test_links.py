"""The pages' links lead somewhere: files of the repository, and headings in them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BEFORE_SPACES = re.compile(r"[^\w\s-]")


def pages() -> list[Path]:
    """Return every page in Markdown that people read."""
    written = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    return [*sorted(ROOT.glob("*.md")), *sorted(written)]


def anchors(page: Path) -> set[str]:
    """Return the fragments of a page's headings, made as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {BEFORE_SPACES.sub("", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), f"{page.name} links to {target}, which is not there"
        if fragment and found.suffix == ".md":
            assert fragment in anchors(found), f"{page.name} links to {target}: no such heading"


@pytest.mark.parametrize("folder", ["collect", "train", "img2gps", "tests", "benchmarks"])
def test_a_page_that_the_code_names_is_there(folder: str) -> None:
    for source in (ROOT / folder).rglob("*.py"):
        for name in re.findall(r"docs/[\w/-]+\.md", source.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{source.relative_to(ROOT)} names {name}, which is not there"
