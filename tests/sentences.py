"""How long the sentences of a text are, counted as a reader counts them.

Left out: front matter, code blocks, tables, headings, directives, comments. Code within a sentence is one word.
A paragraph and an item of a list each end a sentence. Run as a program it prints the figures of every page.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
_ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
_NEVER_PROSE = re.compile(r"\s*(?:\||#|:::|<!--|!\[|\[[^\]]+\]:|[-=]{3,}\s*$)")
_ENDS = re.compile(r"(?<=[.!?])[\"'”)*]*\s+(?=[\"'“(*`]*[A-Z0-9À-Þ`])")
_GOES_ON = re.compile(r"(?:\b(?:e\.g|i\.e|al|vs|sec|Fig|no|approx)|\.\.)\.$")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a page, and the line on which its paragraph begins."""

    page: str
    line: int
    text: str

    @property
    def words(self) -> int:
        """Return how many words it has: what stands between spaces and holds a letter or a digit."""
        return sum(any(sign.isalnum() for sign in word) for word in self.text.split())


def pages() -> list[Path]:
    """Return the README and every page of the documentation that somebody wrote."""
    written = (path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
    return [ROOT / "README.md", *sorted(written)]


def sentences_of_page(path: Path) -> list[Sentence]:
    """Return the sentences of a page in Markdown."""
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    found = []
    for line, paragraph in _paragraphs(path.read_text(encoding="utf-8").splitlines()):
        found += [Sentence(name, line, text) for text in sentences(paragraph)]
    return found


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph of Markdown or plain text into its sentences."""
    plain = re.sub(r"``[^`]+``|`[^`]+`", "Code", paragraph)
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    found: list[str] = []
    for part in _ENDS.split(" ".join(plain.split())):
        if found and _GOES_ON.search(found[-1]):
            found[-1] += " " + part
        elif part:
            found.append(part)
    return found


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each paragraph and each item of a list."""
    begun, gathered, fence, in_list, blank = 0, list[str](), "", False, True
    front = False
    for number, line in enumerate(lines, start=1):
        mark = re.match(r"\s*(```+|~~~+)", line)
        front = (number == 1 and line == "---") or (front and line != "---")
        code = bool(fence) or mark is not None or (blank and not in_list and line.startswith("    "))
        if mark is not None:
            fence = "" if fence and line.strip().startswith(fence) else fence or mark[1]
        item = _ITEM.match(line)
        prose = bool(line.strip()) and not (front or code or _NEVER_PROSE.match(line))
        if gathered and (not prose or item):
            yield begun, " ".join(gathered)
            gathered = []
        if prose:
            begun = begun if gathered else number
            gathered.append(line[item.end() :] if item else line)
            in_list = bool(item) or (in_list and (not blank or line.startswith("  ")))
        in_list = in_list and not line.startswith("#")
        blank = not line.strip() or (code and blank)
    if gathered:
        yield begun, " ".join(gathered)


@dataclass(frozen=True)
class Lengths:
    """The words per sentence of a text: how many sentences, the median, the 90th percentile and the maximum."""

    sentences: int
    median: float
    p90: float
    longest: int


def lengths(found: Iterable[Sentence]) -> Lengths:
    """Return the figures of some sentences; one more than none is needed."""
    counts = [sentence.words for sentence in found]
    p90 = quantiles(counts, n=10, method="inclusive")[-1] if len(counts) > 1 else float(counts[0])
    return Lengths(len(counts), median(counts), p90, max(counts))


def table() -> str:
    """Return the figures of every page and of all together, a line each."""
    by_page = {str(path.relative_to(ROOT)): sentences_of_page(path) for path in pages()}
    rows = {**by_page, "all": [sentence for found in by_page.values() for sentence in found]}
    text = f"{'sentences':>9} {'median':>6} {'p90':>5} {'longest':>7}  page\n"
    for name, found in rows.items():
        if found:
            of = lengths(found)
            text += f"{of.sentences:9} {of.median:6g} {of.p90:5.1f} {of.longest:7}  {name}\n"
    return text


if __name__ == "__main__":
    sys.stdout.write(table())
