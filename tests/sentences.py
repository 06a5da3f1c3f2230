"""How long the sentences of a text are, counted as a reader counts them.

Left out: front matter, code blocks, tables, headings, directives, comments. Code within a sentence is one word.
A paragraph and an item of a list each end a sentence. Run as a program it prints the figures of every page.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
_NEVER_PROSE = re.compile(r"\s*(?:\||#|:::|>>>|\.\.\. |<!--|!\[|\[[^\]]+\]:|[-=]{3,}\s*$)")
_ENDS = re.compile(r"(?<=[.!?])[\"'”)*]*\s+(?=[\"'“(*`]*[A-Z0-9À-Þ`])")
_GOES_ON = re.compile(r"(?:\b(?:e\.g|i\.e|al|vs|sec|Fig|no|approx)|\.\.)\.$")
_NOT_SHOWN = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|\{#.*?#\}", re.DOTALL | re.IGNORECASE)
_INLINE = re.compile(
    r"</?(?:a|abbr|b|code|em|i|kbd|output|small|span|strong|sub|sup|time|u|var)\b[^>]*>", re.IGNORECASE
)
_SAID = re.compile(r"\b(?:title|alt|placeholder|aria-label|content)=\"([^\"]*)\"")
_SCRIPT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`|[{}]", re.DOTALL)
_IN_TEMPLATE = re.compile(r"\\.|`|\$\{", re.DOTALL)


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
    return sentences_of_text(_name(path), path.read_text(encoding="utf-8"))


def sentences_of_text(name: str, text: str, line: int = 1) -> list[Sentence]:
    """Return the sentences of a text that begins on a line of something with a name."""
    found = []
    for number, paragraph in _paragraphs(text.splitlines()):
        found += [Sentence(name, line + number - 1, part) for part in sentences(paragraph)]
    return found


def sentences_of_docstrings(path: Path) -> list[Sentence]:
    """Return the sentences of the docstrings of a file."""
    name = _name(path)
    return [sentence for line, text in _texts(path)[0] for sentence in sentences_of_text(name, text, line)]


def sentences_of_messages(path: Path) -> list[Sentence]:
    """Return the sentences of the texts of a file that are no docstrings: messages, help, labels of pages."""
    name = _name(path)
    return [sentence for line, text in _texts(path)[1] for sentence in sentences_of_text(name, text, line)]


@cache
def _texts(path: Path) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Return (line, text) of the docstrings of a file, and of its other texts of more than a word."""
    documented, shown, inner = list[tuple[int, str]](), list[tuple[int, str]](), set[int]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node)):
            documented.append((node.body[0].lineno, text))
        if isinstance(node, ast.Expr):  # a text alone is a docstring, of an attribute, too
            inner.add(id(node.value))
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in inner and (text := _shown(node)):
            shown.append((node.lineno, text))
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
    return documented, shown


def _shown(node: ast.expr) -> str:
    """Return the text of a literal, a value within it as one word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_shown(part) for part in node.values)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) and " " in node.value else ""
    return "1"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


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


def sentences_of_web_page(path: Path) -> list[Sentence]:
    """Return the sentences that a page's template or script shows: HTML, Jinja or JavaScript."""
    text = path.read_text(encoding="utf-8")
    shown = _of_script(text) if path.suffix == ".js" else _of_template(text)
    return [
        Sentence(_name(path), line, part) for line, one in shown for part in sentences(one) if not part.startswith("--")
    ]


def _of_template(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each block of a page and of what its attributes say, a value within it as one word."""
    text = _NOT_SHOWN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    text = re.sub(r"\{\{.*?\}\}", lambda found: "1" + "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}", lambda found: " " + "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    for found in _SAID.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[1]
    line = 1
    for block in re.split(r"(<[^>]*>)", _INLINE.sub("", text)):
        if not block.startswith("<"):
            yield line, block
        line += block.count("\n")


def _of_script(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each text of a script that has a space, a value within it as one word."""
    depths = list[int]()  # of braces in each template that is open
    templates = list[str]()
    last = 0
    inside = False
    position = 0
    while found := (_IN_TEMPLATE if inside else _SCRIPT).search(text, position):
        token, position = found[0], found.end()
        if inside:
            templates[-1] += text[last : found.start()] + (token if token.startswith("\\") else "")
            last = position
            if token == "`":
                if " " in (whole := templates.pop()):
                    yield text.count("\n", 0, position) + 1, whole
                depths.pop()
            inside = token.startswith("\\")
        elif token == "`":
            templates.append("")
            depths.append(0)
            inside, last = True, position
        elif token == "{" and depths:
            depths[-1] += 1
        elif token == "}" and depths:
            depths[-1] -= 1
            if depths[-1] < 0:
                depths[-1], inside, last = 0, True, position
                templates[-1] += "1"
        elif token[0] in "\"'" and " " in token:
            yield text.count("\n", 0, position) + 1, token[1:-1]


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
