"""Pages, help, messages and docstrings are written in short sentences."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from sentences import (
    ROOT,
    Sentence,
    lengths,
    pages,
    sentences,
    sentences_of_docstrings,
    sentences_of_messages,
    sentences_of_page,
    sentences_of_web_page,
)

from img2gps.cli import cli

MEDIAN, P90, LONGEST = 14, 25, 25
LONGEST_OF_HELP = LONGEST_OF_MESSAGES = LONGEST_OF_API = 25
LONGEST_OF_DOCSTRINGS = 25
ROOMS = ("img2gps", "collect", "train")
# What the page of the Python API shows.
API = [
    *(f"{room}/__init__.py" for room in ROOMS),
    *("collect/api", "train/api.py", "train/data/photo_dataset.py", "img2gps/dataset.py", "img2gps/site.py"),
    *("img2gps/errors.py", "img2gps/runtime", "img2gps/basemap/__init__.py", "img2gps/basemap/surroundings.py"),
]
# A page of fewer sentences has no distribution to speak of: only its longest one counts.
FEW = 10


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def the_longest(found: list[Sentence]) -> str:
    """Return a line for each of the five longest sentences, with the place where its paragraph begins."""
    longest = sorted(found, key=lambda sentence: -sentence.words)[:5]
    return "".join(
        f"\n{sentence.page}:{sentence.line}: {sentence.words} words: {sentence.text}" for sentence in longest
    )


def short(found: list[Sentence]) -> bool:
    of = lengths(found)
    return of.longest <= LONGEST and (of.sentences < FEW or (of.median <= MEDIAN and of.p90 <= P90))


@pytest.mark.parametrize("page", pages(), ids=name)
def test_the_sentences_of_a_page_are_short(page: Path) -> None:
    found = sentences_of_page(page)
    assert not found or short(found), f"{lengths(found)}{the_longest(found)}"


def test_the_sentences_of_all_pages_are_short() -> None:
    found = [sentence for page in pages() for sentence in sentences_of_page(page)]
    assert short(found), f"{lengths(found)}{the_longest(found)}"


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("One two three. Four five!  Six?", [3, 2, 1]),
        ("Run `img2gps train quad --preset quick` now.", [3]),
        ("See [the guide to splits](split.md#folds) for it.", [7]),
        ("It is 7.4 m, e.g. here. *Then* 30 photos remain.", [6, 4]),
        ("| a | table |\n\n# A heading\n\n    indented code. More of it.\n\nText.", [1]),
        ("```sh\nls. And more.\n```\nText goes\non here.", [4]),
        ("---\ntitle: A. B.\n---\nText.", [1]),
        ("Text. `code` goes on.\n\n- item\n\n# Heading\n\n    code. Code.", [1, 3, 1]),
        ("- one item\n- another item,\n  that goes on\n\n  and a paragraph of it\n\nText.", [2, 5, 5, 1]),
    ],
)
def test_words_are_counted_as_a_reader_counts_them(tmp_path: Path, text: str, counts: list[int]) -> None:
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    assert [sentence.words for sentence in sentences_of_page(tmp_path / "page.md")] == counts


COMMANDS = {entry.name: entry.load() for entry in sorted(entry_points(group="img2gps.commands"))}


def help_texts(command: click.Command) -> Iterator[str]:
    """Yield each paragraph of a command's help, and the help of each option."""
    yield from (command.help or "").split("\n\n")
    yield from (parameter.help or "" for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_sentences_of_a_help_are_short(name: str) -> None:
    texts = help_texts(COMMANDS[name] if name else cli)
    found = [Sentence(f"img2gps {name} --help", 0, text) for paragraph in texts for text in sentences(paragraph)]
    assert found
    assert lengths(found).longest <= LONGEST_OF_HELP, the_longest(found)


def sources(name: str) -> list[Path]:
    return sorted((ROOT / name).rglob("*.py")) if (ROOT / name).is_dir() else [ROOT / name]


@pytest.mark.parametrize("name", API)
def test_the_docstrings_of_the_api_are_short(name: str) -> None:
    found = [sentence for path in sources(name) for sentence in sentences_of_docstrings(path)]
    assert lengths(found).longest <= LONGEST_OF_API, the_longest(found)


@pytest.mark.parametrize("room", ROOMS)
def test_the_sentences_of_docstrings_are_short(room: str) -> None:
    found = [sentence for path in sources(room) for sentence in sentences_of_docstrings(path)]
    assert lengths(found).longest <= LONGEST_OF_DOCSTRINGS, the_longest(found)


@pytest.mark.parametrize("room", ROOMS)
def test_the_sentences_of_messages_are_short(room: str) -> None:
    found = [sentence for path in sources(room) for sentence in sentences_of_messages(path)]
    messages = [sentence for sentence in found if not sentence.text.startswith("img2gps ")]  # examples of a help
    assert lengths(messages).longest <= LONGEST_OF_MESSAGES, the_longest(messages)


@pytest.mark.parametrize("room", ROOMS)
def test_the_sentences_of_web_pages_are_short(room: str) -> None:
    web = [path for path in sorted((ROOT / room).rglob("*")) if path.suffix in (".html", ".j2", ".js")]
    found = [sentence for path in web for sentence in sentences_of_web_page(path)]
    assert found
    assert lengths(found).longest <= LONGEST_OF_MESSAGES, the_longest(found)


@pytest.mark.parametrize(
    ("name", "text", "counts"),
    [
        ("a.html", "<p>One <b>two</b> three. Four five.</p><script>not this one</script>", [3, 2]),
        ("a.j2", '<i title="Five words: {{ a }} and {{ b }}">x</i>{% if some thing %}<li>one</li>', [5, 1, 1]),
        (
            "a.js",
            'const a = "two words"; // no "text of this"\nsay(`${b ? "no more" : c}, three ${`d ${e} f`} or ${g}.`);',
            [2, 2, 3, 5],
        ),
        ("a.js", 'if (a === "x") { say("It\'s { so }. Yes, it is."); } /* "not this" */', [2, 3]),
    ],
)
def test_words_of_a_web_page_are_what_it_shows(tmp_path: Path, name: str, text: str, counts: list[int]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert [sentence.words for sentence in sentences_of_web_page(tmp_path / name)] == counts


def test_an_abbreviation_ends_no_sentence() -> None:
    assert len(sentences("Gelb et al. 1974 say so, sec. 3.8. That holds.")) == 2


def test_a_long_sentence_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("Short.\n\n" + "word " * 41 + "ends.", encoding="utf-8")
    found = sentences_of_page(tmp_path / "page.md")
    assert not short(found)
    assert the_longest(found).startswith("\npage.md:3: 42 words: word word")
